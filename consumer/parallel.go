package consumer

import (
	"sync"

	"golang.org/x/sync/semaphore"
)

// runParallel runs one partition whose batches are handled side by side: one
// that waits does not hold up those behind it. Each is published as it comes;
// what is acknowledged is what all batches before have reached.
func (p *pipeline) runParallel() {
	var handling sync.WaitGroup
	free := make(chan *worker, p.loop.config.Parallel)
	for i := range cap(free) {
		free <- &worker{pipeline: p, number: i}
	}
	most := 2 * int64(p.loop.config.FetchBytes)
	room := semaphore.NewWeighted(most)
	var order window
	for {
		b, ok := p.next()
		if !ok {
			break
		}
		size := min(sizeOf(b.Batch), most/2) // so that one never needs all the room
		if room.Acquire(p.working, size) != nil {
			break
		}
		s := <-free // each comes back when working ends
		place := order.open()
		handling.Go(func() {
			s.handle(b, func(h handled) bool { return p.deliverInOrder(&order, place, h, h.next == b.next) })
			room.Release(size)
			p.release(b.bytes)
			free <- s
		})
	}
	handling.Wait()
}

// deliverInOrder publishes a batch's outputs, waits for the acknowledgement, and
// only then lets be committed what this and all batches before it have reached.
func (p *pipeline) deliverInOrder(order *window, place *progress, h handled, last bool) bool {
	if p.working.Err() != nil {
		return false
	}
	if err := p.publish(p.publishing, h.out); err != nil {
		return false
	}
	order.reach(place, h.next, h.work, last, func(next int64, work bool) {
		p.acknowledge(next, work)
	})
	p.loop.stats.out.Add(int64(len(h.out)))
	return true
}

// recordOverhead is about what a record takes beside its bytes.
const recordOverhead = 200

func sizeOf(b Batch) int64 {
	size := 0
	for i := range b.Records {
		size += len(b.Records[i].Key) + len(b.Records[i].Value) + recordOverhead
	}
	return int64(size)
}

// window is how far each of the batches under way has come, in their order.
type window struct {
	mu      sync.Mutex
	batches []*progress
}

// progress is how far a batch has come.
type progress struct {
	next int64 // 0 for nowhere
	work bool
	done bool
}

// open adds a batch behind the others.
func (w *window) open() *progress {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := new(progress)
	w.batches = append(w.batches, p)
	return p
}

// reach notes how far a batch has come, and passes on how far all have without a
// gap, if that is further than before.
func (w *window) reach(p *progress, next int64, work, done bool, ack func(next int64, work bool)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p.next, p.work, p.done = next, p.work || work, done
	if w.batches[0] != p {
		return
	}
	var reached progress
	for len(w.batches) > 0 && w.batches[0].next > 0 {
		first := w.batches[0]
		reached.next, reached.work = first.next, reached.work || first.work
		if !first.done {
			break
		}
		w.batches = w.batches[1:]
	}
	ack(reached.next, reached.work)
}
