package status

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/meddela/meddela/topology"
)

// TestCalls: each state is in one call, no call is too large, and on a cluster
// the keys of a call are of one hash slot.
func TestCalls(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOfN(rapid.StringMatching(`[a-c]{1,2}`), 1, 40).Draw(t, "ids")
		s := shape{
			keys:    topology.Keys{Prefix: rapid.SampledFrom([]string{"", "meddela:", "{one}:"}).Draw(t, "prefix")},
			ttl:     time.Hour,
			most:    rapid.IntRange(1, 10).Draw(t, "most"),
			bySlots: rapid.Bool().Draw(t, "bySlots"),
		}
		var states []topology.State
		for _, id := range ids {
			states = append(states, stateOf(said(topology.EventID(id), 1, topology.Sent, 1)))
		}
		c := takeCalls()
		defer c.release()
		c.make(states, s)
		seen := make([]int, len(states))
		for _, call := range c.list {
			if len(call.states) == 0 || len(call.states) > s.most || call.args[2] != len(call.states) {
				t.Fatalf("a call of %d states, %v keys", len(call.states), call.args[2])
			}
			for k, i := range call.states {
				seen[i]++
				key := *call.args[3+k].(*string)
				if key != s.keys.Event(states[i].EventID) {
					t.Fatalf("key %q of event %q", key, states[i].EventID)
				}
				if first := *call.args[3].(*string); s.bySlots && topology.SlotOf(key) != topology.SlotOf(first) {
					t.Fatalf("%q and %q in one call", first, key)
				}
			}
		}
		if slices.ContainsFunc(seen, func(n int) bool { return n != 1 }) {
			t.Fatalf("states are in %v calls", seen)
		}
	})
}
