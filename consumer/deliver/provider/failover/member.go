package failover

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

// Breaker says when a provider is left alone. The zero value is the default.
type Breaker struct {
	// Failures in a row after which it is. Default 5.
	Failures int
	// Open is for how long, before one message tries whether it is back.
	// Default 15 s.
	Open time.Duration
}

const (
	defaultFailures = 5
	defaultOpen     = 15 * time.Second
)

// member is a provider with its breaker and its counters.
type member struct {
	Member
	breaker *gobreaker.TwoStepCircuitBreaker[provider.Response]
	open    time.Duration
	instant provider.Instant // nil if the provider has no such answers
	// places are as many as messages may be with the provider at once.
	places chan struct{}

	sends    [provider.NoRoom + 1]atomic.Int64
	sending  atomic.Int64
	opened   atomic.Int64
	openedAt atomic.Int64 // Unix nanoseconds
}

func newMember(m Member) *member {
	if m.Breaker.Failures < 1 {
		m.Breaker.Failures = defaultFailures
	}
	if m.Breaker.Open <= 0 {
		m.Breaker.Open = defaultOpen
	}
	of := &member{Member: m, open: m.Breaker.Open, places: make(chan struct{}, max(m.Concurrency(), 1))}
	of.instant, _ = m.Provider.(provider.Instant)
	of.breaker = gobreaker.NewTwoStepCircuitBreaker[provider.Response](gobreaker.Settings{
		Name:    m.Name(),
		Timeout: m.Breaker.Open,
		ReadyToTrip: func(counts gobreaker.Counts) bool {
			return counts.ConsecutiveFailures >= uint32(m.Breaker.Failures)
		},
		OnStateChange: func(_ string, _, to gobreaker.State) {
			if to == gobreaker.StateOpen {
				of.opened.Add(1)
				of.openedAt.Store(time.Now().UnixNano())
			}
		},
	})
	return of
}

// isInstant tells whether a message need not wait for anything here.
func (m *member) isInstant(job *topology.Job) bool {
	return m.Limiter == nil && m.instant != nil && m.instant.Instant(job)
}

// send hands a message to the provider, if it is not left alone, once there is
// room; tried tells whether it did. A limit says nothing of the provider, and is
// waited for before the breaker is asked.
func (m *member) send(ctx context.Context, job *topology.Job, text *template.Message) (answer provider.Response, tried bool) {
	if m.breaker.State() == gobreaker.StateOpen {
		return m.leftAlone(), false
	}
	if !m.isInstant(job) {
		done, err := m.room(ctx, job)
		if err != nil {
			m.sends[provider.NoRoom].Add(1)
			return provider.Response{Verdict: provider.NoRoom}, false
		}
		defer done()
	}
	began := time.Now()
	if !job.Expires.IsZero() && !began.Before(job.Expires) {
		m.sends[provider.Late].Add(1)
		return provider.Response{Verdict: provider.Late}, false
	}
	report, err := m.breaker.Allow()
	if err != nil {
		return m.leftAlone(), false
	}
	answer = provider.Response{Verdict: provider.Unknown}
	defer func() { // also when Send crashes
		report(faultOf(answer.Verdict))
		m.sends[answer.Verdict].Add(1)
		m.sending.Add(int64(time.Since(began)))
	}()
	answer = m.Send(ctx, job, text)
	return answer, answer.Verdict != provider.NoRoom
}

var errFailed = errors.New("the provider failed")

// faultOf is the error that a verdict is to the breaker: only what may pass
// when the provider is left alone.
func faultOf(v provider.Verdict) error {
	switch v {
	case provider.Failed, provider.Down, provider.Unknown:
		return errFailed
	}
	return nil
}

func (m *member) leftAlone() provider.Response {
	again := time.Until(time.Unix(0, m.openedAt.Load()).Add(m.open))
	return provider.Response{
		Verdict: provider.Down, RetryAfter: max(again, time.Second),
		Detail: "the provider has failed several times in a row and is left alone for a while",
	}
}

func (m *member) stats() Stats {
	s := Stats{
		Provider: m.Name(), Sends: make(map[provider.Verdict]int64), Sending: time.Duration(m.sending.Load()),
		Open: m.breaker.State() == gobreaker.StateOpen, Opened: m.opened.Load(),
	}
	for verdict := range m.sends {
		if n := m.sends[verdict].Load(); n > 0 {
			s.Sends[provider.Verdict(verdict)] = n
		}
	}
	if l, ok := m.Limiter.(interface{ Waits() (int64, time.Duration) }); ok {
		s.Waits, s.Waited = l.Waits()
	}
	return s
}
