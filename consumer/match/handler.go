// Package match is the role that links events to templates: of each event it
// makes a delivery job, or an entry that says why there is none.
package match

import (
	"context"
	"errors"
	"time"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/consumer/internal/slab"
	"github.com/meddela/meddela/consumer/tracing"
	"github.com/meddela/meddela/topology"
)

// Handler is the match role of one lane. It keeps no state: what it decides
// follows from the event, the catalogue and the time.
type Handler struct {
	Lane  topology.Lane
	Names topology.Topics

	Catalogue func() *catalogue.Catalogue // as it is now
	Now       func() time.Time            // the clock
	Meter     Meter                       // if set, hears of every decision
	Tracer    *tracing.Tracer             // default none
}

// Meter hears of what becomes of events. Several goroutines call it.
type Meter interface {
	Decided(topology.Channel, topology.Status, topology.Reason)
}

// Handle decides on every event of the batch.
func (h *Handler) Handle(_ context.Context, b consumer.Batch) (consumer.Result, error) {
	m := matching{
		handler:   h,
		templates: h.Catalogue(),
		now:       h.Now(),
		jobs:      h.Names.Jobs(h.Lane),
		log:       h.Names.DeliveryLog(h.Lane),
		out:       make([]topology.Record, 0, 2*len(b.Records)),
		batch:     h.Tracer.Batch(b.Topic, b.Partition, len(b.Records)),
	}
	defer m.batch.End()
	for i := range b.Records {
		m.match(&b.Records[i])
	}
	return consumer.Result{Out: m.out, Handled: len(b.Records)}, nil
}

// matching is the work on one batch. Its outputs share one buffer.
type matching struct {
	handler   *Handler
	templates *catalogue.Catalogue
	now       time.Time
	jobs, log topology.Topic
	out       []topology.Record
	slab      slab.Slab
	batch     *tracing.Batch
	span      *tracing.Span // of the record that is at hand
}

func (m *matching) match(r *topology.Record) {
	m.span = m.batch.Root(r)
	defer m.span.End()
	event, err := m.handler.Names.DecodeEvent(*r, m.handler.Lane)
	if fault, bad := errors.AsType[*topology.Fault](err); bad {
		m.refuse(r, &event, fault)
		return
	}
	entry := m.entry(r, &event)
	decision := Decide(&event, entry.ReceivedAt, m.templates, m.now, nil)
	entry.Status, entry.Reason, entry.Detail, entry.Template = decision.Status, decision.Reason, decision.Detail,
		decision.Template
	switch decision.Status {
	case topology.NotCovered:
		entry.Language = event.Language
	case topology.PendingDelivery:
		entry.JobID = topology.JobIDOf(event.ID, entry.Redrives)
		m.emitJob(r, &event, &decision, &entry)
	}
	m.emitEntry(r, &entry)
	m.count(&entry)
}

func (m *matching) count(entry *topology.Entry) {
	m.span.Entry(entry)
	if m.handler.Meter != nil {
		m.handler.Meter.Decided(entry.Channel, entry.Status, entry.Reason)
	}
}

// refuse keeps a record that breaks the contract as a dead letter and, where
// it has an id, says so in the event's status.
func (m *matching) refuse(r *topology.Record, event *topology.Event, fault *topology.Fault) {
	m.out = append(m.out, m.handler.Names.DeadLetter(m.handler.Lane, r, fault, topology.RoleMatch, m.now))
	entry := m.entry(r, event)
	entry.Status, entry.Reason = topology.NotCovered, topology.ReasonInvalid
	m.count(&entry)
	if event.ID != "" {
		entry.Detail = string(fault.Reason) + ": " + fault.Error()
		m.emitEntry(r, &entry)
	}
}

// entry starts the entry about an event. It is of no attempt: what a job comes to outranks it, and a final status
// the pending delivery of an earlier reading, whose job may not have been published.
func (m *matching) entry(r *topology.Record, event *topology.Event) topology.Entry {
	receipt := topology.ReceiptOf(r)
	return topology.Entry{
		EventID:    event.ID,
		Lane:       m.handler.Lane,
		Redrives:   receipt.Redrives,
		Type:       event.Type,
		Channel:    event.Channel,
		Source:     receipt.Source,
		ReceivedAt: receipt.At,
		At:         m.now,
	}
}

func (m *matching) emitJob(r *topology.Record, event *topology.Event, d *Decision, entry *topology.Entry) {
	job := topology.Job{
		JobID:      entry.JobID,
		EventID:    event.ID,
		Lane:       m.handler.Lane,
		Redrives:   entry.Redrives,
		Attempt:    1,
		Template:   d.Template,
		Type:       event.Type,
		Channel:    event.Channel,
		To:         event.To,
		Language:   d.Language,
		NotBefore:  event.Scheduled,
		Expires:    d.Expires,
		ReceivedAt: entry.ReceivedAt,
		Source:     entry.Source,
		Event:      event.Raw,
	}
	record := topology.Record{
		Topic:   m.jobs,
		Key:     m.slab.Keep(append(m.slab.Room(len(event.ID)), event.ID...)),
		Value:   m.slab.Keep(job.Append(m.slab.Room(len(event.Raw) + 512))),
		Headers: m.span.Carry(topology.JobHeaders(r.Headers, job.Channel)),
	}
	if due := event.Scheduled; d.Reason == topology.ReasonScheduled {
		if !d.Expires.IsZero() && d.Expires.Before(due) {
			due = d.Expires // it waits no longer than it is valid
		}
		record, entry.Due = m.handler.Names.Delayed(m.handler.Lane, record, due, m.now), due
	}
	m.out = append(m.out, record)
}

func (m *matching) emitEntry(r *topology.Record, entry *topology.Entry) {
	m.out = append(m.out, topology.Record{
		Topic:   m.log,
		Key:     m.slab.Keep(append(m.slab.Room(len(entry.EventID)), entry.EventID...)),
		Value:   m.slab.Keep(entry.Append(m.slab.Room(512))),
		Headers: m.span.Carry(topology.CarriedByEntries(r.Headers)),
	})
}
