package roles_test

import (
	"math"
	"runtime/debug"
	"testing"

	"github.com/meddela/meddela/cmd/meddela/internal/roles"
)

// TestLimitMemory: the runtime's limit grows with what may be in flight, as MEDDELA_LOOP_IN_FLIGHT_BYTES says, so that
// the collector does not run all the time for the sake of what is held; who runs the process may say otherwise.
func TestLimitMemory(t *testing.T) {
	t.Cleanup(func() { debug.SetMemoryLimit(math.MaxInt64); debug.SetGCPercent(100) })
	for _, said := range []string{"", "set"} {
		t.Setenv("GOMEMLIMIT", said)
		t.Setenv("GOGC", said)
		for inFlight, want := range map[int]int64{8 << 20: 80 << 20, 64 << 20: 304 << 20} {
			debug.SetMemoryLimit(1 << 30)
			debug.SetGCPercent(50)
			wantPercent := 400
			if said != "" {
				want, wantPercent = 1<<30, 50
			}
			roles.LimitMemory(inFlight)
			if is, percent := debug.SetMemoryLimit(-1), debug.SetGCPercent(50); is != want || percent != wantPercent {
				t.Errorf("%d in flight, environment %q: limit %d and %d %%, want %d and %d %%", inFlight, said, is, percent,
					want, wantPercent)
			}
		}
	}
}
