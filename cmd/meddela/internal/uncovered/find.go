// Package uncovered finds the events that no template was linked to, and publishes those
// again for which there is a template now. However often that is repeated before the
// pipeline has taken an event, it is one message.
package uncovered

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/meddela/meddela/consumer/scan"
	"github.com/meddela/meddela/consumer/status"
	"github.com/meddela/meddela/topology"
)

// Event is one that is not covered.
type Event struct {
	topology.State
	Language string // that it asked for
}

// Filter says which events are looked for. Empty fields are any.
type Filter struct {
	Lane    topology.Lane
	Since   time.Time // of the delivery log
	Type    string
	Channel topology.Channel
	Reason  topology.Reason
}

func (f *Filter) takes(e *topology.Entry) bool {
	return (f.Type == "" || e.Type == f.Type) &&
		(f.Channel == "" || e.Channel == f.Channel) &&
		(f.Reason == "" || e.Reason == f.Reason)
}

type scanner interface {
	Ranges(ctx context.Context, topic topology.Topic, since time.Time) ([]scan.Range, error)
	Scan(ctx context.Context, ranges []scan.Range, progress *scan.Progress, handle func([]topology.Record) error) error
}

// statusReader reads the status of events, with an answer for each id.
type statusReader interface {
	GetMany(ctx context.Context, ids []topology.EventID) ([]status.Answer, error)
}

// Finder finds events that are not covered.
type Finder struct {
	Names    topology.Topics
	Topics   scanner
	Statuses statusReader
}

// Find returns the events that are not covered and pass the filter, in the order of their
// sources. What it holds does not grow with the log.
func (f *Finder) Find(ctx context.Context, filter Filter, progress *scan.Progress) ([]Event, error) {
	ranges, err := f.Topics.Ranges(ctx, f.Names.DeliveryLog(filter.Lane), filter.Since)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	found := make(map[topology.EventID]*Event)
	err = f.Topics.Scan(ctx, ranges, progress, func(records []topology.Record) error {
		entries := make([]topology.Entry, 0, len(records))
		for i := range records {
			// What cannot be decoded is a dead letter of the status updater.
			if entry, err := topology.DecodeEntry(records[i].Value); err == nil {
				entries = append(entries, entry)
			}
		}
		mu.Lock()
		defer mu.Unlock()
		for i := range entries {
			take(found, &filter, &entries[i])
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return f.stillUncovered(ctx, found)
}

// take keeps an entry about an event that was not covered, and whatever comes after it.
func take(found map[topology.EventID]*Event, filter *Filter, entry *topology.Entry) {
	event, known := found[entry.EventID]
	state := topology.StateOf(entry)
	if !known {
		if entry.Status != topology.NotCovered || !filter.takes(entry) {
			return
		}
		event = &Event{State: state}
		found[entry.EventID] = event
	}
	event.Merge(&state)
	if event.Rank == state.Rank {
		event.Language = entry.Language
	}
}

// stillUncovered leaves out what has become of events before and since.
func (f *Finder) stillUncovered(ctx context.Context, found map[topology.EventID]*Event) ([]Event, error) {
	ids := make([]topology.EventID, 0, len(found))
	for id, event := range found {
		if event.Status == topology.NotCovered {
			ids = append(ids, id)
		}
	}
	answers, err := f.Statuses.GetMany(ctx, ids)
	if err != nil {
		return nil, err
	}
	var left []Event
	for i, id := range ids {
		event := found[id]
		if answers[i].Err != nil {
			return nil, fmt.Errorf("the status of %s: %w", id, answers[i].Err)
		}
		if answers[i].Found {
			event.Merge(&answers[i].State)
		}
		if event.Status == topology.NotCovered {
			left = append(left, *event)
		}
	}
	slices.SortFunc(left, func(a, b Event) int {
		topicA, partitionA, offsetA, _ := a.Source.Split() // zero for none, which comes first
		topicB, partitionB, offsetB, _ := b.Source.Split()
		return cmp.Or(cmp.Compare(topicA, topicB), cmp.Compare(partitionA, partitionB), cmp.Compare(offsetA, offsetB),
			cmp.Compare(a.EventID, b.EventID))
	})
	return left, nil
}

// Group is the events that are not covered for the same reason.
type Group struct {
	Key
	Events int              `json:"events"`
	First  time.Time        `json:"first"`
	Last   time.Time        `json:"last"`
	Sample topology.EventID `json:"sample"` // the event that came last
	Source topology.Source  `json:"source"`
	Detail string           `json:"detail,omitempty"`
}

// Key is what events of a Group have in common.
type Key struct {
	Lane     topology.Lane    `json:"lane"`
	Type     string           `json:"type"`
	Channel  topology.Channel `json:"channel"`
	Language string           `json:"language"`
	Reason   topology.Reason  `json:"reason"`
}

// Groups sorts events by what they have in common, the most frequent first.
func Groups(events []Event) []Group {
	byKey := make(map[Key]int)
	groups := []Group{}
	for i := range events {
		e := &events[i]
		key := Key{e.Lane, e.Type, e.Channel, e.Language, e.Reason}
		at, known := byKey[key]
		if !known {
			at, byKey[key] = len(groups), len(groups)
			groups = append(groups, Group{Key: key, First: e.UpdatedAt})
		}
		g := &groups[at]
		g.Events++
		if e.UpdatedAt.Before(g.First) {
			g.First = e.UpdatedAt
		}
		if !e.UpdatedAt.Before(g.Last) {
			g.Last, g.Sample, g.Source, g.Detail = e.UpdatedAt, e.EventID, e.Source, e.Detail
		}
	}
	slices.SortFunc(groups, func(a, b Group) int {
		return cmp.Or(
			cmp.Compare(b.Events, a.Events), cmp.Compare(a.Lane, b.Lane), cmp.Compare(a.Type, b.Type),
			cmp.Compare(a.Channel, b.Channel), cmp.Compare(a.Language, b.Language), cmp.Compare(a.Reason, b.Reason),
		)
	})
	return groups
}
