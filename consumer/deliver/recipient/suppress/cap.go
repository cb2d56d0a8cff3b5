package suppress

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/meddela/meddela/consumer/deliver/recipient/address"
	"github.com/meddela/meddela/topology"
)

// Cap is how much of a channel an address may get.
type Cap struct {
	Most   int           // messages in any Window, at least 1
	Window time.Duration // that slides, at least 1 ms
}

func (c Cap) String() string { return fmt.Sprintf("%d in %s", c.Most, c.Window) }

// Caps counts what each address is sent, and says when it has had enough. The
// window slides: it is the one that ends now, by Redis's clock. A job counts
// from when it is let pass, once, however often it is asked about, and whatever
// becomes of it then; an urgent one is not counted, so that it costs no other
// message its delivery. Several goroutines may use it. Its user in Redis needs
// EVAL, EVALSHA, TIME, ZREMRANGEBYSCORE, ZSCORE, ZCARD, ZADD and PEXPIRE.
type Caps struct {
	Client redis.UniversalClient
	Keys   topology.Keys
	Hasher *Hasher
	// Of the channels that have one.
	Of map[topology.Channel]Cap
}

// Check says of a channel's cap what is wrong with it.
func (c Cap) Check() error {
	if c.Most < 1 || c.Window < time.Millisecond {
		return fmt.Errorf("a cap of %s: it must let pass at least 1 in a window of at least 1ms", c)
	}
	return nil
}

// Admit lets jobs pass, or says of each why not: ReasonCapped.
func (c *Caps) Admit(ctx context.Context, queries []Query) ([]Answer, error) {
	answers := make([]Answer, len(queries))
	var list []call
	var which []int
	for i := range queries {
		q := &queries[i]
		limit, ok := c.Of[q.Channel]
		if !ok || q.Urgent {
			continue
		}
		normal, ok := address.Normalize(q.Channel, q.Address)
		if !ok {
			continue
		}
		list = append(list, call{
			key:  c.Keys.Cap(q.Channel, c.Hasher.Hash(normal)),
			args: []any{string(q.Job), limit.Most, limit.Window.Milliseconds()},
		})
		which = append(which, i)
	}
	passed, err := run(ctx, c.Client, capScript, list)
	if err != nil {
		return nil, err
	}
	for i, yes := range passed {
		if !yes {
			at := which[i]
			answers[at] = Answer{topology.ReasonCapped, "at most " + c.Of[queries[at].Channel].String()}
		}
	}
	return answers, nil
}
