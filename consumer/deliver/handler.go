package deliver

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/consumer/control"
	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/tracing"
	"github.com/meddela/meddela/topology"
)

// Config says what a Handler works with. Zero durations and counts are the
// defaults.
type Config struct {
	Lane  topology.Lane
	Names topology.Topics
	Keys  topology.Keys
	// Redis is a single server, Sentinel or a cluster.
	Redis     redis.UniversalClient
	Templates Templates
	// Providers by channel. A channel without one is not delivered.
	Providers map[topology.Channel]provider.Provider
	// Channel, if set, is the only one whose jobs are handled: those of others
	// are another Handler's, of another consumer group. Records that are no
	// jobs are Email's.
	Channel topology.Channel
	// Orders are the operators' that are in force. Default none.
	Orders func() *control.Orders
	// Gate says who must not be written to. Default nobody.
	Gate Gate

	// SendTimeout bounds the sending of one job, with all its tries.
	// Default 10 s.
	SendTimeout time.Duration
	// Lease is how long a deliverer owns a job that it has claimed: longer
	// than SendTimeout by what recording the outcome may take. Default 15 s.
	Lease time.Duration
	// KeepClaims is how long a job's outcome is known: longer than its record
	// can be read. Default 8 days, one more than the jobs topic keeps.
	KeepClaims time.Duration
	// Tries is how often a job is sent while the provider fails for now or is
	// down. Default 3.
	Tries int
	// TryAgainAfter is the time before the second try; each further one waits
	// twice as long. Default 250 ms.
	TryAgainAfter time.Duration
	// Retries are the times that a job waits, on a delay topic, before each
	// further attempt, when all tries of one have failed for now, unless its
	// template says otherwise. Default none: the first attempt is the last.
	Retries []time.Duration

	// Meter, if set, hears of every attempt.
	Meter Meter
	// Tracer traces jobs. Default none.
	Tracer *tracing.Tracer

	Log zerolog.Logger
	// Now is the clock of entries and of expiry. Default time.Now.
	Now func() time.Time
}

const (
	defaultSendTimeout   = 10 * time.Second
	defaultLease         = 15 * time.Second
	defaultKeepClaims    = 8 * 24 * time.Hour
	defaultTries         = 3
	defaultTryAgainAfter = 250 * time.Millisecond
)

// Handler is the deliver role of one lane.
type Handler struct {
	// Counters count since the start.
	Counters Counters

	config  Config
	process string // names this Handler among all deliverers
	routes  map[topology.Channel]*route
	claims  claims
	sender  sender
	settler settler
}

// New returns a Handler, or what is wrong with the configuration.
func New(c Config) (*Handler, error) {
	c.setDefaults()
	switch {
	case c.Redis == nil:
		return nil, errors.New("deliver: no Redis client")
	case c.Templates == nil:
		return nil, errors.New("deliver: no templates")
	case c.Lease <= c.SendTimeout:
		return nil, fmt.Errorf("deliver: the lease (%v) must be longer than the send timeout (%v)", c.Lease, c.SendTimeout)
	case c.Tries < 1:
		return nil, fmt.Errorf("deliver: %d tries: there must be at least one", c.Tries)
	}
	h := &Handler{
		config:  c,
		process: rand.Text(),
		claims:  claims{client: c.Redis, keys: c.Keys, lease: c.Lease, keep: c.KeepClaims},
		routes:  make(map[topology.Channel]*route, len(c.Providers)),
	}
	h.sender = sender{config: &h.config, counters: &h.Counters}
	h.settler = settler{claims: &h.claims, log: c.Log, grace: gracePeriod}
	slots := make(map[string]chan struct{})
	for channel, p := range c.Providers {
		if p == nil {
			continue
		}
		name := p.Name()
		if slots[name] == nil {
			slots[name] = make(chan struct{}, max(p.Concurrency(), 1))
		}
		h.routes[channel] = newRoute(p, slots[name])
	}
	return h, nil
}

func (c *Config) setDefaults() {
	c.SendTimeout = cmp.Or(c.SendTimeout, defaultSendTimeout)
	c.Lease = cmp.Or(c.Lease, defaultLease)
	c.KeepClaims = cmp.Or(c.KeepClaims, defaultKeepClaims)
	c.Tries = cmp.Or(c.Tries, defaultTries)
	c.TryAgainAfter = cmp.Or(c.TryAgainAfter, defaultTryAgainAfter)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Orders == nil {
		none := new(control.Orders)
		c.Orders = func() *control.Orders { return none }
	}
}

// Handle sends the batch's jobs. When ctx ends it begins nothing more, waits
// for what is being sent, and handles the jobs up to the first without an
// outcome.
func (h *Handler) Handle(ctx context.Context, records consumer.Batch) (consumer.Result, error) {
	if err := h.settler.settleLeftovers(ctx); err != nil {
		return consumer.Result{}, err
	}
	b := &batch{
		owner: h.owner(&records),
		trace: h.config.Tracer.Batch(records.Topic, records.Partition, len(records.Records)),
	}
	defer b.trace.End()
	deliveries, missing := h.read(ctx, records.Records)
	b.deliveries, b.results = deliveries, make([]*result, len(deliveries))
	err := h.deliver(ctx, b)
	if err == nil {
		err = missing
	}
	return newEmitter(h.config.Names, h.config.Lane, len(deliveries)).emit(b, h.config.Now()), err
}

// owner names this Handler's work on a worker of a partition. It is the same from
// one Handle to the next, which are never at the same time and leave nothing
// begun, so that what one of them claimed is the next one's too.
func (h *Handler) owner(b *consumer.Batch) string {
	return h.process + "/" + strconv.Itoa(b.Partition) + "/" + strconv.Itoa(b.Worker)
}
