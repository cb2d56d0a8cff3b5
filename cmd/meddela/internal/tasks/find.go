package tasks

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/meddela/meddela/consumer/scan"
	"github.com/meddela/meddela/topology"
)

// Event is one of the delivery log, as the log has it.
type Event struct {
	topology.State
	Language string // that it asked for, where no template was linked
	Chosen   int    // how often it had been redriven when the task was made
}

// matches reports whether a filter means an event.
func matches(f *topology.TaskFilter, s *topology.State) bool {
	name, _ := s.Template.Split()
	return (len(f.Statuses) == 0 || slices.Contains(f.Statuses, s.Status)) && (f.Reason == "" || f.Reason == s.Reason) &&
		(f.Type == "" || f.Type == s.Type) && (f.Channel == "" || f.Channel == s.Channel) &&
		(f.Provider == "" || f.Provider == s.Provider) &&
		(f.Template == "" || f.Template == name || f.Template == string(s.Template))
}

// mostFound events of about a kilobyte each are held at a time.
const mostFound = 500_000

var errMany = fmt.Errorf("more than %d events match: choose fewer, by --since and --until for instance", mostFound)

// Find returns the events that a task is about: those of the delivery log that the filter means when all
// of its ranges is folded, or those that were chosen by id. They are in the order of their sources. More than
// mostFound are refused.
func (e *Engine) Find(ctx context.Context, spec *topology.TaskSpec, progress *scan.Progress) ([]Event, error) {
	var events []Event
	var mu sync.Mutex
	found := make(map[topology.EventID]*Event)
	err := e.Topics.Scan(ctx, RangesOf(e.Names.DeliveryLog(spec.Lane), spec.Ranges), progress,
		func(records []topology.Record) error {
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
				take(found, &spec.Filter, &entries[i])
			}
			if len(found) > mostFound {
				return errMany
			}
			return nil
		})
	if err != nil {
		return nil, err
	}
	for _, event := range found {
		if matches(&spec.Filter, &event.State) {
			event.Chosen = event.Redrives
			events = append(events, *event)
		}
	}
	ids := make([]topology.EventID, len(spec.Events))
	for i := range spec.Events {
		ids[i] = spec.Events[i].ID
	}
	answers, err := e.Statuses.GetMany(ctx, ids)
	for i := range answers {
		answers[i].State.EventID = ids[i]
		events = append(events, Event{State: answers[i].State, Chosen: spec.Events[i].Redrives})
	}
	slices.SortFunc(events, func(a, b Event) int {
		topicA, partitionA, offsetA, _ := a.Source.Split() // zero for none, which comes first
		topicB, partitionB, offsetB, _ := b.Source.Split()
		return cmp.Or(cmp.Compare(topicA, topicB), cmp.Compare(partitionA, partitionB), cmp.Compare(offsetA, offsetB),
			cmp.Compare(a.EventID, b.EventID))
	})
	return events, err
}

// take keeps an entry about an event that the filter means, and whatever comes after it.
func take(found map[topology.EventID]*Event, filter *topology.TaskFilter, entry *topology.Entry) {
	event, known := found[entry.EventID]
	state := topology.StateOf(entry)
	if !known {
		if !matches(filter, &state) {
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

// Still leaves out events of which Redis knows more, by which the filter does not mean them.
func (e *Engine) Still(ctx context.Context, filter *topology.TaskFilter, events []Event) (left []Event, err error) {
	ids := make([]topology.EventID, len(events))
	for i := range events {
		ids[i] = events[i].EventID
	}
	answers, err := e.Statuses.GetMany(ctx, ids)
	for i := range answers {
		if answers[i].Err != nil {
			return nil, fmt.Errorf("the status of %s: %w", ids[i], answers[i].Err)
		}
		if answers[i].Found {
			events[i].Merge(&answers[i].State)
		}
		if matches(filter, &events[i].State) {
			left = append(left, events[i])
		}
	}
	return left, err
}

// Group is records that have something in common.
type Group struct {
	Key
	Count  int              `json:"count"`
	First  time.Time        `json:"first"`
	Last   time.Time        `json:"last"`
	Sample topology.EventID `json:"sample,omitempty"` // that of the last
	Source topology.Source  `json:"source"`
	Detail string           `json:"detail,omitempty"`
}

// Key is what those of a Group have in common: of events the upper half, of dead letters the lower.
type Key struct {
	Lane     topology.Lane    `json:"lane"`
	Reason   topology.Reason  `json:"reason"`
	Type     string           `json:"type,omitempty"`
	Channel  topology.Channel `json:"channel,omitempty"`
	Language string           `json:"language,omitempty"`

	Role  topology.Role  `json:"role,omitempty"`
	Topic topology.Topic `json:"topic,omitempty"`
	Build string         `json:"build,omitempty"`
}

// Groups are sorted by what they have in common.
type Groups map[Key]*Group

// Add counts a record, which tells of a time.
func (g Groups) Add(key Key, at time.Time, sample topology.EventID, source topology.Source, detail string) {
	of := g[key]
	if of == nil {
		of = &Group{Key: key, First: at}
		g[key] = of
	}
	if of.Count++; at.Before(of.First) {
		of.First = at
	}
	if !at.Before(of.Last) {
		of.Last, of.Sample, of.Source, of.Detail = at, sample, source, detail
	}
}

// Sorted has the largest first.
func (g Groups) Sorted() []*Group {
	return slices.SortedFunc(maps.Values(g), func(a, b *Group) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(fmt.Sprint(a.Key), fmt.Sprint(b.Key)))
	})
}
