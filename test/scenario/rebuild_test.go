package scenario

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/meddela/meddela/topology"
)

// TestStatusIsAFoldOverTheLog deletes every status and has the log read again
// from its start: the same hashes come out, field by field.
func TestStatusIsAFoldOverTheLog(t *testing.T) {
	everywhere(t, func(t *testing.T, s *site) {
		const lane = topology.Realtime
		s.startRoles(lane)
		want := s.publishKinds(lane, time.Now())
		s.awaitOutcomes(20*time.Second, want)
		s.awaitQuiet(lane)
		before := s.allHashes(want)

		s.stop(s.running(topology.RoleStatus))
		s.forget()
		if left := s.allHashes(want); len(left) > 0 {
			t.Fatalf("%d statuses were not deleted", len(left))
		}
		for _, topic := range s.inputs(topology.RoleStatus, lane) {
			if err := s.cluster.rewind(s.topics.Group(topology.RoleStatus, lane), string(topic)); err != nil {
				t.Fatal(err)
			}
		}
		s.start(topology.RoleStatus, lane)
		s.eventually(20*time.Second, "the same hashes are there again", func() error {
			return same(before, s.allHashes(want))
		})
		s.awaitQuiet(lane)
		if err := same(before, s.allHashes(want)); err != nil {
			t.Error(err)
		}
	})
}

// publishKinds publishes one event of each kind, and returns what is to come of
// them in the end.
func (s *site) publishKinds(lane topology.Lane, soon time.Time) map[string]string {
	s.t.Helper()
	s.publish(lane, kinds(lane, soon)...)
	want := quickOutcomes(lane)
	want[string(lane)+":scheduled"] = "sent"
	want[string(lane)+":outlived"] = "expired/expired"
	return want
}

// forget deletes every status.
func (s *site) forget() {
	s.t.Helper()
	keys, err := s.reader.keys(s.redisKeys.Event(""))
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.reader.remove(keys); err != nil {
		s.t.Fatal(err)
	}
}

// allHashes returns the hashes of those of the events that have one.
func (s *site) allHashes(events map[string]string) map[string]map[string]string {
	s.t.Helper()
	found := make(map[string]map[string]string)
	for id := range events {
		if hash := s.hash(id); len(hash) > 0 {
			found[id] = hash
		}
	}
	return found
}

func same(want, got map[string]map[string]string) error {
	if len(got) != len(want) {
		return fmt.Errorf("there are %d, not %d", len(got), len(want))
	}
	for id := range want {
		if !maps.Equal(got[id], want[id]) {
			return fmt.Errorf("%s was %v, and is %v", id, want[id], got[id])
		}
	}
	return nil
}
