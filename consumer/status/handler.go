// Package status is the role that keeps the latest word on every event in
// Redis: it folds the events topic and the delivery log of a lane, and merges
// the result into what Redis holds. It is the only writer of statuses.
//
// Under load what is not final is held for a moment, so that most events are
// written once, with all that they went through; at rest all is written at once.
package status

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/consumer/tracing"
	"github.com/meddela/meddela/topology"
)

// Writer merges states into what is stored. It writes all of them, or returns
// an error and may be called again with the same: writing twice is harmless. When
// it returns, it does not use them any more.
type Writer interface {
	Write(ctx context.Context, states []topology.State) error
}

// Handler is the status role of one lane. It keeps no state between batches.
type Handler struct {
	Lane  topology.Lane
	Names topology.Topics
	Store Writer
	// Tracer traces records. Default none.
	Tracer *tracing.Tracer
}

// Handle writes what each record says of its event, and makes dead letters of
// what is no entry. While the store is away nothing of the batch is handled.
func (h *Handler) Handle(ctx context.Context, b consumer.Batch) (consumer.Result, error) {
	said := lists.Get().(*list)
	defer said.release()
	defer h.trace(&b)()
	var letters []topology.Record
	areEntries := b.Topic == h.Names.DeliveryLog(h.Lane)
	for i := range b.Records {
		r := &b.Records[i]
		state, err := h.stateOf(r, areEntries)
		if fault, ok := errors.AsType[*topology.Fault](err); ok {
			letters = append(letters, h.Names.DeadLetter(h.Lane, r, fault, topology.RoleStatus, time.Now()))
		} else if state.EventID != "" {
			said.states = append(said.states, state)
		}
	}
	if err := h.Store.Write(ctx, said.states); err != nil {
		return consumer.Result{}, fmt.Errorf("%d statuses are not written: %w", len(said.states), err)
	}
	return consumer.Result{Out: letters, Handled: len(b.Records)}, nil
}

// trace begins the spans of the records that are traced, which end when what
// they say has been written.
func (h *Handler) trace(b *consumer.Batch) (end func()) {
	batch := h.Tracer.Batch(b.Topic, b.Partition, len(b.Records))
	var spans []*tracing.Span
	for i := range b.Records {
		if span := batch.Child(&b.Records[i]); span != nil {
			spans = append(spans, span)
		}
	}
	return func() {
		for _, span := range spans {
			span.End()
		}
		batch.End()
	}
}

// stateOf is what an entry or an event says; its id is empty where it says nothing. What is wrong with an event is the
// matcher's to say.
func (h *Handler) stateOf(r *topology.Record, isEntry bool) (topology.State, error) {
	if !isEntry {
		return h.stateOfEvent(r), nil
	}
	entry, err := topology.DecodeEntry(r.Value)
	if err != nil {
		return topology.State{}, err
	}
	return topology.StateOf(&entry), nil
}

// stateOfEvent takes an event as pending.
func (h *Handler) stateOfEvent(r *topology.Record) topology.State {
	event, _ := h.Names.DecodeEvent(*r, h.Lane)
	receipt := topology.ReceiptOf(r)
	state := topology.StateOf(&topology.Entry{
		EventID:    event.ID,
		Lane:       h.Lane,
		Redrives:   receipt.Redrives,
		Status:     topology.Pending,
		Type:       event.Type,
		Channel:    event.Channel,
		Source:     receipt.Source,
		ReceivedAt: receipt.At,
		At:         r.Time,
	})
	if !event.Scheduled.After(r.Time.Add(topology.MaxSchedule)) { // or else nothing waits for it
		state.Scheduled = storable(event.Scheduled)
	}
	return state
}

// StateOf is what a record of a topic that the role reads says of its event, or of the
// jobs topic; its id is empty where it says nothing.
func StateOf(names topology.Topics, r *topology.Record) (s topology.State) {
	h := Handler{Names: names}
	h.Lane, _ = names.LaneOf(r.Topic)
	if r.Topic == names.Jobs(h.Lane) {
		if job, err := topology.DecodeJob(r.Value); err == nil {
			s = topology.StateOfJob(&job, r.Time)
		}
		return s
	}
	s, _ = h.stateOf(r, r.Topic == names.DeliveryLog(h.Lane))
	return s
}

// latest is the last time that a hash holds; entries keep to it too.
var latest = time.UnixMilli(9_999_999_999_999).UTC()

// storable is t as a hash gives it back: in milliseconds, zero if not after
// 1970, and no later than 2286.
func storable(t time.Time) time.Time {
	switch {
	case t.UnixMilli() <= 0:
		return time.Time{}
	case t.After(latest):
		return latest
	}
	return time.UnixMilli(t.UnixMilli()).UTC()
}

// list is what a batch says of events, kept for the next so that it need not grow
// again.
type list struct{ states []topology.State }

var lists = sync.Pool{New: func() any { return new(list) }}

// release empties the list, so that it does not keep the batch's texts alive, and
// gives it back.
func (l *list) release() {
	clear(l.states)
	l.states = l.states[:0]
	lists.Put(l)
}
