package deliver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/consumer/tracing"
	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/retry"
)

// send is the stages render and send: it brings a claimed job to an outcome,
// tells the Meter and draws the trace.
func (h *Handler) send(ctx context.Context, d *delivery, trace *tracing.Batch) {
	began := h.config.Now()
	d.span, d.throttled = trace.Child(d.record), false
	defer d.span.End()
	d.outcome = h.attempt(ctx, d)
	if d.throttled {
		return
	}
	if d.span != nil {
		entry := d.outcome.entry(&d.job)
		d.span.Entry(&entry)
	}
	queued := max(began.Sub(d.wantedAt()), 0)
	if d.late != nil {
		h.await(d, began, queued)
		return
	}
	h.measure(&d.outcome, began, queued)
}

func (h *Handler) measure(o *outcome, began time.Time, queued time.Duration) {
	if h.config.Meter != nil {
		h.config.Meter.Attempted(&Attempt{
			Number: o.attempt, Provider: o.provider, Status: o.status, Reason: o.reason, WillRetry: o.retry,
			Queued: queued, Sending: max(h.config.Now().Sub(began), 0),
		})
	}
}

// attempt looks at everything that may keep a job from being sent, and then
// sends it. A crash on the way is this job's outcome, and no other's.
func (h *Handler) attempt(ctx context.Context, d *delivery) (o outcome) {
	defer func() {
		if cause := recover(); cause != nil {
			h.crashed(&d.job, cause, "delivering this job crashed; it is now a delivery error")
			o = h.end(d, failure(topology.ReasonInternalError, "delivering this job crashed; the log has the stack"))
		}
	}()
	if d.claim == leaseExpired {
		h.noteAmbiguous(d, "a deliverer died while it had this job, or Redis lost its claim; it may have been sent")
	}
	d.readAddress(h.config.Region)
	if end := beforeSending(d, d.clock(h.config.Now())); end != (ending{}) {
		return h.end(d, end)
	}
	m, end := render(d)
	if d.template == nil && h.config.Templates.Unreadable(string(d.job.Template)) {
		return h.giveUp(d, &provider.Response{Detail: "the template cannot be read here: it may be of a later release"},
			d.claim != granted)
	}
	if end != (ending{}) {
		return h.end(d, end)
	}
	if d.route.provider == nil {
		return h.end(d, failure(topology.ReasonNoProvider, "no provider is configured for channel "+string(d.job.Channel)))
	}
	return h.handOver(ctx, d, &m)
}

func (h *Handler) crashed(job *topology.Job, cause any, what string) {
	h.config.Log.Error().Str("event_id", string(job.EventID)).Str("job_id", string(job.JobID)).
		Err(fmt.Errorf("panic: %v\n%s", cause, debug.Stack())).Msg(what + ". Please report this defect")
}

// render makes the message of a job, or says why there is none.
func render(d *delivery) (template.Message, ending) {
	if d.template == nil {
		return template.Message{}, failure(topology.ReasonTemplateMissing,
			"this version of the template is not published, or has been retired")
	}
	if d.eventErr != nil {
		return template.Message{}, failure(topology.ReasonRenderFailed, "the job's event: "+d.eventErr.Error())
	}
	m, err := d.template.Render(&d.event, d.job.Language)
	var known *template.Error
	switch {
	case errors.As(err, &known):
		return template.Message{}, failure(known.Reason, known.Error())
	case err != nil: // whose text may have something of the event
		return template.Message{}, failure(topology.ReasonRenderFailed, "the template failed on this event")
	case m.Channel != d.job.Channel:
		return template.Message{}, failure(topology.ReasonRenderFailed,
			"the template is for channel "+string(m.Channel)+", and the job for "+string(d.job.Channel))
	case d.job.Channel != topology.Webhook:
		m.To = d.to
	}
	return m, ending{}
}

// handOver hands the message to the provider, again where that has failed for
// now. Where it may have accepted it, no other try follows in this attempt.
func (h *Handler) handOver(ctx context.Context, d *delivery, m *template.Message) (o outcome) {
	p, ambiguous, pause := d.route.provider, d.claim != granted, h.config.TryAgainAfter
	by := p.Name()
	defer func() { o.provider = field(by) }()
	for try := 1; ; try++ {
		if d.job.Expired(h.config.Now()) {
			return h.end(d, expiry(ambiguous))
		}
		sending, ended := d.span.Send(ctx, by)
		answer := p.Send(sending, &d.job, m)
		ended(answer.Verdict.String())
		by = cmp.Or(answer.Provider, by)
		switch answer.Verdict {
		case provider.Failed, provider.Down:
			// One that says when to come back is asked again then, and not before.
			if try < h.config.Tries && answer.RetryAfter == 0 && retry.Sleep(ctx, pause) {
				pause *= 2
				continue
			}
		case provider.Throttled:
			d.throttled = try == 1
		}
		if d.late = answer.Late; d.late != nil {
			return h.end(d, ending{topology.PendingDelivery, topology.ReasonTransient, answer.Detail})
		}
		return h.conclude(d, &answer, ambiguous)
	}
}

// conclude brings an attempt to its outcome by the last answer.
func (h *Handler) conclude(d *delivery, answer *provider.Response, ambiguous bool) outcome {
	if answer.Verdict == provider.Unknown {
		ambiguous = true
		h.noteAmbiguous(d, "the provider may have accepted this message")
	}
	end := afterAnswer(answer, d.policy, ambiguous)
	if end == (ending{}) {
		return h.giveUp(d, answer, ambiguous)
	}
	o := h.end(d, end)
	if answer.Verdict == provider.Accepted {
		o.messageID = field(answer.MessageID)
	}
	return o
}

// giveUp ends an attempt whose every try failed: another follows later, or the
// delivery ends.
func (h *Handler) giveUp(d *delivery, last *provider.Response, ambiguous bool) outcome {
	o := h.end(d, ending{topology.PendingDelivery, topology.ReasonTransient, last.Detail})
	due, more := nextAttempt(d, o.at, last.RetryAfter, h.config.Retries)
	if !more {
		return h.end(d, afterTries(last, ambiguous))
	}
	o.retry, o.ambiguous, o.due = true, ambiguous, due.UTC().Truncate(time.Millisecond)
	return o
}

func (h *Handler) end(d *delivery, end ending) outcome {
	return newOutcome(&d.job, end, h.config.Now())
}

func (h *Handler) noteAmbiguous(d *delivery, what string) {
	h.Counters.Ambiguous.Add(1)
	h.config.Log.Warn().Str("event_id", string(d.job.EventID)).Str("job_id", string(d.job.JobID)).
		Str("template", string(d.job.Template)).Bool("hold", d.policy.HoldAmbiguous).
		Str("reason", string(topology.ReasonAmbiguous)).Msg(what)
}
