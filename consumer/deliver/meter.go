package deliver

import (
	"context"
	"time"

	"github.com/meddela/meddela/topology"
)

// Meter hears of what a Handler does. Several goroutines call it.
type Meter interface {
	Attempted(*Attempt)
}

// Attempt is one attempt at a job, which came to an outcome.
type Attempt struct {
	Number   int // from 1
	Template topology.TemplateRef
	Provider string // empty where none was asked
	Status   topology.Status
	Reason   topology.Reason
	// Again tells that another attempt will follow.
	Again bool
	// Queued is from when the message was wanted to when the attempt began;
	// Sending is from then to the outcome.
	Queued, Sending time.Duration
}

// observed is attempt, with the Meter told and the trace drawn.
func (d *batch) observed(ctx context.Context, t *task) outcome {
	t.span = d.trace.Child(t.record)
	began := d.Now()
	o := d.attempt(ctx, t)
	if t.noRoom {
		t.span.End()
		return o
	}
	if t.span != nil {
		entry := o.entry(&t.job)
		t.span.Entry(&entry)
		t.span.End()
	}
	if d.Meter != nil {
		d.Meter.Attempted(&Attempt{
			Number: t.job.Attempt, Template: t.job.Template, Provider: o.provider, Status: o.status, Reason: o.reason, Again: o.again,
			Queued: max(began.Sub(wantedAt(t)), 0), Sending: max(d.Now().Sub(began), 0),
		})
	}
	return o
}

// wantedAt is when a job's message was wanted: when its event was received, or
// was due, or had waited as it was to. A retry is late all the same.
func wantedAt(t *task) time.Time {
	wanted := later(t.job.ReceivedAt, t.job.NotBefore)
	if t.job.Attempt == 1 {
		wanted = later(wanted, topology.HeldUntil(t.record))
	}
	return wanted
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
