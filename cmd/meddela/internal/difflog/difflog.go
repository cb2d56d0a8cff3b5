// Package difflog says what would become of past events under templates that are not
// published yet. It decides and renders as the roles do, and does nothing else.
package difflog

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/topology"
)

// Report is what a comparison found.
type Report struct {
	Events     int64    `json:"events"` // that were compared
	Unchanged  int64    `json:"unchanged"`
	Unreadable int64    `json:"unreadable"` // are no events, whatever the templates are
	Changes    []Change `json:"changes"`    // in the order of Kinds, then the most events first
}

// Change is events whose outcome changes in the same way.
type Change struct {
	Group
	Events   int64            `json:"events"`
	Parts    map[string]int64 `json:"parts,omitempty"` // in how many of the messages each part differs
	Examples []Example        `json:"examples,omitempty"`
}

// Group is what events are counted by.
type Group struct {
	Kind     Kind   `json:"kind"`
	Live     string `json:"live"` // the template's name, or the reason for which there is none
	Proposed string `json:"proposed"`
	Detail   string `json:"detail,omitempty"` // the cause of a failure, of a condition's too, or the languages
}

// Example is one event, without its content unless asked for, and never with its address.
type Example struct {
	ID       topology.EventID `json:"id"`
	Source   topology.Source  `json:"source"` // of the record that was read
	At       time.Time        `json:"at"`     // when that was written
	Type     string           `json:"type"`
	Live     Side             `json:"live"`
	Proposed Side             `json:"proposed"`
	Parts    []Part           `json:"parts,omitempty"` // that differ

	record topology.Record // without content
}

// Side is the outcome of an event under one catalogue.
type Side struct {
	Status   topology.Status      `json:"status"`
	Reason   topology.Reason      `json:"reason,omitempty"`
	Detail   string               `json:"error,omitempty"` // of a rendering or a condition that failed, and where
	Template topology.TemplateRef `json:"template,omitempty"`
	Language string               `json:"language,omitempty"`
	Expires  time.Time            `json:"expires,omitzero"`
}

// Part is a part of a message that differs.
type Part struct {
	Name  string   `json:"name"`
	Where string   `json:"where"`          // the lines of the live text
	Diff  []string `json:"diff,omitempty"` // in the unified form; nil unless asked for
}

// Comparison compares the outcomes of events under two catalogues. Several goroutines may
// call Add. What it holds is bounded.
type Comparison struct {
	Live, Proposed *catalogue.Catalogue
	Examples       int  // how many are shown of each change
	ShowContent    bool // puts the differences of rendered texts, masked, into the examples

	mu      sync.Mutex
	total   Report // but for its changes
	changes map[Group]*Change
}

// Add compares the outcomes of the events in records of a lane's events topic.
func (c *Comparison) Add(lane topology.Lane, records []topology.Record) {
	for i := range records {
		c.add(lane, &records[i])
	}
}

func (c *Comparison) add(lane topology.Lane, r *topology.Record) {
	event, err := topology.DecodeEvent(*r, lane)
	if err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.total.Unreadable++
		return
	}
	live, proposed := c.outcomes(&event, r)
	differing := differingParts(&live, &proposed)
	kind := kindOf(&live, &proposed, len(differing) > 0)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total.Events++
	if kind == unchanged {
		c.total.Unchanged++
		return
	}
	change := c.change(groupOf(kind, &live, &proposed))
	change.Events++
	for _, p := range differing {
		change.Parts[p.name]++
	}
	// The first in the first partitions, so that the same events give the same report.
	n := len(change.Examples)
	if n < c.Examples || n > 0 && byPosition(r, &change.Examples[n-1].record) < 0 {
		change.Examples = append(change.Examples, c.example(r, &event, &live, &proposed, differing))
		slices.SortFunc(change.Examples, func(a, b Example) int { return byPosition(&a.record, &b.record) })
		change.Examples = change.Examples[:min(n+1, c.Examples)]
	}
}

func byPosition(a, b *topology.Record) int {
	return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Offset, b.Offset))
}

const maxGroups = 500

func (c *Comparison) change(g Group) *Change {
	if c.changes[g] == nil && len(c.changes) >= maxGroups {
		g = Group{Kind: g.Kind, Live: "others", Proposed: "others"}
	}
	if c.changes == nil {
		c.changes = make(map[Group]*Change)
	}
	if c.changes[g] == nil {
		c.changes[g] = &Change{Group: g, Parts: map[string]int64{}}
	}
	return c.changes[g]
}

func (c *Comparison) example(r *topology.Record, event *topology.Event, live, proposed *outcome,
	differing []differingPart) Example {
	e := Example{
		ID: event.ID, Source: r.Source(), At: r.Time, Type: event.Type,
		Live: live.Side, Proposed: proposed.Side,
		record: topology.Record{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset},
	}
	diffs := make(map[string][]string)
	if c.ShowContent {
		for _, p := range c.masked(event, live, proposed) {
			diffs[p.name] = shortDiff(p.live, p.proposed)
		}
	}
	for _, p := range differing {
		e.Parts = append(e.Parts, Part{Name: p.name, Where: where(p.live, p.proposed), Diff: diffs[p.name]})
	}
	return e
}

// Report says what needs looking at first. Every Add must have returned.
func (c *Comparison) Report() Report {
	r := c.total
	r.Changes = []Change{}
	for _, change := range c.changes {
		r.Changes = append(r.Changes, *change)
	}
	kinds := Kinds()
	slices.SortFunc(r.Changes, func(a, b Change) int {
		return cmp.Or(
			slices.Index(kinds, a.Kind)-slices.Index(kinds, b.Kind), cmp.Compare(b.Events, a.Events),
			cmp.Compare(a.Live, b.Live), cmp.Compare(a.Proposed, b.Proposed), cmp.Compare(a.Detail, b.Detail),
		)
	})
	return r
}
