package suppress

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"time"

	"github.com/meddela/meddela/consumer/internal/script"
	"github.com/meddela/meddela/topology"
)

var (
	//go:embed cap.lua
	capSource string
	capScript = script.New(capSource)
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
	Detail string          // for people; of a suppression its Cause
}

// Gate asks the copy, and the caps about what is left. Several goroutines may use
// it. Its user in Redis needs those commands of a Copy, and TIME,
// ZREMRANGEBYSCORE, ZSCORE, ZCARD, ZADD and PEXPIRE.
type Gate struct {
	Copy *Copy
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

// Find begins to ask about all queries together who is suppressed, along with what
// else Redis is asked in that moment, and returns what waits for the answers. An
// address that is none of its channel may pass: that it is none is another's to
// say. With an error there are no answers, and nothing must be sent.
func (g *Gate) Find(ctx context.Context, queries []Query) (wait func() ([]Answer, error)) {
	subjects := make([]Subject, len(queries))
	for i := range queries {
		subjects[i] = Subject{queries[i].Channel, queries[i].Address}
	}
	found := g.Copy.find(ctx, subjects)
	return func() ([]Answer, error) {
		entries, err := found()
		if err != nil {
			return nil, err
		}
		answers := make([]Answer, len(queries))
		for i, e := range entries {
			if e != nil {
				answers[i] = Answer{topology.ReasonSuppressed, string(e.Cause)}
			}
		}
		return answers, nil
	}
}

// Admit counts jobs, or answers of each why it may not pass. Without caps it asks
// nobody. It is for jobs that Find lets pass, and with an error as Find is.
func (g *Gate) Admit(ctx context.Context, queries []Query) ([]Answer, error) {
	answers := make([]Answer, len(queries))
	var which []int // of the queries are capped, each with its key
	var keys []string
	for i := range queries {
		q := &queries[i]
		if _, capped := g.Caps[q.Channel]; !capped || q.Urgent {
			continue
		}
		if of, ok := g.Copy.suppression(Subject{q.Channel, q.Address}); ok {
			which, keys = append(which, i), append(keys, g.Copy.Keys.Cap(q.Channel, of.Hash))
		}
	}
	unknown := false
	err := capScript.Run(ctx, g.Copy.Client, &script.Batch{
		N:   len(keys),
		Key: func(b []byte, i int) []byte { return append(b, keys[i]...) },
		Args: func(a *script.Args, i int) {
			q := &queries[which[i]]
			limit := g.Caps[q.Channel]
			a.Add(string(q.Job), limit.Most, limit.Window.Milliseconds())
		},
		Answer: func(i int, is any) {
			passes, ok := is.(int64)
			unknown = unknown || !ok
			if passes != 1 {
				limit := g.Caps[queries[which[i]].Channel]
				answers[which[i]] = Answer{topology.ReasonCapped, "at most " + limit.String()}
			}
		},
	})
	if err == nil && unknown {
		err = errors.New("a script in Redis answered something unknown")
	}
	if err != nil {
		return nil, err
	}
	return answers, nil
}
