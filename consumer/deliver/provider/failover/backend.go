package failover

import (
	"cmp"
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

// Breaker says when a provider's circuit opens, so that it is not asked. The
// zero value is the default.
type Breaker struct {
	// Failures in a row after which it does. Default 5.
	Failures int
	// Open is for how long, before one message tries whether it is back.
	// Default 15 s.
	Open time.Duration
}

// backend is a provider with its breaker and its counters.
type backend struct {
	Backend
	breaker *gobreaker.TwoStepCircuitBreaker[provider.Response]
	instant provider.Instant // nil if the provider has no such answers
	// slots are as many as messages may be with the provider at once.
	slots chan struct{}

	sends    [provider.Throttled + 1]atomic.Int64
	sending  atomic.Int64
	opened   atomic.Int64
	openedAt atomic.Int64 // Unix nanoseconds
}

func newBackend(of Backend) *backend {
	of.Breaker.Failures = cmp.Or(max(of.Breaker.Failures, 0), 5)
	of.Breaker.Open = cmp.Or(max(of.Breaker.Open, 0), 15*time.Second)
	b := &backend{Backend: of, slots: make(chan struct{}, max(of.Concurrency(), 1))}
	b.instant, _ = of.Provider.(provider.Instant)
	b.breaker = gobreaker.NewTwoStepCircuitBreaker[provider.Response](gobreaker.Settings{
		Name:    of.Name(),
		Timeout: of.Breaker.Open,
		ReadyToTrip: func(counts gobreaker.Counts) bool {
			return counts.ConsecutiveFailures >= uint32(of.Breaker.Failures)
		},
		OnStateChange: func(_ string, _, to gobreaker.State) {
			if to == gobreaker.StateOpen {
				b.opened.Add(1)
				b.openedAt.Store(time.Now().UnixNano())
			}
		},
	})
	return b
}

// isInstant reports whether a message need not wait for anything here.
func (b *backend) isInstant(job *topology.Job) bool {
	return b.Limiter == nil && b.instant != nil && b.instant.Instant(job)
}

// send hands a message to the provider, if its circuit is not open, once its
// limits let it pass; tried reports whether it did. A limit says nothing of the
// provider, and is waited for before the breaker is asked.
func (b *backend) send(
	ctx context.Context, job *topology.Job, m *template.Message,
) (response provider.Response, tried bool) {
	if b.breaker.State() == gobreaker.StateOpen {
		return b.circuitOpen(), false
	}
	if !b.isInstant(job) {
		release, err := b.acquire(ctx, job)
		if err != nil {
			b.sends[provider.Throttled].Add(1)
			return provider.Response{Verdict: provider.Throttled}, false
		}
		defer release()
	}
	began := time.Now()
	if !job.Expires.IsZero() && !began.Before(job.Expires) {
		b.sends[provider.Expired].Add(1)
		return provider.Response{Verdict: provider.Expired}, false
	}
	report, err := b.breaker.Allow()
	if err != nil {
		return b.circuitOpen(), false
	}
	response = provider.Response{Verdict: provider.Unknown}
	defer func() { // also when Send crashes
		switch response.Verdict {
		case provider.Failed, provider.Down, provider.Unknown: // what may pass when it is not asked for a while
			report(errFailed)
		default:
			report(nil)
		}
		b.sends[response.Verdict].Add(1)
		b.sending.Add(int64(time.Since(began)))
	}()
	response = b.Send(ctx, job, m)
	return response, response.Verdict != provider.Throttled
}

// waitShare is the part of the time that is left that a message may wait for a
// limit. The rest is the provider's: one that is cut short may have accepted the
// message.
const waitShare = 4

// acquire waits until the provider may be handed one more: for a part of the
// time that there is, and at most until the job expires. release must be called
// when the message is not with the provider any more.
func (b *backend) acquire(ctx context.Context, job *topology.Job) (release func(), err error) {
	cancel := func() {}
	if end, bounded := ctx.Deadline(); bounded {
		ctx, cancel = context.WithTimeout(ctx, time.Until(end)/waitShare)
	}
	defer cancel()
	if !job.Expires.IsZero() {
		ctx, cancel = context.WithDeadline(ctx, job.Expires)
		defer cancel()
	}
	select {
	case b.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if b.Limiter == nil {
		return b.release, nil
	}
	done, err := b.Limiter.Pass(ctx)
	if err != nil {
		b.release()
		return nil, err
	}
	return func() { done(); b.release() }, nil
}

func (b *backend) release() { <-b.slots }

var errFailed = errors.New("the provider failed")

func (b *backend) circuitOpen() provider.Response {
	again := time.Until(time.Unix(0, b.openedAt.Load()).Add(b.Breaker.Open))
	return provider.Response{
		Verdict: provider.Down, RetryAfter: max(again, time.Second),
		Detail: "the provider has failed several times in a row, and its circuit breaker is open",
	}
}

func (b *backend) stats() Stats {
	s := Stats{
		Provider: b.Name(), Sends: make(map[provider.Verdict]int64), Sending: time.Duration(b.sending.Load()),
		Open: b.breaker.State() == gobreaker.StateOpen, Opened: b.opened.Load(),
	}
	for verdict := range b.sends {
		if n := b.sends[verdict].Load(); n > 0 {
			s.Sends[provider.Verdict(verdict)] = n
		}
	}
	if b.Limiter != nil {
		s.Waits, s.Waited = b.Limiter.Waits()
	}
	return s
}
