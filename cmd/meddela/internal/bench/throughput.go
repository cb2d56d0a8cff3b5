package bench

import (
	"context"
	"fmt"
	"math"
	"time"
)

const (
	throughputGoal = 10_000 // events/s
	trial          = 8 * time.Second
	// firstRate is where the search begins, and closeEnough is when it ends: how far
	// the rate that is too much may be from the one that is held.
	firstRate   = 4000
	closeEnough = 1.15
	// mostHolds is how often the long trial is repeated at a lower rate.
	mostHolds = 4
	stepDown  = 0.92
)

// Throughput looks for the highest rate that the whole pipeline holds for as
// long as said, from an event's publication to its being sent in Redis. With a
// rate it tries only that.
func (b *Bench) Throughput(ctx context.Context, rate float64, d time.Duration) (*Throughput, error) {
	p, err := b.startPipeline(ctx, "throughput")
	if err != nil {
		return nil, err
	}
	result := &Throughput{}
	err = p.during(ctx, func(ctx context.Context) error {
		b.Progress("warming up")
		if _, _, err := b.probe(ctx, p, 1000, warmUp); err != nil {
			return err
		}
		holds := 1
		if rate == 0 {
			holds = mostHolds
			if rate, err = b.search(ctx, p, result); err != nil {
				return err
			}
		}
		return b.hold(ctx, p, result, rate, d, holds)
	})
	return result, err
}

// search finds, by short trials, about the highest rate that is held.
func (b *Bench) search(ctx context.Context, p *pipeline, result *Throughput) (float64, error) {
	held, tooMuch := 0.0, math.Inf(1)
	for rate := float64(firstRate); ; {
		probe, _, err := b.probe(ctx, p, math.Round(rate), trial)
		if err != nil {
			return 0, err
		}
		result.Trials = append(result.Trials, probe)
		if probe.Held {
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
			return held, nil
		default:
			rate = math.Sqrt(held * tooMuch)
		}
	}
}

// hold tries a rate for the full time, and lower ones where that is too much.
func (b *Bench) hold(ctx context.Context, p *pipeline, result *Throughput, rate float64, d time.Duration, times int) error {
	for range times {
		probe, book, err := b.probe(ctx, p, math.Round(rate), d)
		if err != nil {
			return err
		}
		result.Trials = append(result.Trials, probe)
		if !probe.Held {
			rate *= stepDown
			continue
		}
		result.Cores = probe.Cores
		result.Rate, result.Seconds = probe.Rate, probe.Seconds
		result.Memory = make(map[string]float64)
		for name, pid := range p.pids() {
			_, most := memory(pid)
			result.Memory[name] = megabytes(most)
		}
		b.Progress("looking at every event's status")
		return book.verify(ctx)
	}
	return nil
}

// Throughput is the highest rate that was held; 0 when none was.
type Throughput struct {
	Rate    float64 `json:"rate"`
	Seconds float64 `json:"seconds"`
	Trials  []Probe `json:"trials"`
	// Cores is how many CPUs each process kept busy while the rate was held,
	// and Memory the most that each role held in memory, in MB.
	Cores  map[string]float64 `json:"cores"`
	Memory map[string]float64 `json:"memory_mb"`
}

// Tables implements Result.
func (t *Throughput) Tables() []Table {
	trials := Table{
		Title:   "throughput, from publishing to sent in Redis: events of 1 KB, one lane, a process a role",
		Columns: []string{"events/s", "seconds", "events behind at the end", "at most", "growing by, a second", "caught up after, s", "CPUs", "of them others'", ""},
		Verdicts: []Verdict{{
			Text: fmt.Sprintf("%s events/s held for %.0f s, every event sent; the goal is %s",
				whole(t.Rate), t.Seconds, whole(throughputGoal)),
			Met: t.Rate >= throughputGoal,
		}},
	}
	for _, p := range t.Trials {
		verdict := "too much"
		if p.Held {
			verdict = "held"
		}
		trials.Rows = append(trials.Rows, []string{
			whole(p.Rate), whole(p.Seconds), whole(p.Lag[len(p.Lag)-1]), whole(p.MaxLag),
			fmt.Sprintf("%+.0f", p.Growth), fmt.Sprintf("%.2f", p.Catch),
			fmt.Sprintf("%.2f", sum(p.Cores)), fmt.Sprintf("%.2f", p.Cores[others]), verdict,
		})
	}
	if t.Rate == 0 {
		return []Table{trials}
	}
	cores := coresTable("CPUs kept busy while the rate was held", t.Cores)
	cores.Columns = append(cores.Columns, "most memory, MB")
	for i, row := range cores.Rows {
		if mb, ok := t.Memory[row[0]]; ok {
			cores.Rows[i] = append(row, oneDigit(mb))
		}
	}
	return []Table{trials, cores}
}

func megabytes(bytes int64) float64 { return float64(bytes) / (1 << 20) }

func sum(values map[string]float64) float64 {
	total := 0.0
	for _, v := range values {
		total += v
	}
	return total
}
