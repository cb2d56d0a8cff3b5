package main

import (
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/meddela/meddela/test/script"
	"github.com/meddela/meddela/topology"
)

// watch knows which events are published, and looks in Redis which of them are sent.
type watch struct {
	*system
	seen []arrival

	mu      sync.Mutex
	waiting []arrival // in the order of publication
}

// arrival is an event that is seen as sent, or will be, and when it passed the stages before, as its status says; zero
// where it does not.
type arrival struct {
	id                                topology.EventID
	due, pending, matched, sent, seen time.Time
}

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

// look asks for the events that are not sent yet, the first ones if they are more than most.
func (w *watch) look(most int) {
	w.mu.Lock()
	list := w.waiting[:min(len(w.waiting), most)]
	w.mu.Unlock()
	var left []arrival
	for part := range slices.Chunk(list, 1000) {
		pipe, replies := w.redis.Pipeline(), make([]*redis.SliceCmd, len(part))
		for i := range part {
			replies[i] = pipe.HMGet(w.ctx, w.keys.Event(part[i].id),
				topology.FieldStatus, topology.FieldPendingAt, topology.FieldPendingDeliveryAt, topology.FieldFinalAt)
		}
		script.Must(pipe.Exec(w.ctx))
		now := time.Now()
		for i, reply := range replies {
			if f := reply.Val(); f[0] == string(topology.Sent) {
				w.seen = append(w.seen, arrival{part[i].id, part[i].due, moment(f[1]), moment(f[2]), moment(f[3]), now})
			} else {
				left = append(left, part[i])
			}
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting = w.waiting[len(list)-len(left):] // meanwhile it has at most grown
	copy(w.waiting, left)
}

func moment(field any) time.Time {
	text, _ := field.(string)
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(n)
}

// awaitSent waits until Redis says of so many events that they are sent. The bound on one look is for a pipeline that
// has fallen behind.
func (w *watch) awaitSent(events int) {
	w.await("sent in Redis", time.Millisecond, func() (done, want int) {
		w.look(256)
		return len(w.seen), events
	})
}
