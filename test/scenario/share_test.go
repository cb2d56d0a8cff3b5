package scenario

import (
	"testing"
	"time"

	"github.com/meddela/meddela/topology"
)

// TestProcessesShareTheWork has two processes of each role; in mid-stream one
// of each is stopped, and then another joins. Nobody notices.
func TestProcessesShareTheWork(t *testing.T) {
	everywhere(t, func(t *testing.T, s *site) {
		const lane = topology.Realtime
		first := s.startRoles(lane)
		second := s.startRoles(lane)
		events := s.stream(lane, orders)
		events.awaitPublished(10 * perTick())

		events.burst(30 * perTick())
		s.stop(first...)
		s.awaitGroups(lane)
		events.burst(30 * perTick())
		third := s.startRoles(lane)
		events.awaitPublished(10 * perTick())

		want := events.end()
		s.awaitOutcomes(30*time.Second, want)
		s.awaitQuiet(lane)
		s.checkStatuses(want)
		s.checkAcceptedOnce(want)
		shares := make(map[string]int)
		for _, of := range s.acceptances() {
			shares[of[0].process]++
		}
		for _, processes := range [][]*process{first, second, third} {
			for _, p := range processes {
				if p.role == topology.RoleDeliver && shares[p.name] == 0 {
					t.Errorf("%s has sent nothing; the shares are %v", p.name, shares)
				}
			}
		}
		t.Logf("%d events; sent by %v", len(want), shares)
	})
}
