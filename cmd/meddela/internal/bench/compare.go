package bench

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Comparison is rivals measured in the same run, round by round, in an order
// that changes from round to round. The first of them is ours, the second the
// one that it is held against.
type Comparison struct {
	Title string `json:"title"`
	What  string `json:"what"` // that is counted
	Sides []Side `json:"sides"`
	// Ratio is the median over the rounds of ours to the second's rate in
	// the same round.
	Ratio     float64 `json:"ratio"`
	RatioLow  float64 `json:"ratio_low"`
	RatioHigh float64 `json:"ratio_high"`
	Goal      float64 `json:"goal"`
	// CPURatio is the second's CPU time for each record to ours, of this
	// process and the servers together: what Ratio tends to where CPU is all
	// that is short. What else runs on the machine hardly moves it.
	CPURatio float64 `json:"cpu_ratio"`
}

// Side is one rival's figures.
type Side struct {
	Name   string    `json:"name"`
	Rates  []float64 `json:"rates"` // per second, by round
	Median float64   `json:"median"`
	Low    float64   `json:"low"`
	High   float64   `json:"high"`
	// Micros is CPU time for each record, by process.
	Micros map[string]float64 `json:"cpu_micros"`
}

// Met tells whether the goal is met.
func (c *Comparison) Met() bool { return c.Ratio >= c.Goal }

// contestant does the same work as its rivals.
type contestant struct {
	name string
	run  func(ctx context.Context, round int) (work, error)
}

// compare runs the rivals in turn. One run of the first, which is not counted,
// warms the servers up.
func (b *Bench) compare(ctx context.Context, title, what string, rounds int, goal float64, rivals ...contestant) (*Comparison, error) {
	result := &Comparison{Title: title, What: what, Goal: goal}
	b.Progress("%s: warming up", title)
	if _, err := rivals[0].run(ctx, 0); err != nil {
		return nil, fmt.Errorf("%s, %s: %w", title, rivals[0].name, err)
	}
	done := make([][]work, len(rivals))
	for round := 1; round <= rounds; round++ {
		for _, i := range turn(len(rivals), round) {
			b.Progress("%s: round %d of %d, %s", title, round, rounds, rivals[i].name)
			w, err := rivals[i].run(ctx, round)
			if err != nil {
				return nil, fmt.Errorf("%s, %s: %w", title, rivals[i].name, err)
			}
			done[i] = append(done[i], w)
		}
	}
	for i, rival := range rivals {
		result.Sides = append(result.Sides, side(rival.name, done[i]))
	}
	var ratios []float64
	for round := range rounds {
		ratios = append(ratios, result.Sides[0].Rates[round]/result.Sides[1].Rates[round])
	}
	result.Ratio, result.RatioLow, result.RatioHigh = median(ratios), slices.Min(ratios), slices.Max(ratios)
	result.CPURatio = result.Sides[1].cost() / result.Sides[0].cost()
	return result, nil
}

// cost is the CPU time of all named processes for a record.
func (s *Side) cost() float64 {
	total := 0.0
	for process, used := range s.Micros {
		if process != others {
			total += used
		}
	}
	return total
}

// turn is the order of a round: each rival is first as often as any other, and
// follows each other one as often.
func turn(rivals, round int) []int {
	order := make([]int, rivals)
	for i := range order {
		order[i] = i
	}
	if round%2 == 0 {
		slices.Reverse(order)
	}
	return order
}

func side(name string, done []work) Side {
	s := Side{Name: name, Micros: make(map[string]float64)}
	costs := make(map[string][]float64)
	for _, w := range done {
		s.Rates = append(s.Rates, w.rate())
		for process, used := range w.cpu {
			costs[process] = append(costs[process], micros(used, w.records))
		}
	}
	s.Median, s.Low, s.High = median(s.Rates), slices.Min(s.Rates), slices.Max(s.Rates)
	for process, each := range costs {
		s.Micros[process] = median(each)
	}
	return s
}

func micros(d time.Duration, records int) float64 {
	return float64(d) / float64(time.Microsecond) / float64(records)
}
