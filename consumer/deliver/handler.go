// Package deliver is the role that sends: of each job it makes one message at
// a provider, and one entry in the delivery log.
//
// A job goes through seven stages: hold, claim, gate, render, send, settle, emit.
// The pipeline puts the first six together, and their order is the guarantee:
// nothing is sent that is not claimed, and nothing is emitted that is not settled. A
// job that comes again finds its outcome, is not sent, and makes the same entry. Only
// where a deliverer dies between a provider's acceptance and the recording is it
// unknown whether a message was sent: then its template says whether to send it again.
package deliver

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/consumer/control"
	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/retry"
)

// Handler is the deliver role of one lane.
type Handler struct {
	// Counters count since the start.
	Counters Counters

	config Config
	// conflicts is a log that a source whose ids are all the same does not flood.
	conflicts zerolog.Logger
	process   string // names this Handler among all deliverers
	routes    map[topology.Channel]route
	grace     time.Duration // shorter in tests, like
	answer    time.Duration // the time that a late answer is waited for

	// What fails batch by batch while Redis is away.
	releasing, settling retry.Warner

	mu sync.Mutex
	// unsettled are jobs whose outcomes could not be recorded before their
	// Handle had to end. They are recorded before anything else is claimed.
	unsettled []*delivery
}

// route is the way to a channel's provider.
type route struct {
	provider provider.Provider
	names    []string      // of the providers that it chooses among
	slots    chan struct{} // one for each message that is with the provider
}

// New returns a Handler, or what is wrong with the configuration.
func New(c Config) (*Handler, error) {
	c.SendTimeout = cmp.Or(c.SendTimeout, 10*time.Second)
	c.Lease = cmp.Or(c.Lease, 15*time.Second)
	c.KeepClaims = cmp.Or(c.KeepClaims, 8*24*time.Hour)
	c.Tries = cmp.Or(c.Tries, 3)
	c.TryAgainAfter = cmp.Or(c.TryAgainAfter, 250*time.Millisecond)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Orders == nil {
		none := new(control.Orders)
		c.Orders = func() *control.Orders { return none }
	}
	switch {
	case c.Redis == nil:
		return nil, errors.New("deliver: no Redis client")
	case c.Templates == nil:
		return nil, errors.New("deliver: no templates")
	case c.Lease <= c.SendTimeout:
		return nil, fmt.Errorf("deliver: the lease (%v) must be longer than the send timeout (%v)", c.Lease, c.SendTimeout)
	case c.KeepClaims <= c.Lease+answerTime:
		return nil, fmt.Errorf("deliver: claims are kept for %v, which must be longer than the lease (%v) and the %v of late "+
			"answers together: make MEDDELA_CLAIM_LEASE shorter, or MEDDELA_CLAIM_TTL longer", c.KeepClaims, c.Lease, answerTime)
	case c.Tries < 1:
		return nil, fmt.Errorf("deliver: %d tries: there must be at least one", c.Tries)
	}
	h := &Handler{
		config: c, conflicts: c.Log.Sample(&zerolog.BurstSampler{Burst: 5, Period: time.Minute}),
		process: rand.Text(), routes: make(map[topology.Channel]route, len(c.Providers)),
		grace: gracePeriod, answer: answerTime,
	}
	slots := make(map[string]chan struct{})
	for channel, p := range c.Providers {
		name := p.Name()
		names := []string{name}
		if several, ok := p.(provider.Composite); ok {
			names = several.Names()
		}
		if slots[name] == nil {
			slots[name] = make(chan struct{}, max(p.Concurrency(), 1))
		}
		h.routes[channel] = route{p, names, slots[name]}
	}
	return h, nil
}

// Handle sends the batch's jobs. When ctx ends it begins nothing more, waits
// for what is being sent, and handles the jobs up to the first without an
// outcome.
func (h *Handler) Handle(ctx context.Context, b consumer.Batch) (consumer.Result, error) {
	if err := h.settleLeftovers(ctx); err != nil {
		return consumer.Result{}, err
	}
	trace := h.config.Tracer.Batch(b.Topic, b.Partition, len(b.Records))
	defer trace.End()
	deliveries, missing := h.read(ctx, b.Records)
	err := h.deliver(ctx, deliveries, h.owner(&b), trace)
	return h.emit(deliveries), cmp.Or(err, missing)
}

// owner names this Handler's work on a worker of a partition. It is the same from
// one Handle to the next, which are never at the same time and leave nothing
// begun, so that what one of them claimed is the next one's too.
func (h *Handler) owner(b *consumer.Batch) string {
	return h.process + "/" + strconv.Itoa(b.Partition) + "/" + strconv.Itoa(b.Worker)
}
