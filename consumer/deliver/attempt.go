package deliver

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/deliver/recipient/address"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

// attempt brings one claimed job to an outcome: it looks at everything that
// may keep it from being sent, and then sends it. A crash on the way is this
// job's outcome, and no other's.
func (h *Handler) attempt(ctx context.Context, t *task) (o outcome) {
	defer func() {
		if cause := recover(); cause != nil {
			h.Log.Error().Str("event_id", string(t.job.EventID)).Str("job_id", string(t.job.JobID)).
				Err(fmt.Errorf("panic: %v\n%s", cause, debug.Stack())).
				Msg("delivering this job crashed; it is now a delivery error. Please report this defect")
			o = h.failed(t, topology.ReasonInternalError, "delivering this job crashed; the log has the stack")
		}
	}()
	if t.claim == takenOver {
		h.noteAmbiguous(t, "a deliverer died while it had this job; it may have been sent")
		if t.policy().HoldAmbiguous {
			return h.failed(t, topology.ReasonAmbiguous, "a deliverer died while it had this job: it may have been sent, and is not sent again")
		}
	}
	if h.late(t) {
		return h.expired(t, t.inDoubt())
	}
	if o, stopped := h.ignored(t); stopped {
		return o
	}
	m, err := h.render(t)
	if err != nil {
		return h.failed(t, err.Reason, err.Detail)
	}
	r := h.routes[t.job.Channel]
	if r == nil {
		return h.failed(t, topology.ReasonNoProvider, "no provider is configured for channel "+string(t.job.Channel))
	}
	return h.send(ctx, t, r.provider, &m)
}

// ignored is the outcome of a job that is not to be sent at all.
func (h *Handler) ignored(t *task) (o outcome, stopped bool) {
	reason, detail := address.Check(t.job.Channel, t.job.To), ""
	switch {
	case reason != topology.NoReason:
		return h.outcome(t, topology.Ignored, reason, ""), true
	case t.order.Killed():
		reason, detail = topology.ReasonKilled, t.order.Detail()
	case t.isBarred():
		reason, detail = t.barred.Reason, t.barred.Detail
	default:
		return outcome{}, false
	}
	if t.inDoubt() {
		return h.failed(t, topology.ReasonAmbiguous, "it may have been sent; it is "+string(reason)+" since, so it is not sent again"), true
	}
	return h.outcome(t, topology.Ignored, reason, detail), true
}

// inDoubt tells whether the job may have been sent before it was claimed.
func (t *task) inDoubt() bool { return t.claim == takenOver || t.claim == doubted }

// render makes the message of a job.
func (h *Handler) render(t *task) (template.Message, *topology.Fault) {
	if t.template == nil {
		return template.Message{}, &topology.Fault{
			Reason: topology.ReasonTemplateMissing,
			Detail: "this version of the template is not published, or has been retired",
		}
	}
	event, err := t.job.DecodeEvent(t.record.Headers)
	if err != nil {
		return template.Message{}, &topology.Fault{Reason: topology.ReasonRenderFailed, Detail: "the job's event: " + err.Error()}
	}
	m, err := t.template.Render(&event, t.job.Language)
	if err != nil {
		return template.Message{}, renderFault(err)
	}
	if m.Channel != t.job.Channel {
		return template.Message{}, &topology.Fault{
			Reason: topology.ReasonRenderFailed,
			Detail: "the template is for channel " + string(m.Channel) + ", and the job for " + string(t.job.Channel),
		}
	}
	if t.job.Channel != topology.Webhook {
		m.To = t.job.To
	}
	return m, nil
}

// renderFault takes an error's text only from where it is known to have
// nothing of the event.
func renderFault(err error) *topology.Fault {
	var e *template.Error
	if errors.As(err, &e) {
		return &topology.Fault{Reason: e.Reason, Detail: e.Error()}
	}
	return &topology.Fault{Reason: topology.ReasonRenderFailed, Detail: "the template failed on this event"}
}

// send tries to hand the message over, again where the provider has failed
// for now, or may have accepted it and the template says to risk a second one.
func (h *Handler) send(ctx context.Context, t *task, p provider.Provider, m *template.Message) (o outcome) {
	doubt, tried, wait := t.inDoubt(), false, h.TryAgainAfter
	by := p.Name()
	defer func() { o.provider = field(by) }()
	for try := 1; ; try++ {
		if h.late(t) {
			return h.expired(t, doubt)
		}
		sending, end := t.span.Send(ctx, by)
		answer := p.Send(sending, &t.job, m)
		end(answer.Verdict.String())
		if answer.Provider != "" {
			by = answer.Provider
		}
		switch answer.Verdict {
		case provider.Throttled:
			// As if the job had not been claimed, unless it has been tried.
			t.noRoom = !tried
			return h.givenUp(t, answer, doubt)
		case provider.Accepted:
			o := h.outcome(t, topology.Sent, topology.NoReason, answer.Detail)
			o.messageID = field(answer.MessageID)
			return o
		case provider.Skipped:
			return h.outcome(t, topology.Ignored, answer.Reason, answer.Detail)
		case provider.Rejected:
			return h.failed(t, topology.ReasonProviderRejected, answer.Detail)
		case provider.Expired:
			return h.expired(t, doubt)
		case provider.Unknown:
			doubt = true
			h.noteAmbiguous(t, "the provider may have accepted this message")
			if t.policy().HoldAmbiguous {
				return h.failed(t, topology.ReasonAmbiguous, answer.Detail)
			}
		}
		tried = true
		// One that says when to come back is asked again then, and not before.
		if try >= h.Tries || answer.RetryAfter > 0 || !sleep(ctx, wait) {
			return h.givenUp(t, answer, doubt)
		}
		wait *= 2
	}
}

// givenUp is the outcome of an attempt whose every try failed: another attempt
// later, or the end.
func (h *Handler) givenUp(t *task, last provider.Response, doubt bool) outcome {
	o := h.outcome(t, topology.PendingDelivery, topology.ReasonTransient, last.Detail)
	if due, more := h.due(t, o.at, last.RetryAfter); more {
		o.again, o.doubt, o.due = true, doubt, due.UTC().Truncate(time.Millisecond)
		return o
	}
	switch {
	case doubt:
		return h.failed(t, topology.ReasonAmbiguous, last.Detail)
	case last.Verdict == provider.Down:
		return h.failed(t, topology.ReasonProviderDown, last.Detail)
	}
	return h.failed(t, topology.ReasonRetriesExhausted, last.Detail)
}

// late tells whether a job's validity has ended.
func (h *Handler) late(t *task) bool {
	return !t.job.Expires.IsZero() && !h.Now().Before(t.job.Expires)
}

// expired is the outcome of a late job, unless it may have been sent before.
func (h *Handler) expired(t *task, doubt bool) outcome {
	if doubt {
		return h.failed(t, topology.ReasonAmbiguous, "it may have been sent; its validity has ended since, so it is not sent again")
	}
	return h.outcome(t, topology.Expired, topology.ReasonExpired, "")
}

func (h *Handler) failed(t *task, reason topology.Reason, detail string) outcome {
	return h.outcome(t, topology.DeliveryError, reason, detail)
}

func (h *Handler) outcome(t *task, status topology.Status, reason topology.Reason, detail string) outcome {
	o := newOutcome(&t.job, status, reason, h.Now())
	o.detail = field(detail)
	return o
}

// unreadable is the outcome of a job of which Redis cannot tell whether it was
// sent.
func (h *Handler) unreadable(t *task) outcome {
	return h.failed(t, topology.ReasonAmbiguous, "the job's claim in Redis cannot be read, so whether it was sent is not known")
}

func (h *Handler) noteAmbiguous(t *task, what string) {
	h.Counters.Ambiguous.Add(1)
	h.Log.Warn().Str("event_id", string(t.job.EventID)).Str("job_id", string(t.job.JobID)).
		Str("template", string(t.job.Template)).Bool("hold", t.policy().HoldAmbiguous).
		Str("reason", string(topology.ReasonAmbiguous)).Msg(what)
}
