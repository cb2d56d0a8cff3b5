package uncovered

import (
	"context"
	"fmt"
	"slices"
	"strings"
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

// scanner reads topics.
type scanner interface {
	Ranges(ctx context.Context, topic topology.Topic, since, until time.Time) ([]scan.Range, error)
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

// Find returns the events that are not covered and pass the filter, in the
// order of their sources. What it holds grows with the events that were not
// covered, and not with the log.
func (f *Finder) Find(ctx context.Context, filter Filter, progress *scan.Progress) ([]Event, error) {
	ranges, err := f.Topics.Ranges(ctx, f.Names.DeliveryLog(filter.Lane), filter.Since, time.Time{})
	if err != nil {
		return nil, err
	}
	found := finding{filter: filter, events: make(map[topology.EventID]*Event)}
	if err := f.Topics.Scan(ctx, ranges, progress, found.read); err != nil {
		return nil, err
	}
	return f.stillUncovered(ctx, found.events)
}

// finding is what was found in the log so far.
type finding struct {
	filter Filter

	mu     sync.Mutex
	events map[topology.EventID]*Event
}

// read takes entries of the log. Those that cannot be decoded are dead letters
// of the status updater.
func (f *finding) read(records []topology.Record) error {
	entries := make([]topology.Entry, 0, len(records))
	for i := range records {
		if entry, err := topology.DecodeEntry(records[i].Value); err == nil {
			entries = append(entries, entry)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range entries {
		f.take(&entries[i])
	}
	return nil
}

// take keeps an entry about an event that was not covered, and whatever comes
// after it.
func (f *finding) take(entry *topology.Entry) {
	event, known := f.events[entry.EventID]
	if !known {
		if entry.Status != topology.NotCovered || !f.filter.takes(entry) {
			return
		}
		event = &Event{State: topology.StateOf(entry)}
		f.events[entry.EventID] = event
	}
	state := topology.StateOf(entry)
	event.Merge(&state)
	if event.Rank == state.Rank {
		event.Language = entry.Language
	}
}

// stillUncovered leaves out what has become of events since, and what came
// before in the log.
func (f *Finder) stillUncovered(ctx context.Context, events map[topology.EventID]*Event) ([]Event, error) {
	ids := make([]topology.EventID, 0, len(events))
	for id, event := range events {
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
		event := events[id]
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
		if order := bySource(a.Source, b.Source); order != 0 {
			return order
		}
		return strings.Compare(string(a.EventID), string(b.EventID))
	})
	return left, nil
}

// bySource orders by topic, partition and offset; what has none comes first.
func bySource(a, b topology.Source) int {
	topicA, partitionA, offsetA, _ := a.Place()
	topicB, partitionB, offsetB, _ := b.Place()
	if order := strings.Compare(string(topicA), string(topicB)); order != 0 {
		return order
	}
	if partitionA != partitionB {
		return partitionA - partitionB
	}
	switch {
	case offsetA < offsetB:
		return -1
	case offsetA > offsetB:
		return 1
	}
	return 0
}
