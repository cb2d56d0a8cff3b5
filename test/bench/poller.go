package main

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

// arrival is an event that was seen as sent, and when it passed the stages before, as its status says; zero where it
// does not.
type arrival struct{ due, pending, matched, sent, seen time.Time }

const (
	pollInterval = time.Millisecond
	// polledAtOnce bounds one look when the pipeline has fallen behind by more than half a second of events.
	polledAtOnce = 256
)

func (p *poller) await(id topology.EventID, due time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = append(p.waiting, awaited{id, due})
}

// counts are how many events were seen as sent, and how many have been awaited.
func (p *poller) counts() (seen, all int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.seen), len(p.seen) + len(p.waiting)
}

// run polls until ctx ends. It rests as long as it looks, so that on a busy machine it does not become the load that it
// measures.
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
		replies[i] = pipe.HMGet(ctx, p.keys.Event(list[i].id),
			topology.FieldStatus, topology.FieldPendingAt, topology.FieldPendingDeliveryAt, topology.FieldFinalAt)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	now := time.Now()
	var left []awaited
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, reply := range replies {
		fields := reply.Val()
		if fields[0] != string(topology.Sent) {
			left = append(left, list[i])
			continue
		}
		p.seen = append(p.seen, arrival{list[i].due, moment(fields[1]), moment(fields[2]), moment(fields[3]), now})
	}
	p.waiting = append(left, p.waiting[len(list):]...) // meanwhile it has at most grown
	return nil
}

func moment(field any) time.Time {
	text, _ := field.(string)
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(n)
}
