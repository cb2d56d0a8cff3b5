package consumer

import (
	"math/rand/v2"
	"testing"
)

// TestWindow: whatever order batches come on in, no more is acknowledged than
// all before have reached, and in the end everything is.
func TestWindow(t *testing.T) {
	for range 200 {
		var w window
		const n, parts = 12, 3
		reached := make([]int, n) // parts of each
		var open []*progress
		acked := int64(0)
		for steps := 0; steps < n*parts; {
			if len(open) < n && rand.IntN(2) == 0 {
				open = append(open, w.open())
			}
			if len(open) == 0 {
				continue
			}
			i := rand.IntN(len(open))
			if reached[i] == parts {
				continue
			}
			reached[i]++
			steps++
			next := int64(i*parts + reached[i])
			w.reach(open[i], next, true, reached[i] == parts, func(to int64, work bool) {
				if to <= acked || !work {
					t.Fatalf("%d was acknowledged after %d, work %v", to, acked, work)
				}
				acked = to
			})
			whole := int64(0)
			for j := range reached {
				whole = int64(j*parts + reached[j])
				if reached[j] < parts {
					break
				}
			}
			if acked > whole {
				t.Fatalf("%d is acknowledged, and %d reached: %v", acked, whole, reached)
			}
			if steps == n*parts && acked != n*parts {
				t.Fatalf("in the end %d is acknowledged of %d", acked, n*parts)
			}
		}
	}
}
