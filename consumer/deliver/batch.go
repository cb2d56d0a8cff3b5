package deliver

import (
	"context"
	"errors"
	"time"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/consumer/control"
	"github.com/meddela/meddela/consumer/deliver/recipient/suppress"
	"github.com/meddela/meddela/consumer/tracing"
	"github.com/meddela/meddela/topology"
)

// batch is the work on one partition's records. Its outputs share one buffer.
type batch struct {
	*Handler
	owner string
	log   topology.Topic // where entries go
	tasks []task
	out   []topology.Record
	slab  []byte
	trace *tracing.Batch
}

// task is the work on one record.
type task struct {
	record   *topology.Record
	job      topology.Job
	fault    *topology.Fault // why the record is no job
	foreign  bool            // it is for another Handler
	same     *task           // an earlier one of the same job, whose outcome is also this one's
	template Template        // nil when it is not known

	key     string // of the claim
	claim   claimed
	heldFor time.Duration // of another owner's lease
	begun   bool          // it may have been sent
	noRoom  bool          // it was not: a limit left no room in time
	order   control.Verdict
	barred  suppress.Answer // why its recipient must not be written to
	wait    *wait           // where it goes without having been claimed
	outcome outcome
	settled bool // the outcome is the one that stands
	span    *tracing.Span
}

// newBatch decodes the jobs, up to one that must wait for an earlier attempt
// in the same batch: the loop hands over the rest again.
func (h *Handler) newBatch(b consumer.Batch) *batch {
	d := &batch{
		Handler: h,
		owner:   h.owner(&b),
		log:     h.Names.DeliveryLog(h.Lane),
		tasks:   make([]task, len(b.Records)),
		out:     make([]topology.Record, 0, len(b.Records)),
		trace:   h.Tracer.Batch(b.Topic, b.Partition, len(b.Records)),
	}
	seen := make(map[topology.JobID]*task, len(b.Records))
	for i := range b.Records {
		t := &d.tasks[i]
		t.decode(&b.Records[i])
		if t.foreign = h.isForeign(t); t.foreign || t.fault != nil {
			continue
		}
		first := seen[t.job.JobID]
		switch {
		case first == nil:
			seen[t.job.JobID] = t
		case t.job.Attempt > first.job.Attempt:
			d.tasks = d.tasks[:i]
			return d
		default:
			t.same = first
		}
	}
	return d
}

// isForeign tells whether a record is another channel's Handler's.
func (h *Handler) isForeign(t *task) bool {
	switch {
	case h.Channel == "":
		return false
	case t.fault != nil:
		return h.Channel != topology.Email
	}
	return t.job.Channel != h.Channel
}

// idle tells whether there is nothing to bring to an outcome.
func (t *task) idle() bool { return t.foreign || t.fault != nil || t.same != nil }

func (t *task) decode(r *topology.Record) {
	t.record = r
	job, err := topology.DecodeJob(r.Value)
	t.job = job
	if err == nil {
		return
	}
	if !errors.As(err, &t.fault) {
		t.fault = &topology.Fault{Reason: topology.ReasonInvalid, Detail: "the record cannot be read as a job"}
	}
}

// findTemplates looks up the tasks' templates. Before one counts as unknown,
// the templates catch up with what is published; where they cannot, the batch
// ends before it and the error says why.
func (d *batch) findTemplates(ctx context.Context) error {
	caughtUp := false
	for i := range d.tasks {
		t := &d.tasks[i]
		if t.idle() {
			continue
		}
		var known bool
		if t.template, known = d.Templates.Template(t.job.Template); known {
			continue
		}
		if !caughtUp {
			if err := d.catchUp(ctx); err != nil {
				d.tasks = d.tasks[:i]
				return err
			}
			caughtUp = true
			t.template, known = d.Templates.Template(t.job.Template)
		}
		if !known {
			t.template = nil
		}
	}
	return nil
}

// catchUpTime bounds one try to catch up with the templates.
const catchUpTime = 30 * time.Second

func (d *batch) catchUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, catchUpTime)
	defer cancel()
	return d.Templates.CatchUp(ctx)
}

// result makes the outputs of the tasks that are done, up to the first that is
// not.
func (d *batch) result() consumer.Result {
	for i := range d.tasks {
		t := &d.tasks[i]
		switch source := t.source(); {
		case t.foreign:
		case t.fault != nil:
			d.out = append(d.out, d.Names.DeadLetter(d.Lane, t.record, t.fault, topology.RoleDeliver, d.Now()))
		case source.settled:
			d.emit(t, &source.outcome)
		default:
			return consumer.Result{Out: d.out, Handled: i}
		}
	}
	return consumer.Result{Out: d.out, Handled: len(d.tasks)}
}

// source is the task that the outcome comes from.
func (t *task) source() *task {
	if t.same != nil {
		return t.same
	}
	return t
}

func (d *batch) emit(t *task, o *outcome) {
	entry := o.entry(&t.job)
	d.out = append(d.out, topology.Record{
		Topic:   d.log,
		Key:     []byte(t.job.EventID),
		Value:   d.write(&entry),
		Headers: t.source().span.Carry(topology.CarriedByEntries(t.record.Headers)),
	})
	switch {
	case t.same != nil:
	case t.wait != nil:
		d.out = append(d.out, d.waiting(t))
	case o.again && o.attempt == t.job.Attempt:
		d.out = append(d.out, d.retry(t, o))
	}
}

const (
	slabBytes  = 64 << 10
	entryBytes = 640 // that most entries stay below
)

// write encodes an entry into the shared buffer.
func (d *batch) write(e *topology.Entry) []byte {
	if cap(d.slab)-len(d.slab) < entryBytes {
		d.slab = make([]byte, 0, slabBytes)
	}
	start := len(d.slab)
	out := e.Append(d.slab[start:start:cap(d.slab)])
	if start+len(out) <= cap(d.slab) {
		d.slab = d.slab[:start+len(out)]
	}
	return out[:len(out):len(out)]
}
