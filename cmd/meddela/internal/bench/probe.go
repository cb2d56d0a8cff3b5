package bench

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// Probe is one rate, tried for some time.
type Probe struct {
	Rate    float64   `json:"rate"`
	Seconds float64   `json:"seconds"`
	Lag     []float64 `json:"lag"` // events due and not sent, each second
	// Growth of the lag in events a second: the median of all slopes.
	Growth float64 `json:"growth"`
	MaxLag float64 `json:"max_lag"`
	// Catch is how long after the last event all were sent.
	Catch float64 `json:"catch_up_seconds"`
	// Cores is how many CPUs each process kept busy.
	Cores map[string]float64 `json:"cores"`
	Held  bool               `json:"held"`
}

const (
	lagInterval = time.Second
	// settling is left out of the growth: the first second's events are all
	// lag.
	settling = 2
	// mostGrowth is the part of the rate that the lag may grow by, which is
	// within the noise: over a minute it is less than a third of a second's
	// events.
	mostGrowth = 0.005
	// mostLag is how many seconds' events the lag may be in the end.
	mostLag = 2
	// mostLagShort is that of a short trial, whose growth says little: batches
	// grow with the lag, and larger ones cost less, until that balances.
	mostLagShort = 0.6
	// longTrial is what counts as held, rather than as an indication.
	longTrial = 30 * time.Second
	// gathering is how long events are gathered for one call of the producer.
	gathering = 20 * time.Millisecond
)

// probe publishes at a rate and sees whether the pipeline keeps up.
func (b *Bench) probe(ctx context.Context, p *pipeline, rate float64, d time.Duration) (Probe, *ledger, error) {
	book := newLedger(b.Redis, p.keys, b.Sizing.Partitions)
	g, err := b.newGenerator(p.names, rate, gathering)
	if err != nil {
		return Probe{}, nil, err
	}
	g.published = book.published
	start := time.Now().Add(10 * time.Millisecond)
	result := Probe{Rate: rate, Seconds: d.Seconds()}
	meter := b.meter(p.pids())
	working, ctx := errgroup.WithContext(ctx)
	working.Go(func() error { return g.run(ctx, start, d) })
	working.Go(func() (err error) {
		result.Lag, err = b.watchLag(ctx, book, rate, start, d)
		return err
	})
	if err := working.Wait(); err != nil {
		return result, nil, err
	}
	result.Cores = meter.stop().cores()
	end := start.Add(d)
	if err := b.catchUp(context.WithoutCancel(ctx), book); err != nil {
		return result, nil, err
	}
	result.Catch = time.Since(end).Seconds()
	result.judge()
	return result, book, nil
}

// watchLag looks each second how many of the events due are not sent.
func (b *Bench) watchLag(ctx context.Context, book *ledger, rate float64, start time.Time, d time.Duration) ([]float64, error) {
	var lags []float64
	for at := lagInterval; at <= d; at += lagInterval {
		if err := sleep(ctx, time.Until(start.Add(at))); err != nil {
			return nil, err
		}
		due := min(scheduled(rate, start, time.Now()), int(rate*d.Seconds()))
		if err := book.look(ctx); err != nil {
			return nil, err
		}
		_, sent := book.counts()
		lags = append(lags, float64(due-sent))
		b.Progress("%.0f events/s: %v of %v, %d events behind", rate, at, d, due-sent)
	}
	return lags, nil
}

func (p *Probe) judge() {
	settled := p.Lag[min(settling, len(p.Lag)-1):]
	p.Growth, p.MaxLag = slope(settled), slices.Max(p.Lag)
	last := p.Lag[len(p.Lag)-1]
	if p.Seconds < longTrial.Seconds() {
		p.Held = last <= mostLagShort*p.Rate
		return
	}
	p.Held = p.Growth <= mostGrowth*p.Rate && last <= mostLag*p.Rate
}

// catchUp waits until all that is published is sent.
func (b *Bench) catchUp(ctx context.Context, book *ledger) error {
	last, since := -1, time.Now()
	for {
		if err := book.look(ctx); err != nil {
			return err
		}
		published, sent := book.counts()
		if sent == published {
			return nil
		}
		if sent != last {
			last, since = sent, time.Now()
		}
		if time.Since(since) > sendPatience {
			return fmt.Errorf("%d of %d events are not sent, and for %v no other has been", published-sent, published, sendPatience)
		}
		b.Progress("catching up, %d events behind", published-sent)
		if err := sleep(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
}
