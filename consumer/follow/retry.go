package follow

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	shortestPause    = 50 * time.Millisecond
	longestPause     = 2 * time.Second
	complainInterval = 10 * time.Second
)

// pause waits before another try: longer each time, with jitter. It reports
// false as soon as ctx ends.
func pause(ctx context.Context, tries int) bool {
	d := longestPause
	if tries < 6 {
		d = min(shortestPause<<tries, longestPause)
	}
	timer := time.NewTimer(d/2 + rand.N(d/2+1))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// everySoOften calls back about a repeated failure, but not for each.
type everySoOften struct {
	last  time.Time
	times int
}

func (e *everySoOften) about(complain func(times int)) {
	e.times++
	if time.Since(e.last) >= complainInterval {
		e.last = time.Now()
		complain(e.times)
	}
}
