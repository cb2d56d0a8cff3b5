package main

import (
	"context"
	"math"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/meddela/meddela/test/script"
	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/retry"
)

// watch knows which events are published, and looks in Redis which of them are sent.
type watch struct {
	client redis.UniversalClient
	keys   topology.Keys

	mu      sync.Mutex
	waiting []arrival // in the order of publication
	seen    []arrival
}

// arrival is an event that is seen as sent, or will be, and when it passed the stages before, as its status says; zero
// where it does not.
type arrival struct {
	id                                topology.EventID
	due, pending, matched, sent, seen time.Time
}

func (s *system) watch() *watch { return &watch{client: s.redis, keys: s.keys} }

// newEvent makes an event that is watched from now on.
func (w *watch) newEvent(number int, due time.Time) topology.Record {
	r := newEvent(number)
	w.add(topology.EventID(r.Key), due)
	return r
}

func (w *watch) add(id topology.EventID, due time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting = append(w.waiting, arrival{id: id, due: due})
}

// counts are how many events were seen as sent, and how many are published.
func (w *watch) counts() (sent, published int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.seen), len(w.seen) + len(w.waiting)
}

// look asks for the events that are not sent yet, the first ones if they are more than most.
func (w *watch) look(ctx context.Context, most int) error {
	w.mu.Lock()
	list := w.waiting[:min(len(w.waiting), most)]
	w.mu.Unlock()
	var left, seen []arrival
	for part := range slices.Chunk(list, 1000) {
		replies := make([]*redis.SliceCmd, len(part))
		_, err := w.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for i := range part {
				replies[i] = pipe.HMGet(ctx, w.keys.Event(part[i].id),
					topology.FieldStatus, topology.FieldPendingAt, topology.FieldPendingDeliveryAt, topology.FieldFinalAt)
			}
			return nil
		})
		if err != nil {
			return err
		}
		now := time.Now()
		for i, reply := range replies {
			if f := reply.Val(); f[0] == string(topology.Sent) {
				seen = append(seen, arrival{part[i].id, part[i].due, moment(f[1]), moment(f[2]), moment(f[3]), now})
			} else {
				left = append(left, part[i])
			}
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, seen...)
	w.waiting = append(left, w.waiting[len(list):]...) // meanwhile it has at most grown
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

// run looks all the time until ctx ends. It rests as long as it looks, so that on a busy machine it does not become the
// load that it measures; the bound on one look is for a pipeline that has fallen behind.
func (w *watch) run(ctx context.Context) error {
	for {
		began := time.Now()
		if err := w.look(ctx, 256); err != nil && ctx.Err() == nil {
			return err
		}
		looked := time.Since(began)
		if !retry.Sleep(ctx, max(time.Millisecond-looked, looked)) {
			return nil
		}
	}
}

// awaitSent waits until Redis says of every event that it is sent.
func (s *system) awaitSent(w *watch) {
	s.await("sent in Redis", 100*time.Millisecond, func() (done, want int) {
		script.Check(w.look(s.ctx, math.MaxInt))
		return w.counts()
	})
}
