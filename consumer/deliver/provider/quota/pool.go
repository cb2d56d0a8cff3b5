package quota

import (
	"context"
	"slices"
	"sync"
	"time"
)

// pool hands out, in the order in which they were asked for, what one goroutine fetches for all that wait.
type pool[T any] struct {
	// fetch asks for up to so many, and says when to ask again if it got none.
	fetch func(ctx context.Context, want int) (got []T, again time.Duration, err error)
	// fresh reports whether one can still be used. It is called with the lock held.
	fresh func(T) bool
	// kept, if set, is called with the lock held when there is a free one.
	kept func()

	mu       sync.Mutex
	free     []T
	queue    []*waiter[T]
	fetching bool
}

// waiter waits for one of a pool.
type waiter[T any] struct {
	handed chan T // of one
	late   bool   // a fetch brought less than was waited for
}

const (
	// Bounds of the time between two tries.
	minWait, maxWait = 5 * time.Millisecond, 250 * time.Millisecond
	// fetchTime bounds one fetch.
	fetchTime = time.Second
)

// acquire returns one, and whether it had to be waited for because there was none.
// It waits until ctx ends and, if most is set, no longer than that.
func (p *pool[T]) acquire(ctx context.Context, most time.Duration) (one T, waited bool, err error) {
	p.mu.Lock()
	if one, ok := p.pop(); ok {
		p.mu.Unlock()
		return one, false, nil
	}
	w := &waiter[T]{handed: make(chan T, 1)}
	p.queue = append(p.queue, w)
	if !p.fetching {
		p.fetching = true
		go p.supply()
	}
	p.mu.Unlock()
	if most > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, most)
		defer cancel()
	}
	select {
	case one = <-w.handed:
		return one, w.late, nil
	case <-ctx.Done():
		p.leave(w)
		return one, true, ctx.Err()
	}
}

// leave takes a waiter out of the queue. What it was handed meanwhile is the next one's.
func (p *pool[T]) leave(w *waiter[T]) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.queue, w); i >= 0 {
		p.queue = slices.Delete(p.queue, i, i+1)
		return
	}
	p.add(<-w.handed)
}

// supply fetches for as long as somebody waits.
func (p *pool[T]) supply() {
	for {
		p.mu.Lock()
		want := len(p.queue)
		if want == 0 {
			p.fetching = false
			p.mu.Unlock()
			return
		}
		p.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), fetchTime)
		got, again, err := p.fetch(ctx, want)
		cancel()
		p.mu.Lock()
		p.add(got...)
		short := len(p.queue) > 0
		for _, w := range p.queue {
			w.late = true
		}
		p.mu.Unlock()
		switch {
		case !short || len(got) > 0:
		case err != nil:
			time.Sleep(maxWait)
		default:
			time.Sleep(min(max(again, minWait), maxWait))
		}
	}
}

// pop is called with the lock held.
func (p *pool[T]) pop() (one T, ok bool) {
	for len(p.free) > 0 {
		last := len(p.free) - 1
		one, p.free = p.free[last], p.free[:last]
		if p.fresh(one) {
			return one, true
		}
	}
	return one, false
}

// add is called with the lock held. Those that wait come first.
func (p *pool[T]) add(got ...T) {
	for _, one := range got {
		switch {
		case len(p.queue) == 0:
			p.free = append(p.free, one)
			if p.kept != nil {
				p.kept()
			}
		case p.fresh(one):
			first := p.queue[0]
			p.queue[0], p.queue = nil, p.queue[1:]
			first.handed <- one
		}
	}
}
