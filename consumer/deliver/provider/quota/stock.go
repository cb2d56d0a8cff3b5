package quota

import (
	"context"
	"slices"
	"sync"
	"time"
)

// stock hands out, in the order in which they were asked for, what one goroutine
// fetches for all that wait.
type stock[T any] struct {
	// fetch asks for up to so many, and says when to ask again if it got none.
	fetch func(ctx context.Context, want int) (got []T, again time.Duration, err error)
	// fresh tells whether one can still be used. It is called with the lock held.
	fresh func(T) bool
	// kept, if set, is called with the lock held when there is a free one.
	kept func()

	mu       sync.Mutex
	free     []T
	queue    []*waiter[T]
	fetching bool
	shorts   int64 // fetches that brought less than was waited for
}

// waiter waits for one of a stock.
type waiter[T any] struct {
	handed chan T // of one
	shorts int64  // when it began to wait
}

const (
	// Bounds of the time between two tries.
	minWait, maxWait = 5 * time.Millisecond, 250 * time.Millisecond
	// fetchTime bounds one fetch.
	fetchTime = time.Second
)

// take returns one, and whether it had to be waited for because there was none.
// It waits until ctx ends and, if most is set, no longer than that.
func (s *stock[T]) take(ctx context.Context, most time.Duration) (one T, waited bool, err error) {
	s.mu.Lock()
	if one, ok := s.pop(); ok {
		s.mu.Unlock()
		return one, false, nil
	}
	w := &waiter[T]{handed: make(chan T, 1), shorts: s.shorts}
	s.queue = append(s.queue, w)
	if !s.fetching {
		s.fetching = true
		go s.supply()
	}
	s.mu.Unlock()
	if most > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, most)
		defer cancel()
	}
	select {
	case one = <-w.handed:
	case <-ctx.Done():
		s.leave(w)
		return one, true, ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return one, s.shorts > w.shorts, nil
}

// leave takes a waiter out of the queue. What it was handed meanwhile is the
// next one's.
func (s *stock[T]) leave(w *waiter[T]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.queue, w); i >= 0 {
		s.queue = slices.Delete(s.queue, i, i+1)
		return
	}
	s.add(<-w.handed)
}

// supply fetches for as long as somebody waits.
func (s *stock[T]) supply() {
	for {
		s.mu.Lock()
		want := len(s.queue)
		if want == 0 {
			s.fetching = false
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		got, again, err := s.ask(want)
		s.mu.Lock()
		s.add(got...)
		short := len(s.queue) > 0
		if short {
			s.shorts++
		}
		s.mu.Unlock()
		if short && len(got) == 0 {
			time.Sleep(pause(again, err))
		}
	}
}

func (s *stock[T]) ask(want int) ([]T, time.Duration, error) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTime)
	defer cancel()
	return s.fetch(ctx, want)
}

func pause(again time.Duration, err error) time.Duration {
	if err != nil {
		return maxWait
	}
	return min(max(again, minWait), maxWait)
}

// pop is called with the lock held.
func (s *stock[T]) pop() (one T, ok bool) {
	for len(s.free) > 0 {
		last := len(s.free) - 1
		one, s.free = s.free[last], s.free[:last]
		if s.fresh(one) {
			return one, true
		}
	}
	return one, false
}

// add is called with the lock held. Those that wait come first.
func (s *stock[T]) add(got ...T) {
	for _, one := range got {
		switch {
		case len(s.queue) == 0:
			s.free = append(s.free, one)
			if s.kept != nil {
				s.kept()
			}
		case s.fresh(one):
			first := s.queue[0]
			s.queue[0], s.queue = nil, s.queue[1:]
			first.handed <- one
		}
	}
}
