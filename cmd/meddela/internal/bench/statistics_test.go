package bench

import (
	"math"
	"testing"
)

func TestStatistics(t *testing.T) {
	values := []float64{9, 1, 5, 3, 7, 2, 8, 4, 6, 10}
	for name, tt := range map[string]struct{ got, want float64 }{
		"median of even many":      {median(values), 5.5},
		"median of odd many":       {median(values[:3]), 5},
		"median of none":           {median(nil), 0},
		"p50 by the nearest rank":  {quantile(values, 0.5), 5},
		"p99":                      {quantile(values, 0.99), 10},
		"p0 is the least":          {quantile(values, 0), 1},
		"quantile of none":         {quantile(nil, 0.5), 0},
		"mean":                     {mean(values), 5.5},
		"slope of a line":          {slope([]float64{3, 5, 7, 9}), 2},
		"slope of what is level":   {slope([]float64{4, 4, 4}), 0},
		"slope of what goes round": {slope([]float64{1, 5, 1}), 0},
		"slope of one":             {slope([]float64{4}), 0},
		"slope beside a surge":     {slope([]float64{1, 1, 1, 1, 1, 1, 90, 80}), 0},
	} {
		if math.Abs(tt.got-tt.want) > 1e-9 {
			t.Errorf("%s: %v, want %v", name, tt.got, tt.want)
		}
	}
	if values[0] != 9 {
		t.Error("the values were sorted in place")
	}
}

func TestTurnsDiffer(t *testing.T) {
	first, second := turn(3, 1), turn(3, 2)
	for i := range first {
		if first[i] != second[len(second)-1-i] {
			t.Fatalf("rounds in the orders %v and %v: want one the other's reverse", first, second)
		}
	}
}

func TestWholeNumbers(t *testing.T) {
	for n, want := range map[float64]string{0: "0", 999: "999", 1000: "1 000", 12_345_678.4: "12 345 678"} {
		if got := whole(n); got != want {
			t.Errorf("%v is shown as %q, want %q", n, got, want)
		}
	}
}
