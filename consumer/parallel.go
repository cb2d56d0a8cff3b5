package consumer

import "sync"

// runParallel runs one partition whose batches are handled side by side: one
// that waits does not hold up those behind it. Each is published as it comes;
// what is acknowledged is what all batches before have reached.
func (p *pipeline) runParallel() {
	var handling sync.WaitGroup
	free := make(chan *worker, p.config.Parallel)
	for i := range cap(free) {
		free <- &worker{pipeline: p, number: i}
	}
	var order window
	for {
		b, ok := p.next()
		if !ok {
			break
		}
		s := <-free // each comes back when working ends
		place := order.open()
		handling.Go(func() {
			s.handle(b, func(h handled) bool {
				return p.deliver(h, func(next int64, work bool) {
					order.reach(place, next, work, next == b.next, p.acknowledge)
				})
			})
			free <- s
		})
	}
	handling.Wait()
}

// window is how far each of the batches under way has come, in their order.
type window struct {
	mu      sync.Mutex
	batches []*progress
}

// progress is how far a batch has come.
type progress struct {
	next int64 // -1 for nowhere
	work bool
	done bool
}

// open adds a batch behind the others.
func (w *window) open() *progress {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := &progress{next: -1}
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
	for len(w.batches) > 0 && w.batches[0].next >= 0 {
		first := w.batches[0]
		reached.next, reached.work = first.next, reached.work || first.work
		if !first.done {
			break
		}
		w.batches = w.batches[1:]
	}
	ack(reached.next, reached.work)
}
