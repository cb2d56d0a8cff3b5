package failover

import (
	"context"
	"errors"
	"hash/fnv"
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
	// Members, at least one.
	Members []Member
	// Stopped tells whether an operator has stopped a provider. Default none is.
	Stopped func(provider string) bool
}

// Limiter lets messages pass that a provider has room for.
type Limiter interface {
	// Pass waits until there is room, and returns what is to be called when it
	// is free again; or ctx's error.
	Pass(ctx context.Context) (done func(), err error)
}

// Member is one provider of an Outlet.
type Member struct {
	provider.Provider
	// Weight in Order Weighted, at least 1 then.
	Weight int
	// Limiter of what it is handed. Default none.
	Limiter Limiter
	Breaker Breaker
}

// Outlet is safe for use by several goroutines.
type Outlet struct {
	config  Config
	members []*member
	weights uint64
	names   []string
	at      int // messages at once, of all members
}

// New makes an Outlet, or says what is wrong.
func New(c Config) (*Outlet, error) {
	if len(c.Members) == 0 {
		return nil, errors.New("there is no provider")
	}
	if c.Order == "" {
		c.Order = Failover
	}
	if c.Stopped == nil {
		c.Stopped = func(string) bool { return false }
	}
	o := &Outlet{config: c}
	for _, m := range c.Members {
		if c.Order == Weighted && m.Weight < 1 {
			return nil, errors.New("every weight must be at least 1")
		}
		o.members = append(o.members, newMember(m))
		o.names = append(o.names, m.Name())
		o.weights += uint64(max(m.Weight, 0))
		o.at += m.Concurrency()
	}
	return o, nil
}

// Name implements provider.Provider.
func (o *Outlet) Name() string { return o.config.Name }

// Names are those of the providers.
func (o *Outlet) Names() []string { return o.names }

// Concurrency implements provider.Provider.
func (o *Outlet) Concurrency() int { return o.at }

// Instant implements provider.Instant: no provider that may be asked makes this
// job's message wait for anything.
func (o *Outlet) Instant(job *topology.Job) bool {
	for _, m := range o.members {
		if !m.isInstant(job) {
			return false
		}
	}
	return true
}

// Send implements provider.Provider. Providers are tried in turn for as long as
// none may have accepted the message and there is time. NoRoom means that no
// provider was handed it, and that one that is not left alone had no room.
func (o *Outlet) Send(ctx context.Context, job *topology.Job, m *template.Message) provider.Response {
	first := o.first(job.JobID)
	last := provider.Response{Verdict: provider.Down, Detail: "every provider is stopped by an operator's order"}
	noRoom, triedAny := false, false
	for i := range o.members {
		member := o.members[(first+i)%len(o.members)]
		if o.config.Stopped(member.Name()) {
			continue
		}
		answer, tried := member.send(ctx, job, m)
		answer.Provider = member.Name()
		triedAny = triedAny || tried
		switch answer.Verdict {
		case provider.Failed, provider.Down:
			last = soonest(last, answer)
		case provider.NoRoom:
			noRoom = true
		default:
			return answer
		}
		if ctx.Err() != nil {
			break // whoever is asked now can only fail
		}
	}
	if noRoom && !triedAny {
		return provider.Response{Verdict: provider.NoRoom}
	}
	return last
}

// soonest is the later answer, with the time after which any of the providers
// may be asked again.
func soonest(before, answer provider.Response) provider.Response {
	if before.Provider == "" {
		return answer
	}
	answer.RetryAfter = min(before.RetryAfter, answer.RetryAfter)
	return answer
}

// first is the index of a job's first provider: the same each time, for only
// who has seen a message before can know it again.
func (o *Outlet) first(id topology.JobID) int {
	if o.config.Order != Weighted {
		return 0
	}
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(id))
	// The low bits of similar ids are alike.
	place := (hash.Sum64() >> 20) % o.weights
	for i, m := range o.members {
		if place < uint64(m.Weight) {
			return i
		}
		place -= uint64(m.Weight)
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
	// Open tells whether it is left alone because it was down, Opened how often
	// that has begun.
	Open   bool
	Opened int64
	// Waits are how many messages had to wait for its limit, Waited how long in
	// all: of this process, through all Outlets with the same Limiter.
	Waits  int64
	Waited time.Duration
}

// Stats returns those of each provider.
func (o *Outlet) Stats() []Stats {
	all := make([]Stats, len(o.members))
	for i, m := range o.members {
		all[i] = m.stats()
	}
	return all
}
