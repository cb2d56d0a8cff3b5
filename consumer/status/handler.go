// Package status is the role that keeps the latest word on every event in
// Redis: it folds the events topic and the delivery log of a lane, and merges
// the result into what Redis holds. It is the only writer of statuses.
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
// an error and may be called again with the same: writing twice is harmless.
type Writer interface {
	Write(ctx context.Context, states []topology.State) error
}

// Handler is the status role of one lane. It keeps no state between batches.
type Handler struct {
	Lane  topology.Lane
	Names topology.Topics
	Store Writer
	// Now is the clock of dead letters. Default time.Now.
	Now func() time.Time
	// Tracer traces records. Default none.
	Tracer *tracing.Tracer
}

// Topics lists the topics that the role reads.
func (h *Handler) Topics() []topology.Topic { return h.Names.Reads(topology.RoleStatus, h.Lane) }

// Handle folds the batch per event, writes each event once, and makes dead
// letters of what is no entry. While the store is away nothing of the batch
// is handled.
func (h *Handler) Handle(ctx context.Context, b consumer.Batch) (consumer.Result, error) {
	f := folds.Get().(*fold)
	defer f.release()
	defer h.trace(&b)()
	var letters []topology.Record
	if b.Topic == h.Names.Events(h.Lane) {
		h.foldEvents(f, b.Records)
	} else {
		letters = h.foldEntries(f, b.Records)
	}
	if err := h.Store.Write(ctx, f.states); err != nil {
		return consumer.Result{}, fmt.Errorf("%d statuses are not written: %w", len(f.states), err)
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

// foldEvents takes each event as pending. What is wrong with an event is the
// matcher's to say.
func (h *Handler) foldEvents(f *fold, records []topology.Record) {
	for i := range records {
		r := &records[i]
		event, _ := topology.DecodeEvent(*r, h.Lane)
		if event.ID == "" {
			continue
		}
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
		state.Scheduled = storable(event.Scheduled)
		f.add(&state)
	}
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

func (h *Handler) foldEntries(f *fold, records []topology.Record) (letters []topology.Record) {
	now := time.Now
	if h.Now != nil {
		now = h.Now
	}
	for i := range records {
		r := &records[i]
		entry, err := topology.DecodeEntry(r.Value)
		if fault, ok := errors.AsType[*topology.Fault](err); ok {
			letters = append(letters, h.Names.DeadLetter(h.Lane, r, fault, topology.RoleStatus, now()))
			continue
		}
		state := topology.StateOf(&entry)
		f.add(&state)
	}
	return letters
}

// fold is the state of each event of one batch.
type fold struct {
	states []topology.State
	index  map[topology.EventID]int
}

// folds are kept for the next batch, so that their map and slice need not grow
// again.
var folds = sync.Pool{New: func() any { return &fold{index: make(map[topology.EventID]int)} }}

// release empties the fold, so that it does not keep the batch's texts alive,
// and gives it back.
func (f *fold) release() {
	clear(f.states)
	f.states = f.states[:0]
	clear(f.index)
	folds.Put(f)
}

// add merges a state into that of its event.
func (f *fold) add(s *topology.State) {
	if at, ok := f.index[s.EventID]; ok {
		f.states[at].Merge(s)
		return
	}
	f.index[s.EventID] = len(f.states)
	f.states = append(f.states, *s)
}
