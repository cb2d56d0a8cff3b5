package quota

import (
	"context"
	"sync"
	"time"
)

// stock hands out what one goroutine at a time fetches for all that wait.
type stock[T any] struct {
	// fetch asks for up to so many, and says when to ask again if it got none.
	fetch func(ctx context.Context, want int) (got []T, again time.Duration, err error)
	// fresh tells whether one that was fetched can still be used.
	fresh func(T) bool

	mu       sync.Mutex
	free     []T
	waiting  int
	fetching bool
	changed  chan struct{} // closed, and made anew, when there may be something
}

// Bounds of the time between two tries while Redis is away.
const minWait, maxWait = 5 * time.Millisecond, 250 * time.Millisecond

// take returns one, and whether it had to be waited for.
func (s *stock[T]) take(ctx context.Context) (one T, waited bool, err error) {
	s.mu.Lock()
	s.waiting++
	defer func() {
		s.mu.Lock()
		s.waiting--
		s.mu.Unlock()
	}()
	for {
		if one, ok := s.pop(); ok {
			s.mu.Unlock()
			return one, waited, nil
		}
		if s.fetching {
			changed := s.changed
			s.mu.Unlock()
			select {
			case <-changed:
			case <-ctx.Done():
				return one, true, ctx.Err()
			}
			s.mu.Lock()
			continue
		}
		s.fetching = true
		want := s.waiting
		s.mu.Unlock()
		got, again, err := s.fetch(ctx, want)
		if waited = waited || len(got) == 0; len(got) == 0 {
			err = sleep(ctx, pause(again, err))
		}
		s.mu.Lock()
		s.fetching = false
		s.add(got...)
		if len(got) == 0 && err != nil {
			s.mu.Unlock()
			return one, true, err
		}
	}
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

// add is called with the lock held. Whoever waits looks again, and somebody
// else fetches.
func (s *stock[T]) add(got ...T) {
	s.free = append(s.free, got...)
	if s.changed != nil {
		close(s.changed)
	}
	s.changed = make(chan struct{})
}
