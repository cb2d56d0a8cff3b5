package bench

import (
	"testing"
	"time"
)

func TestWhatCountsAsHeld(t *testing.T) {
	level := func(n int, lag, growth float64) []float64 {
		lags := make([]float64, n)
		for i := range lags {
			lags[i] = lag + growth*float64(i)
		}
		return lags
	}
	for name, tt := range map[string]struct {
		lag  []float64
		held bool
	}{
		"level for a minute":                 {level(60, 500, 0), true},
		"less and less":                      {level(60, 9000, -100), true},
		"growing by a hundredth of the rate": {level(60, 500, 100), false},
		"growing within the noise":           {level(60, 500, 40), true},
		"level, but seconds behind":          {level(60, 30_000, 0), false},
		"a short trial's noise":              {level(8, 500, 200), true},
		"a short trial that is behind":       {level(8, 500, 2000), false},
		"a surge that passes":                {append(level(52, 500, 0), 9000, 15_000, 19_000, 15_000, 9000, 4000, 500, 500), true},
		"the first seconds do not count":     {append([]float64{0, 0}, level(58, 5000, 0)...), true},
		"one look":                           {level(1, 500, 0), true},
	} {
		p := Probe{Rate: 10_000, Seconds: float64(len(tt.lag)), Lag: tt.lag}
		if p.judge(); p.Held != tt.held {
			t.Errorf("%s: held %v, want %v (growing by %.1f)", name, p.Held, tt.held, p.Growth)
		}
	}
}

func TestTimetable(t *testing.T) {
	start := time.Now()
	g := generator{rate: 500}
	for i := range 2000 {
		due := g.dueAt(start, i)
		if got := scheduled(g.rate, start, due.Add(time.Microsecond)); got != i+1 {
			t.Fatalf("when event %d is due, %d are scheduled, want %d", i, got, i+1)
		}
	}
	if got := scheduled(g.rate, start, start.Add(-time.Second)); got != 0 {
		t.Errorf("%d events are scheduled before the start", got)
	}
}
