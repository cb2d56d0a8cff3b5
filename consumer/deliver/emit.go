package deliver

import (
	"strconv"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/consumer/internal/slab"
	"github.com/meddela/meddela/topology"
)

// entryBytes is what most entries stay below.
const entryBytes = 640

// emit is the last stage: it makes the records of deliveries up to the first
// whose outcome is not settled.
func (h *Handler) emit(deliveries []delivery) consumer.Result {
	log, now := h.config.Names.DeliveryLog(h.config.Lane), h.config.Now()
	out := make([]topology.Record, 0, len(deliveries))
	var values slab.Slab
	for i := range deliveries {
		d := &deliveries[i]
		switch {
		case d.foreign:
			continue
		case d.fault != nil:
			out = append(out, h.config.Names.DeadLetter(h.config.Lane, d.record, d.fault, topology.RoleDeliver, now))
			continue
		case !d.first.settled:
			return consumer.Result{Out: out, Handled: i}
		}
		if d.first != d || d.claim == settled {
			h.compare(d)
		}
		entry, waits := d.first.outcome.entry(&d.job), d.first.wait
		if waits != nil {
			entry.Due = waits.due
		}
		out = append(out, topology.Record{
			Topic:   log,
			Key:     []byte(d.job.EventID),
			Value:   values.Keep(entry.Append(values.Room(entryBytes))),
			Headers: d.first.span.Carry(topology.CarriedByEntries(d.record.Headers)),
		})
		if waits != nil || d.first.outcome.retry { // of a repeated job too: what is said to wait comes back
			out = append(out, h.again(d))
		}
	}
	return consumer.Result{Out: out, Handled: len(deliveries)}
}

// again is the record in which a job comes back: as it came, if it waits, or
// else its next attempt, which a repeated job makes in the same way, so that its
// claim recognizes it.
func (h *Handler) again(d *delivery) topology.Record {
	lane, names, o, wait := h.config.Lane, h.config.Names, &d.first.outcome, d.first.wait
	record := topology.Record{
		Topic:   names.Jobs(lane),
		Key:     []byte(d.job.EventID),
		Value:   d.record.Value,
		Headers: d.span.Carry(topology.JobHeaders(d.record.Headers, d.job.Channel)),
	}
	switch {
	case wait == nil:
		next := d.job
		next.Attempt, next.NotBefore = o.attempt+1, o.due
		if !o.ambiguous {
			next.Key = string(next.JobID) + "-" + strconv.Itoa(next.Attempt)
		}
		record.Value = next.Append(make([]byte, 0, len(next.Event)+512))
		return names.Delayed(lane, record, o.due, o.at)
	case wait.due.IsZero():
		return names.Pausing(lane, record, wait.orders, wait.providers)
	}
	return names.Delayed(lane, record, wait.due, o.at)
}
