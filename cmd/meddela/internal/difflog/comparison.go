package difflog

import (
	"slices"
	"sync"

	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/topology"
)

// Config says what to compare, and what to keep of it.
type Config struct {
	Live, Proposed *catalogue.Catalogue
	// Examples is how many events are shown of each change. 0 is none.
	Examples int
	// ShowContent puts the differences of rendered texts, which have content of
	// the events, into the examples. The recipient's address is masked.
	ShowContent bool
}

// Comparison compares the outcomes of events under two catalogues. Its methods
// may be called by several goroutines. What it holds is bounded, however many
// events there are.
type Comparison struct {
	live, proposed *catalogue.Catalogue
	examples       int
	showContent    bool

	mu    sync.Mutex
	total tally
}

// New starts a comparison.
func New(config Config) *Comparison {
	return &Comparison{
		live: config.Live, proposed: config.Proposed,
		examples: config.Examples, showContent: config.ShowContent,
		total: tally{changes: map[group]*Change{}},
	}
}

// maxGroups bounds the changes that are told apart.
const maxGroups = 500

// tally is counts of events.
type tally struct {
	events, unreadable, unchanged int64
	changes                       map[group]*Change
}

// Add compares the outcomes of the events in records of a lane's events topic.
func (c *Comparison) Add(lane topology.Lane, records []topology.Record) {
	batch := tally{changes: map[group]*Change{}}
	for i := range records {
		c.add(&batch, lane, &records[i])
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.merge(&batch)
}

func (c *Comparison) add(batch *tally, lane topology.Lane, r *topology.Record) {
	event, err := topology.DecodeEvent(*r, lane)
	if err != nil {
		batch.unreadable++
		return
	}
	batch.events++
	live, proposed, ok := c.outcomes(&event, r)
	if !ok {
		batch.unchanged++
		return
	}
	differing := differingParts(&live, &proposed)
	kind := kindOf(&live, &proposed, len(differing) > 0)
	if kind == unchanged {
		batch.unchanged++
		return
	}
	change := batch.change(groupOf(kind, &live, &proposed))
	change.Events++
	for _, p := range differing {
		change.Parts[p.name]++
	}
	if len(change.Examples) < c.examples {
		change.Examples = append(change.Examples, c.example(r, &event, &live, &proposed, differing))
	}
}

// change finds the change of a group, or adds it.
func (t *tally) change(g group) *Change {
	found := t.changes[g]
	if found == nil {
		found = &Change{Kind: g.kind, Live: g.live, Proposed: g.proposed, Detail: g.detail, Parts: map[string]int64{}}
		t.changes[g] = found
	}
	return found
}

func (c *Comparison) example(r *topology.Record, event *topology.Event, live, proposed *outcome, differing []differingPart) Example {
	e := Example{
		ID: event.ID, Source: r.Source(), At: r.Time, Type: event.Type,
		Live: live.side(), Proposed: proposed.side(),
		position: position{r.Topic, r.Partition, r.Offset},
	}
	for _, p := range differing {
		e.Parts = append(e.Parts, p.part())
	}
	if c.showContent {
		for _, d := range c.differences(event, live, proposed) {
			e.setDiff(d)
		}
	}
	return e
}

// merge adds a batch to the total. Of the examples those that were written
// first in the first partitions stay.
func (c *Comparison) merge(batch *tally) {
	c.total.events += batch.events
	c.total.unreadable += batch.unreadable
	c.total.unchanged += batch.unchanged
	for g, add := range batch.changes {
		if _, known := c.total.changes[g]; !known && len(c.total.changes) >= maxGroups {
			g = group{kind: g.kind, live: "others", proposed: "others"}
		}
		change := c.total.change(g)
		change.Events += add.Events
		for part, n := range add.Parts {
			change.Parts[part] += n
		}
		change.Examples = append(change.Examples, add.Examples...)
		slices.SortFunc(change.Examples, func(a, b Example) int { return a.position.compare(b.position) })
		change.Examples = change.Examples[:min(len(change.Examples), c.examples)]
	}
}

// Events is how many have been compared so far.
func (c *Comparison) Events() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.total.events + c.total.unreadable
}

// Report says what has been found so far.
func (c *Comparison) Report() Report {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := Report{Events: c.total.events, Unchanged: c.total.unchanged, Unreadable: c.total.unreadable, Changes: []Change{}}
	for _, change := range c.total.changes {
		copied := *change
		copied.Parts = map[string]int64{}
		for part, n := range change.Parts {
			copied.Parts[part] = n
		}
		copied.Examples = slices.Clone(change.Examples)
		r.Changes = append(r.Changes, copied)
	}
	sortChanges(r.Changes)
	return r
}
