package bench

import (
	"fmt"
	"slices"
	"time"
)

// Latency is how long events took, and the same number of bare hops.
type Latency struct {
	Rate     float64 `json:"rate"`
	Pipeline Times   `json:"pipeline"`
	Floor    Times   `json:"floor"`
	Stages   []Times `json:"stages"` // of the pipeline
	// Cores is how many CPUs each process kept busy in the pipeline's turns,
	// and FloorCores in the floor's.
	Cores      map[string]float64 `json:"cores"`
	FloorCores map[string]float64 `json:"floor_cores"`
}

// Times are durations in milliseconds.
type Times struct {
	Name   string  `json:"name"`
	Events int     `json:"events"`
	P50    float64 `json:"p50_ms"`
	P90    float64 `json:"p90_ms"`
	P99    float64 `json:"p99_ms"`
	Max    float64 `json:"max_ms"`
	// Rounds' own quantiles.
	P50s []float64 `json:"p50_ms_by_round,omitempty"`
	P99s []float64 `json:"p99_ms_by_round,omitempty"`
}

func (l *Latency) summarise(ours, floor *latencySide) {
	l.Pipeline, l.Floor = ours.times(), floor.times()
	l.Cores, l.FloorCores = ours.used.cores(), floor.used.cores()
	for _, stage := range []struct {
		name   string
		limits func(arrival) (from, to time.Time)
	}{
		{"publishing: due to Kafka's time", func(a arrival) (from, to time.Time) { return a.due, a.stages.pending }},
		{"queue: Kafka's time to matched", func(a arrival) (from, to time.Time) { return a.stages.pending, a.stages.pendingDelivery }},
		{"sending: matched to sent", func(a arrival) (from, to time.Time) { return a.stages.pendingDelivery, a.stages.final }},
		{"status: sent to seen in Redis", func(a arrival) (from, to time.Time) { return a.stages.final, a.seen }},
	} {
		var all []float64
		for _, a := range slices.Concat(ours.rounds...) {
			// A status may be seen as sent before it says when the event was
			// matched.
			if from, to := stage.limits(a); !from.IsZero() && !to.IsZero() {
				all = append(all, milliseconds(to.Sub(from)))
			}
		}
		l.Stages = append(l.Stages, timesOf(stage.name, all))
	}
}

func (s *latencySide) times() Times {
	var all []float64
	var p50s, p99s []float64
	for _, round := range s.rounds {
		var times []float64
		for _, a := range round {
			times = append(times, milliseconds(a.seen.Sub(a.due)))
		}
		p50s, p99s = append(p50s, quantile(times, 0.5)), append(p99s, quantile(times, 0.99))
		all = append(all, times...)
	}
	t := timesOf(s.name, all)
	t.P50s, t.P99s = p50s, p99s
	return t
}

func timesOf(name string, all []float64) Times {
	return Times{
		Name: name, Events: len(all),
		P50: quantile(all, 0.5), P90: quantile(all, 0.9), P99: quantile(all, 0.99), Max: quantile(all, 1),
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// Tables implements Result.
func (l *Latency) Tables() []Table {
	whole := Table{
		Title:   fmt.Sprintf("latency at %.0f events/s, from when an event is due until Redis says sent", l.Rate),
		Columns: []string{"", "events", "p50 ms", "p90 ms", "p99 ms", "most ms", "p50 by round", "p99 by round"},
		Verdicts: []Verdict{
			under("p50", l.Pipeline.P50, latencyGoal50),
			under("p99", l.Pipeline.P99, latencyGoal99),
		},
	}
	for _, t := range []Times{l.Pipeline, l.Floor} {
		whole.Rows = append(whole.Rows, append(t.row(), list(t.P50s), list(t.P99s)))
	}
	parts := Table{
		Title:   "where the time went, by the times in the statuses (whole milliseconds)",
		Columns: []string{"", "events", "p50 ms", "p90 ms", "p99 ms", "most ms"},
	}
	for _, t := range l.Stages {
		parts.Rows = append(parts.Rows, t.row())
	}
	return []Table{
		whole, parts,
		coresTable("CPUs kept busy by the pipeline's turns", l.Cores),
		coresTable("CPUs kept busy by the floor's turns", l.FloorCores),
	}
}

func under(what string, ms float64, goal time.Duration) Verdict {
	return Verdict{
		Text: fmt.Sprintf("%s %.1f ms; the goal is below %v", what, ms, goal),
		Met:  ms < milliseconds(goal),
	}
}

func (t Times) row() []string {
	return []string{t.Name, fmt.Sprint(t.Events), oneDigit(t.P50), oneDigit(t.P90), oneDigit(t.P99), oneDigit(t.Max)}
}

func oneDigit(f float64) string { return fmt.Sprintf("%.1f", f) }

func list(values []float64) string {
	text := ""
	for i, v := range values {
		if i > 0 {
			text += " "
		}
		text += oneDigit(v)
	}
	return text
}
