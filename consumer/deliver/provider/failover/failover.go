// Package failover is a provider.Provider made of the providers that a channel has: it chooses one for each message,
// keeps within their limits, passes over those whose circuit breaker is open, and goes on to the next only where a
// message was definitely not accepted.
package failover

import (
	"cmp"
	"context"
	"errors"
	"hash/fnv"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

// Order is how the first provider for a message is chosen. The others follow in their order.
type Order string

const (
	// Failover takes the first of the list.
	Failover Order = "failover"
	// Weighted spreads messages by the providers' weights.
	Weighted Order = "weighted"
)

// Config says which providers there are.
type Config struct {
	// Name of the whole.
	Name string
	// Order. Default Failover.
	Order Order
	// Backends, at least one.
	Backends []Backend
	// Stopped reports whether an operator has stopped a provider. Default none is.
	Stopped func(provider string) bool
	// Tell is told what happens to a provider, with its last failure. Default nobody is.
	Tell func(provider string, what Turn, last provider.Response)
}

// Turn is what happens to a provider.
type Turn string

const (
	Failing Turn = "failing"        // for the first time since a minute at least
	Opened  Turn = "circuit open"   // it is asked nothing for a while
	Closed  Turn = "circuit closed" // it has taken a message again
)

// calm is how long a provider has not failed when its next failure is told.
const calm = time.Minute

// Backend is one provider of a Route.
type Backend struct {
	provider.Provider
	// Weight in Order Weighted, at least 1 then.
	Weight int
	// Limiter of what it is handed. Default none.
	Limiter Limiter
	Breaker Breaker
}

// Limiter lets messages pass within a provider's limits.
type Limiter interface {
	// Pass waits until a message may go to the provider. done must be called
	// when it is not there any more. The error is ctx's.
	Pass(ctx context.Context) (done func(), err error)
	// Waits are how many messages had to wait, in vain too, and for how long in all.
	Waits() (messages int64, total time.Duration)
}

// Route is the way of a channel's messages to its providers. It is safe for use by several goroutines.
type Route struct {
	config      Config
	backends    []*backend
	weights     uint64 // of all backends
	concurrency int    // of all backends
}

// New makes a Route, or says what is wrong.
func New(c Config) (*Route, error) {
	if len(c.Backends) == 0 {
		return nil, errors.New("there is no provider")
	}
	c.Order = cmp.Or(c.Order, Failover)
	if c.Stopped == nil {
		c.Stopped = func(string) bool { return false }
	}
	if c.Tell == nil {
		c.Tell = func(string, Turn, provider.Response) {}
	}
	r := &Route{config: c}
	for _, b := range c.Backends {
		if c.Order == Weighted && b.Weight < 1 {
			return nil, errors.New("every weight must be at least 1")
		}
		r.backends = append(r.backends, newBackend(b, c.Tell))
		r.weights += uint64(max(b.Weight, 0))
		r.concurrency += b.Concurrency()
	}
	return r, nil
}

// Name implements provider.Provider.
func (r *Route) Name() string { return r.config.Name }

// Names implements provider.Composite.
func (r *Route) Names() (names []string) {
	for _, b := range r.backends {
		names = append(names, b.Name())
	}
	return names
}

// Concurrency implements provider.Provider.
func (r *Route) Concurrency() int { return r.concurrency }

// Instant implements provider.Instant: no provider that may be asked makes this job's message wait for anything.
func (r *Route) Instant(job *topology.Job) bool {
	return !slices.ContainsFunc(r.backends, func(b *backend) bool { return !b.isInstant(job) })
}

// Send implements provider.Provider. Providers are tried in turn for as long as none may have accepted the message and
// there is time. Throttled means that no provider was handed it, and that the limit of one whose circuit is not open
// let nothing pass.
func (r *Route) Send(ctx context.Context, job *topology.Job, m *template.Message) provider.Response {
	first := r.first(job.JobID)
	last := provider.Response{Verdict: provider.Down, Detail: "every provider is stopped by an operator's order"}
	throttled, triedAny := false, false
	for i := range r.backends {
		b := r.backends[(first+i)%len(r.backends)]
		if r.config.Stopped(b.Name()) {
			continue
		}
		response, tried := b.send(ctx, job, m)
		response.Provider = b.Name()
		triedAny = triedAny || tried
		switch response.Verdict {
		case provider.Failed, provider.Down:
			if last.Provider != "" { // any of them may be asked again as soon as the first may
				response.RetryAfter = min(last.RetryAfter, response.RetryAfter)
			}
			last = response
		case provider.Throttled:
			throttled = true
		default:
			return response
		}
		if ctx.Err() != nil {
			break // whoever is asked now can only fail
		}
	}
	if throttled && !triedAny {
		return provider.Response{Verdict: provider.Throttled}
	}
	return last
}

// first is the index of a job's first provider: the same each time, for only
// who has seen a message before can know it again.
func (r *Route) first(id topology.JobID) int {
	if r.config.Order != Weighted {
		return 0
	}
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(id))
	// The low bits of similar ids are alike.
	point := (hash.Sum64() >> 20) % r.weights
	for i, b := range r.backends {
		if point < uint64(b.Weight) {
			return i
		}
		point -= uint64(b.Weight)
	}
	return 0
}

// Stats are what a provider has been handed since the start.
type Stats struct {
	Provider string
	// Sends by verdict.
	Sends map[provider.Verdict]int64
	// Sending is how long they took in all.
	Sending time.Duration
	// Open reports whether its circuit breaker is open, Opened how often it has opened.
	Open   bool
	Opened int64
	// Waits are how many messages had to wait for its limit, Waited how long in
	// all: of this process, through all Routes with the same Limiter.
	Waits  int64
	Waited time.Duration
}

// Stats returns those of each provider.
func (r *Route) Stats() []Stats {
	all := make([]Stats, len(r.backends))
	for i, b := range r.backends {
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
		all[i] = s
	}
	return all
}

// Breaker says when a provider's circuit opens, so that it is not asked. The zero value is the default.
type Breaker struct {
	// Failures in a row after which it does. Default 5.
	Failures int
	// Open is for how long, before one message tries whether it is back. Default 15 s.
	Open time.Duration
}

// backend is a provider with its breaker and its counters.
type backend struct {
	Backend
	breaker *gobreaker.TwoStepCircuitBreaker[provider.Response]
	slots   chan struct{} // as many as messages may be with the provider at once
	places  chan struct{} // as many as may be there with those whose answers are late

	sends    [provider.Throttled + 1]atomic.Int64
	sending  atomic.Int64
	opened   atomic.Int64
	openedAt atomic.Int64 // Unix nanoseconds

	tell     func(provider string, what Turn, last provider.Response)
	failure  atomic.Pointer[failure] // the last
	failedAt atomic.Int64            // Unix nanoseconds
	since    atomic.Int64            // when failures began, in Unix nanoseconds; 0 after another answer
}

type failure struct {
	provider.Response
	at time.Time
}

// keep keeps the last failure.
func (b *backend) keep(response provider.Response) {
	now := time.Now()
	b.failure.Store(&failure{response, now})
	b.since.CompareAndSwap(0, now.UnixNano())
}

func newBackend(of Backend, tell func(string, Turn, provider.Response)) *backend {
	of.Breaker.Failures = cmp.Or(max(of.Breaker.Failures, 0), 5)
	of.Breaker.Open = cmp.Or(max(of.Breaker.Open, 0), 15*time.Second)
	most := max(of.Concurrency(), 1)
	b := &backend{
		Backend: of, tell: tell, slots: make(chan struct{}, most), places: make(chan struct{}, most*(1+mostLate)),
	}
	b.breaker = gobreaker.NewTwoStepCircuitBreaker[provider.Response](gobreaker.Settings{
		Name:    of.Name(),
		Timeout: of.Breaker.Open,
		ReadyToTrip: func(counts gobreaker.Counts) bool {
			return counts.ConsecutiveFailures >= uint32(of.Breaker.Failures)
		},
		IsExcluded: func(err error) bool { return errors.Is(err, errNotTried) },
		OnStateChange: func(_ string, _, to gobreaker.State) {
			switch to {
			case gobreaker.StateOpen:
				b.opened.Add(1)
				b.openedAt.Store(time.Now().UnixNano())
				tell(b.Name(), Opened, b.failure.Load().Response)
			case gobreaker.StateClosed:
				tell(b.Name(), Closed, b.failure.Load().Response)
			}
		},
	})
	return b
}

// isInstant reports whether a message need not wait for anything here.
func (b *backend) isInstant(job *topology.Job) bool {
	p, some := b.Provider.(provider.Instant)
	return b.Limiter == nil && some && p.Instant(job)
}

// send hands a message to the provider, if its circuit is not open, once its limits let it pass; tried reports whether
// it did. A limit says nothing of the provider, and is waited for before the breaker is asked.
func (b *backend) send(
	ctx context.Context, job *topology.Job, m *template.Message,
) (response provider.Response, tried bool) {
	if b.breaker.State() == gobreaker.StateOpen {
		return b.circuitOpen(), false
	}
	if job.Expired(time.Now()) {
		b.sends[provider.Expired].Add(1)
		return provider.Response{Verdict: provider.Expired}, false
	}
	if !b.isInstant(job) {
		release, err := b.acquire(ctx, job)
		if err != nil {
			b.sends[provider.Throttled].Add(1)
			return provider.Response{Verdict: provider.Throttled}, false
		}
		defer func() { release(response.Late != nil) }()
	}
	report, err := b.breaker.Allow()
	if err != nil {
		return b.circuitOpen(), false
	}
	began := time.Now()
	response = provider.Response{Verdict: provider.Unknown}
	defer func() { // also when Send crashes
		if response.Late != nil { // what it is in the end is counted and told when it has answered
			b.keep(response)
			report(errFailed)
			response.Late = &late{Late: response.Late, backend: b, began: began}
			return
		}
		switch {
		case response.Verdict == provider.Throttled:
			report(errNotTried)
		case b.failed(response):
			report(errFailed)
		default:
			report(nil) // it is there, and may take other messages
		}
		b.answered(response.Verdict, began)
	}()
	response = b.Send(ctx, job, m)
	return response, response.Verdict != provider.Throttled
}

// failed reports whether an answer is a failure of the provider, keeps it as its last one, and tells of it.
func (b *backend) failed(response provider.Response) bool {
	failures := []provider.Verdict{provider.Failed, provider.Down, provider.Unknown}
	if response.OfMessage || !slices.Contains(failures, response.Verdict) {
		b.since.Store(0)
		return false
	}
	b.keep(response)
	now := time.Now().UnixNano()
	if now-b.failedAt.Swap(now) > int64(calm) {
		b.tell(b.Name(), Failing, response)
	}
	return true
}

func (b *backend) answered(verdict provider.Verdict, began time.Time) {
	b.sends[verdict].Add(1)
	b.sending.Add(int64(time.Since(began)))
}

// mostLate is how many times as many messages as may be with a provider at once it may have besides, whose answers
// are late: they hold up no others, and are not without number.
const mostLate = 4

// late is an answer that is waited for while its message has a place. That it has not come in time is a failure to the
// breaker, as the provider may hang: one that is only slow has answers between that come in time.
type late struct {
	provider.Late
	backend *backend
	began   time.Time
}

// Wait implements provider.Late.
func (l *late) Wait(ctx context.Context) provider.Response {
	defer func() { <-l.backend.places }()
	response := l.Late.Wait(ctx)
	response.Provider = l.backend.Name()
	if response.Late == nil {
		l.backend.failed(response)
	}
	l.backend.answered(response.Verdict, l.began)
	return response
}

// waitShare is the part of the time that is left that a message may wait for a limit. The rest is the provider's: one
// that is cut short may have accepted the message.
const waitShare = 4

// acquire waits until the provider may be handed one more: for a part of the time that there is, and at most until the
// job expires. release must be called when the try is over, and told whether the answer is late: then the message keeps
// its place.
func (b *backend) acquire(ctx context.Context, job *topology.Job) (release func(late bool), err error) {
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
	select {
	case b.places <- struct{}{}:
	case <-ctx.Done():
		<-b.slots
		return nil, ctx.Err()
	}
	if b.Limiter == nil {
		return b.release, nil
	}
	done, err := b.Limiter.Pass(ctx)
	if err != nil {
		b.release(false)
		return nil, err
	}
	return func(late bool) { done(); b.release(late) }, nil
}

func (b *backend) release(late bool) {
	<-b.slots
	if !late {
		<-b.places
	}
}

var (
	errFailed   = errors.New("the provider failed")
	errNotTried = errors.New("nothing was tried, which tells nothing of the provider")
)

func (b *backend) circuitOpen() provider.Response {
	again := time.Until(time.Unix(0, b.openedAt.Load()).Add(b.Breaker.Open))
	return provider.Response{
		Verdict: provider.Down, RetryAfter: max(again, time.Second),
		Detail: "its circuit is open: it has failed several times in a row, the last time so: " + b.failure.Load().Detail,
	}
}
