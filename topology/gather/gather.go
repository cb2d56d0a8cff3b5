// Package gather puts what many ask for at about the same time into few
// requests: a group commit. While a request is under way, what comes gathers for
// the next, so that requests grow with load and nothing waits at rest.
package gather

import (
	"context"
	"sync"
	"time"
)

// Gather passes items on in groups. The fields are set before its first use.
type Gather[T any] struct {
	// Do sends one group, and returns when it is done.
	Do func(group []T)
	// Most is how many groups may be under way at once.
	Most int
	// Pace is the least time between the starts of two groups while one is under
	// way.
	Pace time.Duration

	mu       sync.Mutex
	waiting  []T
	underWay int
	started  time.Time // the last group
	rest     time.Time // when the next may start
	timer    *time.Timer
	armed    bool
}

// Add sends items as soon as may be, at once where nothing is under way, in a
// goroutine of their own.
func (g *Gather[T]) Add(items ...T) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = append(g.waiting, items...)
	g.start()
}

// Put has items sent with the next group. Whoever puts some calls Help after it.
func (g *Gather[T]) Put(items ...T) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = append(g.waiting, items...)
}

// Help sends what waits in the caller's goroutine, if a group may begin: for who
// waits anyway.
func (g *Gather[T]) Help() {
	g.mu.Lock()
	may := g.begin()
	g.mu.Unlock()
	if may {
		g.run()
	}
}

// Rest has no group start for so long.
func (g *Gather[T]) Rest(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if until := time.Now().Add(d); until.After(g.rest) {
		g.rest = until
	}
}

// begin reports whether a group may begin, or sees to it that this is tried again
// when it may.
func (g *Gather[T]) begin() bool {
	if len(g.waiting) == 0 || g.underWay >= g.Most {
		return false
	}
	early := time.Until(g.rest)
	if g.underWay > 0 {
		early = max(early, g.Pace-time.Since(g.started))
	}
	if early > 0 {
		g.arm(early)
		return false
	}
	g.underWay++
	g.started = time.Now()
	return true
}

func (g *Gather[T]) start() {
	if g.begin() {
		go g.run()
	}
}

// run sends what waits when it gets to run, which is all that was added at the
// same moment.
func (g *Gather[T]) run() {
	defer func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.underWay--
		g.start()
	}()
	g.mu.Lock()
	group := g.waiting
	g.waiting = nil
	g.mu.Unlock()
	if len(group) > 0 {
		g.Do(group)
	}
}

func (g *Gather[T]) arm(after time.Duration) {
	switch {
	case g.armed:
		return
	case g.timer == nil:
		g.timer = time.AfterFunc(after, g.fire)
	default:
		g.timer.Reset(after)
	}
	g.armed = true
}

func (g *Gather[T]) fire() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.armed = false
	g.start()
}

// Together returns a context that ends when all of some have ended, for what is
// done for all of them at once.
func Together(all []context.Context) (context.Context, context.CancelFunc) {
	if len(all) == 1 {
		return all[0], func() {}
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(all[0]))
	stop := context.AfterFunc(all[0], func() {
		for _, one := range all[1:] {
			select {
			case <-one.Done():
			case <-ctx.Done():
				return
			}
		}
		cancel()
	})
	return ctx, func() { stop(); cancel() }
}
