// Package quota keeps what all deliverers together hand to a provider within its limits: messages a second, and
// messages at once. The limits are counted in Redis; each process takes and gives back several at a time, so that a
// message costs no round trip of its own. A part of both is kept free for the real-time lane, which a batch can then
// never make wait.
//
// It is not github.com/go-redis/redis_rate, which asks Redis for every message,
// knows no messages at once, and no lane that goes before the other.
package quota

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/meddela/meddela/topology"
)

// Config says what the limits of a provider are. A limit of 0 is none.
type Config struct {
	Client redis.UniversalClient
	Keys   topology.Keys
	// Provider is its name, under which all processes count.
	Provider string
	// Lane of this process.
	Lane topology.Lane
	// Rate is messages a second.
	Rate float64
	// AtOnce is messages that are with the provider at the same time.
	AtOnce int
	// Reserve is the share of both, from 0 to less than 1, that the batch lane leaves free for the real-time lane. Of the
	// rate, it is what is there at once for real-time messages to begin with; as long as more of them come, the batch lane
	// gets nothing. While none come it has the whole rate.
	Reserve float64
	// SendTime is the longest that a message may be with the provider. Default 10 s.
	SendTime time.Duration
}

// Limiter lets messages of one process pass. It is safe for use by several goroutines. Its user in Redis needs EVAL,
// EVALSHA, TIME, HMGET, HSET, PEXPIRE, ZADD, ZREM, ZCARD and ZREMRANGEBYSCORE.
type Limiter struct {
	tokens *pool[time.Time] // nil without a rate
	slots  *slots           // nil without a limit at once

	waits, waited atomic.Int64
}

// New makes a Limiter, or says what is wrong with the limits.
func New(c Config) (*Limiter, error) {
	c.SendTime = cmp.Or(max(c.SendTime, 0), 10*time.Second)
	switch {
	case c.Rate < 0 || c.AtOnce < 0 || math.IsNaN(c.Rate) || math.IsInf(c.Rate, 0):
		return nil, errors.New("limits must not be negative")
	case c.Reserve < 0 || c.Reserve >= 1 || math.IsNaN(c.Reserve):
		return nil, errors.New("the reserve must be from 0 to less than 1")
	case c.AtOnce > 0 && c.atOnce() < 1:
		return nil, fmt.Errorf("a reserve of %v leaves the batch lane none of %d at once", c.Reserve, c.AtOnce)
	}
	l := new(Limiter)
	if c.Rate > 0 {
		l.tokens = newTokens(&c)
	}
	if c.AtOnce > 0 {
		l.slots = newSlots(&c)
	}
	return l, nil
}

// atOnce is how many this process's lane may have of all.
func (c *Config) atOnce() int {
	if c.Lane == topology.Batch {
		// 10 less 0.9 of it is 1, also where fractions are binary.
		return int(math.Floor(float64(c.AtOnce)*(1-c.Reserve) + 1e-9))
	}
	return c.AtOnce
}

// Pass waits until a message may go to the provider, for Redis too. done must be called when it is not there any more.
// The error is ctx's, or context.DeadlineExceeded if there is hardly any rate while there are slots: another message
// may have this one's.
func (l *Limiter) Pass(ctx context.Context) (done func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	done = func() {}
	began := time.Now()
	most, waited, too := time.Duration(0), false, false
	defer func() {
		if waited || too {
			l.waits.Add(1)
			l.waited.Add(int64(time.Since(began)))
		}
	}()
	if l.slots != nil {
		var slot *slot
		if slot, waited, err = l.slots.acquire(ctx, 0); err != nil {
			return nil, err
		}
		done, most = func() { l.slots.release(slot) }, tokenWait
	}
	if l.tokens != nil {
		if _, too, err = l.tokens.acquire(ctx, most); err != nil {
			done()
			return nil, err
		}
	}
	return done, nil
}

// Waits are how many messages had to wait, in vain too, and for how long in all.
func (l *Limiter) Waits() (messages int64, total time.Duration) {
	return l.waits.Load(), time.Duration(l.waited.Load())
}

// Close gives back what is not in use.
func (l *Limiter) Close() {
	if l.slots != nil {
		l.slots.giveBack(0)
	}
}

var (
	//go:embed rate.lua
	rateSource string
	//go:embed slots.lua
	slotsSource string

	rateScript  = redis.NewScript(rateSource)
	slotsScript = redis.NewScript(slotsSource)
)
