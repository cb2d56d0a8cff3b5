package scan

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

const (
	defaultPatience = 30 * time.Second
	shortestPause   = 50 * time.Millisecond
	longestPause    = 2 * time.Second
)

// trouble is failures in a row. The zero value is none.
type trouble struct {
	began time.Time
	tries int
}

// persist calls try until it succeeds, or outlast gives up.
func (t *Topics) persist(ctx context.Context, try func(ctx context.Context) error) error {
	for row := (trouble{}); ; {
		err := try(ctx)
		if err == nil {
			return nil
		}
		if err := t.outlast(ctx, &row, err); err != nil {
			return err
		}
	}
}

// outlast waits before another try, longer each time. It returns the error for
// which there should be none: ctx's, a lasting one, or that of an outage that
// has tried the patience.
func (t *Topics) outlast(ctx context.Context, row *trouble, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if lasting(err) {
		return err
	}
	if row.tries == 0 {
		row.began = time.Now()
	}
	if took := time.Since(row.began); took >= orDefault(t.Patience, defaultPatience) {
		return fmt.Errorf("gave up after %s: %w", took.Round(100*time.Millisecond), err)
	}
	t.dropConnections()
	pause := longestPause
	if row.tries < 6 {
		pause = min(shortestPause<<row.tries, longestPause)
	}
	row.tries++
	timer := time.NewTimer(pause/2 + rand.N(pause/2))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// dropConnections makes requests use new connections: the client library finds
// out that one is broken only by a request that fails on it.
func (t *Topics) dropConnections() {
	if pool, ok := t.Transport.(interface{ CloseIdleConnections() }); ok {
		pool.CloseIdleConnections()
	}
}
