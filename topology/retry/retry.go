// Package retry is what everybody does between one try and the next: wait,
// longer each time, and say so now and then.
package retry

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	shortest     = 50 * time.Millisecond
	longest      = 2 * time.Second
	warnInterval = 10 * time.Second
)

// Sleep waits for d and reports true, or reports false as soon as ctx ends.
func Sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// Backoff is how long to wait before the next try: from 50 ms it doubles to 2 s,
// with jitter, so that not all who wait for a server knock at once. The zero
// value is that of a first try.
type Backoff struct{ tries int }

// Wait waits and reports true, or reports false as soon as ctx ends.
func (b *Backoff) Wait(ctx context.Context) bool {
	d := min(shortest<<min(b.tries, 6), longest)
	b.tries++
	return Sleep(ctx, d/2+rand.N(d/2+1))
}

// Reset begins anew, after a try that succeeded.
func (b *Backoff) Reset() { b.tries = 0 }

// Until tries until it succeeds, and reports true, or reports false when ctx ends
// first. What stands in the way is warned of now and then.
func Until(ctx context.Context, try func() error, warn func(err error, times int)) bool {
	var wait Backoff
	var failures Warner
	for {
		err := try()
		if err == nil {
			return true
		}
		if ctx.Err() == nil {
			failures.Warn(func(times int) { warn(err, times) })
		}
		if !wait.Wait(ctx) {
			return false
		}
	}
}

// After returns a context that ends with parent, or d after trigger has ended.
func After(trigger, parent context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(parent)
	stop := context.AfterFunc(trigger, func() { Sleep(ctx, d); cancel() })
	return ctx, func() { stop(); cancel() }
}

// Reconnect makes requests use new connections from now on, where the transport
// keeps some that nobody uses: the Kafka client finds out that such a one is
// broken only by a request that fails on it.
func Reconnect(transport any) {
	if t, ok := transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// Warner warns of a failure that repeats: of the first, and then every ten
// seconds. The zero value has met none. Several goroutines may use it.
type Warner struct {
	mu    sync.Mutex
	last  time.Time
	times int
}

// Warn calls back, if it is time to, with the number of failures so far.
func (w *Warner) Warn(warn func(times int)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.times++
	if time.Since(w.last) >= warnInterval {
		w.last = time.Now()
		warn(w.times)
	}
}
