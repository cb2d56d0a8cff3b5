package bench

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/meddela/meddela/topology"
)

// poller looks at Redis all the time for the events that are not sent yet.
type poller struct {
	client redis.UniversalClient
	keys   topology.Keys

	mu      sync.Mutex
	waiting []awaited // by due time
	seen    []arrival
}

// awaited is an event that has been due, and is not sent yet.
type awaited struct {
	id  topology.EventID
	due time.Time
}

// arrival is an event that was seen as sent.
type arrival struct {
	due, seen time.Time
	stages    stages
}

// stages are when an event passed them, as its status says; zero where it does
// not.
type stages struct{ pending, pendingDelivery, final time.Time }

const (
	pollInterval = time.Millisecond
	// polledAtOnce bounds one look when the pipeline has fallen behind by more
	// than half a second of events.
	polledAtOnce = 256
)

func (p *poller) await(id topology.EventID, due time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = append(p.waiting, awaited{id, due})
}

// arrived is how many events were seen as sent, and how many are awaited.
func (p *poller) arrived() (seen, waiting int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.seen), len(p.waiting)
}

// take returns what was seen since the last take.
func (p *poller) take() []arrival {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := p.seen
	p.seen = nil
	return seen
}

// run polls until ctx ends. It rests as long as it looks, so that on a busy
// machine it does not become the load that it measures.
func (p *poller) run(ctx context.Context) error {
	for {
		began := time.Now()
		if err := p.poll(ctx); err != nil {
			return err
		}
		looked := time.Since(began)
		if sleep(ctx, max(pollInterval-looked, looked)) != nil {
			return nil
		}
	}
}

var polled = []string{topology.FieldStatus, topology.FieldPendingAt, topology.FieldPendingDeliveryAt, topology.FieldFinalAt}

func (p *poller) poll(ctx context.Context) error {
	p.mu.Lock()
	list := p.waiting[:min(len(p.waiting), polledAtOnce)]
	p.mu.Unlock()
	if len(list) == 0 {
		return nil
	}
	pipe := p.client.Pipeline()
	replies := make([]*redis.SliceCmd, len(list))
	for i := range list {
		replies[i] = pipe.HMGet(ctx, p.keys.Event(list[i].id), polled...)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	p.note(list, replies, time.Now())
	return nil
}

// note moves what has arrived from waiting to seen. Meanwhile waiting has at
// most grown.
func (p *poller) note(list []awaited, replies []*redis.SliceCmd, now time.Time) {
	var left []awaited
	var seen []arrival
	for i, reply := range replies {
		fields := reply.Val()
		if text(fields, 0) != string(topology.Sent) {
			left = append(left, list[i])
			continue
		}
		seen = append(seen, arrival{due: list[i].due, seen: now, stages: stages{
			pending: millis(fields, 1), pendingDelivery: millis(fields, 2), final: millis(fields, 3),
		}})
	}
	if len(seen) == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = append(left, p.waiting[len(list):]...)
	p.seen = append(p.seen, seen...)
}

func text(fields []any, i int) string {
	if i >= len(fields) {
		return ""
	}
	s, _ := fields[i].(string)
	return s
}

func millis(fields []any, i int) time.Time {
	n, err := strconv.ParseInt(text(fields, i), 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(n)
}
