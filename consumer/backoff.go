package consumer

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff is how long to wait before the next try: it doubles from shortest to
// longest, with jitter, so that partitions do not all knock at once.
type backoff struct {
	shortest, longest time.Duration
	tries             int
}

func newBackoff() backoff {
	return backoff{shortest: 50 * time.Millisecond, longest: 2 * time.Second}
}

func (b *backoff) reset() { b.tries = 0 }

// wait waits and reports true, or reports false as soon as ctx ends.
func (b *backoff) wait(ctx context.Context) bool {
	d := b.longest
	if b.tries < 6 {
		d = min(b.shortest<<b.tries, b.longest)
	}
	b.tries++
	return sleep(ctx, d/2+rand.N(d/2+1))
}

// sleep waits for d and reports true, or reports false as soon as ctx ends.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
