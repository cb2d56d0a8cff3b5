package deliver

import (
	"time"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/consumer/internal/slab"
	"github.com/meddela/meddela/topology"
)

// emitter is the last stage: it makes the records that come of a batch. Their
// values share one buffer.
type emitter struct {
	names topology.Topics
	lane  topology.Lane
	log   topology.Topic // where entries go
	out   []topology.Record
	slab  slab.Slab
}

func newEmitter(names topology.Topics, lane topology.Lane, deliveries int) *emitter {
	return &emitter{
		names: names, lane: lane, log: names.DeliveryLog(lane), out: make([]topology.Record, 0, deliveries),
	}
}

// emit makes the records of the results up to the first delivery that has none.
func (e *emitter) emit(b *batch, now time.Time) consumer.Result {
	for i := range b.deliveries {
		d := &b.deliveries[i]
		switch r := b.results[d.first]; {
		case d.foreign:
		case d.fault != nil:
			e.out = append(e.out, e.names.DeadLetter(e.lane, d.record, d.fault, topology.RoleDeliver, now))
		case r == nil:
			return consumer.Result{Out: e.out, Handled: i}
		default:
			e.add(d, r)
		}
	}
	return consumer.Result{Out: e.out, Handled: len(b.deliveries)}
}

func (e *emitter) add(d *delivery, r *result) {
	entry := r.outcome.entry(&d.job)
	e.out = append(e.out, topology.Record{
		Topic:   e.log,
		Key:     []byte(d.job.EventID),
		Value:   e.write(&entry),
		Headers: r.span.Carry(topology.CarriedByEntries(d.record.Headers)),
	})
	switch {
	case d.first != d.index:
	case r.wait != nil:
		e.out = append(e.out, e.waiting(d, r))
	case r.outcome.retry && r.outcome.attempt == d.job.Attempt:
		e.out = append(e.out, e.next(d, r))
	}
}

// waiting is the record of a job that waits, which is as it came.
func (e *emitter) waiting(d *delivery, r *result) topology.Record {
	job := e.job(d, r, d.record.Value)
	if r.wait.due.IsZero() {
		return e.names.Pausing(e.lane, job, r.wait.orders, r.wait.providers)
	}
	return e.names.Delayed(e.lane, job, r.wait.due, r.outcome.at)
}

// next is the job's next attempt, on its way to the delay topics. A repeated
// job makes the same one again, which its claim then recognizes.
func (e *emitter) next(d *delivery, r *result) topology.Record {
	job := d.job
	job.Attempt++
	job.NotBefore = r.outcome.due
	value := job.Append(make([]byte, 0, len(job.Event)+512))
	return e.names.Delayed(e.lane, e.job(d, r, value), r.outcome.due, r.outcome.at)
}

func (e *emitter) job(d *delivery, r *result, value []byte) topology.Record {
	return topology.Record{
		Topic:   e.names.Jobs(e.lane),
		Key:     []byte(d.job.EventID),
		Value:   value,
		Headers: r.span.Carry(topology.JobHeaders(d.record.Headers, d.job.Channel)),
	}
}

// entryBytes is what most entries stay below.
const entryBytes = 640

// write encodes an entry into the shared buffer.
func (e *emitter) write(entry *topology.Entry) []byte {
	return e.slab.Keep(entry.Append(e.slab.Room(entryBytes)))
}
