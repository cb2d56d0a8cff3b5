package command

import (
	"context"
	"time"

	"github.com/meddela/meddela/topology/retry"
)

// Pacer spreads events over time. A rate of 0 is no limit.
type Pacer struct {
	Rate float64 // events a second
	due  time.Time
}

// Wait waits until n more events may be published.
func (p *Pacer) Wait(ctx context.Context, n int) error {
	if p.Rate == 0 {
		return nil
	}
	now := time.Now()
	wait := p.due.Sub(now)
	p.due = now.Add(max(wait, 0) + time.Duration(float64(n)/p.Rate*float64(time.Second)))
	retry.Sleep(ctx, wait)
	return ctx.Err()
}

// MaxBatchLines bounds one call of the producer.
const MaxBatchLines = 500

// BatchSize keeps batches so small that a limited rate is even.
func (p *Pacer) BatchSize(most int) int {
	if p.Rate == 0 {
		return most
	}
	const batchesPerSecond = 20
	return min(max(int(p.Rate/batchesPerSecond), 1), most)
}
