package main

import (
	"flag"
	"fmt"
	"math"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/meddela/meddela/topology"
)

const (
	throughputGoal = 10_000 // events/s
	trial          = 8 * time.Second
	// firstRate is where the search begins, and closeEnough is when it ends: how far the rate that is too much may be
	// from the one that is held.
	firstRate   = 4000
	closeEnough = 1.15
	// mostHolds is how often the long trial is repeated, at a lower rate each time.
	mostHolds = 4
	stepDown  = 0.92

	// settling is left out of the growth: the first second's events are all lag.
	settling = 2
	// mostGrowth is the part of the rate that the lag may grow by, which is within the noise: over a minute it is less
	// than a third of a second's events.
	mostGrowth = 0.005
	// mostLag is how many seconds' events the lag may be in the end, and mostLagShort that of a short trial, whose growth
	// says little: batches grow with the lag, and larger ones cost less, until that balances.
	mostLag      = 2
	mostLagShort = 0.6
	// longTrial is what counts as held, rather than as an indication.
	longTrial = 30 * time.Second
)

// throughputFigure looks for the highest rate that the whole pipeline holds for as long as said, from an event's
// publication to its being sent in Redis. With a rate it tries only that.
func throughputFigure(flags *flag.FlagSet) func(*bench) []Table {
	rate := flags.Float64("rate", 0, "events a second to hold; 0 looks for the highest")
	hold := flags.Duration("for", time.Minute, "how long the rate must be held; at least 5s")
	return func(b *bench) []Table {
		*hold = max(*hold, 5*time.Second)
		s := b.startPipeline("throughput")
		s.probe(1000, warmUp)
		var probes []*probe
		next, holds := *rate, 1
		if *rate == 0 {
			next, probes = s.search()
			holds = mostHolds
		}
		for range holds {
			p := s.probe(math.Round(next), *hold)
			probes = append(probes, p)
			if p.held {
				check(p.events.verify(b.ctx))
				return throughputTables(probes, p, s.pids())
			}
			next *= stepDown
		}
		return throughputTables(probes, nil, nil)
	}
}

// search finds, by short trials, about the highest rate that is held.
func (s *system) search() (rate float64, probes []*probe) {
	held, tooMuch := 0.0, math.Inf(1)
	for rate = firstRate; ; {
		p := s.probe(math.Round(rate), trial)
		probes = append(probes, p)
		if p.held {
			held = rate
		} else {
			tooMuch = rate
		}
		switch {
		case math.IsInf(tooMuch, 1):
			rate *= 1.6
		case held == 0:
			rate /= 2
		case tooMuch/held <= closeEnough:
			return held, probes
		default:
			rate = math.Sqrt(held * tooMuch)
		}
	}
}

// probe is one rate, tried for some time.
type probe struct {
	rate    float64
	seconds float64
	lag     []float64 // events due and not sent, each second
	growth  float64   // of the lag, in events a second
	catchUp time.Duration
	used    cpuUsage
	events  *ledger
	held    bool
}

// probe publishes at a rate and sees whether the pipeline keeps up.
func (s *system) probe(rate float64, d time.Duration) *probe {
	p := &probe{rate: rate, seconds: d.Seconds(), events: &ledger{client: s.redis, keys: s.keys}}
	metered := s.meter(s.pids())
	due := timetable{start: time.Now().Add(10 * time.Millisecond), rate: rate, for_: d}
	working, ctx := errgroup.WithContext(s.ctx)
	working.Go(func() error {
		const gather = 20 * time.Millisecond
		next := func(number int, _ time.Time) topology.Record { return newEvent(number) }
		return s.publish(ctx, due, gather, next, p.events.published)
	})
	working.Go(func() error {
		for at := time.Second; at <= d; at += time.Second {
			if err := sleep(ctx, time.Until(due.start.Add(at))); err != nil {
				return err
			}
			now := due.by(time.Now())
			_, sent, err := p.events.look(ctx)
			if err != nil {
				return err
			}
			p.lag = append(p.lag, float64(now-sent))
			progress("%.0f events/s: %v of %v, %d events behind", rate, at, d, now-sent)
			if err := s.alive(); err != nil {
				return err
			}
		}
		return nil
	})
	check(working.Wait())
	p.used = metered()
	s.await("catching up", 10*time.Millisecond, func() (done, want int) {
		published, sent, err := p.events.look(s.ctx)
		check(err)
		return sent, published
	})
	p.catchUp = time.Since(due.start.Add(d))
	p.judge()
	return p
}

func (p *probe) judge() {
	p.growth = slope(p.lag[min(settling, len(p.lag)-1):])
	last := p.lag[len(p.lag)-1]
	if p.seconds < longTrial.Seconds() {
		p.held = last <= mostLagShort*p.rate
		return
	}
	p.held = p.growth <= mostGrowth*p.rate && last <= mostLag*p.rate
}

// throughputTables shows the trials, and the one that was held if there is one.
func throughputTables(probes []*probe, held *probe, pids map[string]int) []Table {
	trials := Table{
		Title: "throughput, from publishing to sent in Redis: events of 1 KB, one lane, a process a role",
		Columns: []string{
			"events/s", "seconds", "events behind at the end", "at most", "growing by, a second", "caught up after, s", "CPUs",
			"of them others'", "",
		},
	}
	for _, p := range probes {
		result, cores := "too much", 0.0
		if p.held {
			result = "held"
		}
		for name := range p.used.cpu {
			cores += p.used.cores(name)
		}
		trials.Rows = append(trials.Rows, []any{
			p.rate, p.seconds, p.lag[len(p.lag)-1], slices.Max(p.lag), p.growth, p.catchUp.Seconds(), cores,
			p.used.cores(others), result,
		})
	}
	if held == nil {
		trials.Goals = []Goal{{fmt.Sprintf("no rate was held; the goal is %d", throughputGoal), false}}
		return []Table{trials}
	}
	trials.Goals = []Goal{{
		fmt.Sprintf("%.0f events/s held for %.0f s, every event sent; the goal is %d", held.rate, held.seconds, throughputGoal),
		held.rate >= throughputGoal,
	}}
	busy := held.used.table("CPUs kept busy while the rate was held")
	busy.Columns = append(busy.Columns, "most memory, MB")
	for i, row := range busy.Rows {
		if pid, ok := pids[row[0].(string)]; ok {
			_, most := memory(pid)
			busy.Rows[i] = append(row, most)
		}
	}
	return []Table{trials, busy}
}
