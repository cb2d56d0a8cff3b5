package suppress

import (
	"context"
	"fmt"
	"time"

	"github.com/meddela/meddela/consumer/deliver/recipient/address"
	"github.com/meddela/meddela/topology"
)

// Query asks whether a job's message may go to its recipient.
type Query struct {
	Channel topology.Channel
	Address string
	Job     topology.JobID
	Urgent  bool // as its template says: it is not capped
}

// Answer is why a message must not go. The zero value is that it may.
type Answer struct {
	Reason topology.Reason // ReasonSuppressed or ReasonCapped
	Detail string          // for people; the cause of a suppression is a Cause
}

// Gate asks the list, and then the caps about what is left. Several goroutines
// may use it. Its user in Redis needs those commands of a List, and TIME,
// ZREMRANGEBYSCORE, ZSCORE, ZCARD, ZADD and PEXPIRE.
type Gate struct {
	List *List
	Caps map[topology.Channel]Cap // of the channels that have one
}

// Cap is how much of a channel an address may get. The window slides: it is the
// one that ends now, by Redis's clock. A job counts from when it is let pass,
// once, however often it is asked about, and whatever becomes of it then; an
// urgent one is not counted, so that it costs no other message its delivery.
type Cap struct {
	Most   int           // messages in any Window, at least 1
	Window time.Duration // that slides, at least 1 ms
}

func (c Cap) String() string { return fmt.Sprintf("%d in %s", c.Most, c.Window) }

// Check says of a channel's cap what is wrong with it.
func (c Cap) Check() error {
	if c.Most < 1 || c.Window < time.Millisecond {
		return fmt.Errorf("a cap of %s: it must let pass at least 1 in a window of at least 1ms", c)
	}
	return nil
}

// Check answers each query. It asks Redis once about all of them together, and
// where there are caps, once more; with nothing to ask about, not at all. An
// address that is none of its channel may pass: that it is none is another's to
// say. With an error there are no answers, and nothing must be sent.
func (g *Gate) Check(ctx context.Context, queries []Query) ([]Answer, error) {
	subjects := make([]Subject, len(queries))
	for i := range queries {
		subjects[i] = Subject{queries[i].Channel, queries[i].Address}
	}
	found, err := g.List.Find(ctx, subjects)
	if err != nil {
		return nil, err
	}
	answers := make([]Answer, len(queries))
	for i, e := range found {
		if e != nil {
			answers[i] = Answer{topology.ReasonSuppressed, string(e.Cause)}
		}
	}
	if err := g.admit(ctx, queries, answers); err != nil {
		return nil, err
	}
	return answers, nil
}

// admit counts jobs that have no answer yet, or answers of each why it may not
// pass.
func (g *Gate) admit(ctx context.Context, queries []Query, answers []Answer) error {
	var list []call
	var which []int
	for i := range queries {
		q := &queries[i]
		limit, capped := g.Caps[q.Channel]
		if !capped || q.Urgent || answers[i].Reason != topology.NoReason {
			continue
		}
		if normal, ok := address.Normalize(q.Channel, q.Address); ok {
			key := g.List.Keys.Cap(q.Channel, g.List.Hasher.Hash(normal))
			list = append(list, call{key, []any{string(q.Job), limit.Most, limit.Window.Milliseconds()}})
			which = append(which, i)
		}
	}
	return g.List.run(ctx, capScript, list, func(i int, passes bool) {
		if !passes {
			limit := g.Caps[queries[which[i]].Channel]
			answers[which[i]] = Answer{topology.ReasonCapped, "at most " + limit.String()}
		}
	})
}
