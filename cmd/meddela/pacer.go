package main

import (
	"context"
	"time"
)

// pacer spreads events over time. A rate of 0 is no limit.
type pacer struct {
	rate float64 // events a second
	due  time.Time
}

// wait waits until n more events may be published.
func (p *pacer) wait(ctx context.Context, n int) error {
	if p.rate == 0 {
		return nil
	}
	now := time.Now()
	wait := p.due.Sub(now)
	p.due = now.Add(max(wait, 0) + time.Duration(float64(n)/p.rate*float64(time.Second)))
	return sleep(ctx, wait)
}
