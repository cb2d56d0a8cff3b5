// Package failover is a provider.Provider made of the providers that a channel
// has: it chooses one for each message, keeps within their limits, passes over
// those whose circuit breaker is open, and goes on to the next only where a
// message was definitely not accepted.
package failover

import (
	"cmp"
	"context"
	"errors"
	"hash/fnv"
	"slices"
	"time"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

// Order is how the first provider for a message is chosen. The others follow in
// their order.
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
}

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
	// Waits are how many messages had to wait, in vain too, and for how long in
	// all.
	Waits() (messages int64, total time.Duration)
}

// Route is the way of a channel's messages to its providers. It is safe for use
// by several goroutines.
type Route struct {
	config      Config
	backends    []*backend
	weights     uint64
	names       []string
	concurrency int // of all backends
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
	r := &Route{config: c}
	for _, b := range c.Backends {
		if c.Order == Weighted && b.Weight < 1 {
			return nil, errors.New("every weight must be at least 1")
		}
		r.backends = append(r.backends, newBackend(b))
		r.names = append(r.names, b.Name())
		r.weights += uint64(max(b.Weight, 0))
		r.concurrency += b.Concurrency()
	}
	return r, nil
}

// Name implements provider.Provider.
func (r *Route) Name() string { return r.config.Name }

// Names implements provider.Composite.
func (r *Route) Names() []string { return r.names }

// Concurrency implements provider.Provider.
func (r *Route) Concurrency() int { return r.concurrency }

// Instant implements provider.Instant: no provider that may be asked makes this
// job's message wait for anything.
func (r *Route) Instant(job *topology.Job) bool {
	return !slices.ContainsFunc(r.backends, func(b *backend) bool { return !b.isInstant(job) })
}

// Send implements provider.Provider. Providers are tried in turn for as long as
// none may have accepted the message and there is time. Throttled means that no
// provider was handed it, and that the limit of one whose circuit is not open
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
	// Open reports whether its circuit breaker is open, Opened how often it has
	// opened.
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
		all[i] = b.stats()
	}
	return all
}
