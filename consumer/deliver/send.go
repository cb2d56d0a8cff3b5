package deliver

import (
	"cmp"
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/consumer/tracing"
	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/retry"
)

// attempt is a delivery on its way to a provider, with what the stages before
// have found out.
type attempt struct {
	*delivery
	barred ending     // of a job that is not to be sent at all, as hold and gate found
	claim  claimState // granted, leaseExpired or ambiguous
}

// result is what a delivery has come to. It is settled once the outcome is the
// one that stands.
type result struct {
	delivery  *delivery
	outcome   outcome
	wait      *wait         // where it goes, if it has not been claimed
	throttled bool          // nothing was tried: a limit left no room in time
	settled   bool          // the outcome is the one that stands
	span      *tracing.Span // of the attempt; nil if there was none or it is not traced
}

// sender is the stages render and send, for one claimed job at a time.
type sender struct {
	config   *Config
	counters *Counters
}

// send brings a claimed job to an outcome, tells the Meter and draws the trace.
func (s *sender) send(ctx context.Context, a *attempt, trace *tracing.Batch) *result {
	span, began := trace.Child(a.record), s.config.Now()
	r := s.attempt(ctx, a, span)
	r.span = span
	defer span.End()
	if r.throttled {
		return r
	}
	if span != nil {
		entry := r.outcome.entry(&a.job)
		span.Entry(&entry)
	}
	if s.config.Meter != nil {
		s.config.Meter.Attempted(&Attempt{
			Number: a.job.Attempt, Template: a.job.Template,
			Provider: r.outcome.provider, Status: r.outcome.status, Reason: r.outcome.reason, WillRetry: r.outcome.retry,
			Queued: max(began.Sub(a.wantedAt()), 0), Sending: max(s.config.Now().Sub(began), 0),
		})
	}
	return r
}

// attempt looks at everything that may keep a job from being sent, and then
// sends it. A crash on the way is this job's outcome, and no other's.
func (s *sender) attempt(ctx context.Context, a *attempt, span *tracing.Span) (r *result) {
	defer func() {
		if cause := recover(); cause != nil {
			s.config.Log.Error().Str("event_id", string(a.job.EventID)).Str("job_id", string(a.job.JobID)).
				Err(fmt.Errorf("panic: %v\n%s", cause, debug.Stack())).
				Msg("delivering this job crashed; it is now a delivery error. Please report this defect")
			r = s.end(a, failure(topology.ReasonInternalError, "delivering this job crashed; the log has the stack"))
		}
	}()
	if a.claim == leaseExpired {
		s.noteAmbiguous(a, "a deliverer died while it had this job; it may have been sent")
	}
	if end := beforeSending(a, s.config.Now()); end != (ending{}) {
		return s.end(a, end)
	}
	m, end := render(a.delivery)
	if end != (ending{}) {
		return s.end(a, end)
	}
	if a.route == nil {
		return s.end(a, failure(topology.ReasonNoProvider, "no provider is configured for channel "+string(a.job.Channel)))
	}
	return s.handOver(ctx, a, &m, span)
}

// handOver hands the message to the provider, again where that has failed for
// now, or may have accepted it and the template says to risk a second one.
func (s *sender) handOver(ctx context.Context, a *attempt, m *template.Message, span *tracing.Span) (r *result) {
	p, ambiguous, wait := a.route.provider, a.claim != granted, s.config.TryAgainAfter
	by := p.Name()
	defer func() {
		if r != nil { // the provider did not crash
			r.outcome.provider = field(by)
		}
	}()
	for try := 1; ; try++ {
		if a.expired(s.config.Now()) {
			return s.end(a, expiry(ambiguous))
		}
		sending, ended := span.Send(ctx, by)
		answer := p.Send(sending, &a.job, m)
		ended(answer.Verdict.String())
		by = cmp.Or(answer.Provider, by)
		if answer.Verdict == provider.Unknown {
			ambiguous = true
			s.noteAmbiguous(a, "the provider may have accepted this message")
		}
		if end := afterAnswer(&answer, a.policy, ambiguous); end != (ending{}) {
			r := s.end(a, end)
			if answer.Verdict == provider.Accepted {
				r.outcome.messageID = field(answer.MessageID)
			}
			return r
		}
		if answer.Verdict == provider.Throttled {
			r := s.giveUp(a, &answer, ambiguous)
			r.throttled = try == 1
			return r
		}
		// One that says when to come back is asked again then, and not before.
		if try >= s.config.Tries || answer.RetryAfter > 0 || !retry.Sleep(ctx, wait) {
			return s.giveUp(a, &answer, ambiguous)
		}
		wait *= 2
	}
}

// giveUp ends an attempt whose every try failed: another follows later, or the
// delivery ends.
func (s *sender) giveUp(a *attempt, last *provider.Response, ambiguous bool) *result {
	r := s.end(a, ending{topology.PendingDelivery, topology.ReasonTransient, last.Detail})
	o := &r.outcome
	if due, more := nextAttempt(a.delivery, o.at, last.RetryAfter, s.config.Retries); more {
		o.retry, o.ambiguous, o.due = true, ambiguous, due.UTC().Truncate(time.Millisecond)
		return r
	}
	return s.end(a, afterTries(last, ambiguous))
}

func (s *sender) end(a *attempt, end ending) *result {
	return &result{delivery: a.delivery, outcome: newOutcome(&a.job, end, s.config.Now())}
}

func (s *sender) noteAmbiguous(a *attempt, what string) {
	s.counters.Ambiguous.Add(1)
	s.config.Log.Warn().Str("event_id", string(a.job.EventID)).Str("job_id", string(a.job.JobID)).
		Str("template", string(a.job.Template)).Bool("hold", a.policy.HoldAmbiguous).
		Str("reason", string(topology.ReasonAmbiguous)).Msg(what)
}
