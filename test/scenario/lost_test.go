package scenario

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/meddela/meddela/topology"
)

// TestRedisLosesItsData in mid-stream: it is noticed and told, statuses are again what
// the log says, without anybody's doing, and what was sent before is not sent again when
// its events are published once more.
func TestRedisLosesItsData(t *testing.T) {
	everywhere(t, func(t *testing.T, s *site) {
		const lane = topology.Realtime
		s.startRoles(lane)
		events := s.stream(lane, orders)
		events.awaitPublished(10 * perTick())
		s.awaitOutcomes(30*time.Second, events.published())
		if well, out := s.check(); !well {
			t.Fatalf("before, check says %s", out)
		}

		began := time.Now()
		keys, err := s.reader.keys(s.redisKeys.Prefix)
		if err != nil || len(keys) == 0 {
			t.Fatal(len(keys), err)
		}
		if err := s.reader.remove(keys); err != nil {
			t.Fatal(err)
		}
		status := s.running(topology.RoleStatus)
		s.eventually(20*time.Second, "the loss is told", func() error {
			_, text, err := status.ask("/metrics")
			if err == nil && !strings.Contains(text, "meddela_redis_lost_timestamp_seconds{") {
				err = errors.New("no metric tells of it")
			}
			return err
		})
		noticed := time.Since(began)
		events.awaitPublished(5 * perTick())
		want := events.end()
		s.awaitOutcomes(60*time.Second, want)
		s.eventually(30*time.Second, "check says that all is well", func() error {
			if well, out := s.check(); !well {
				return fmt.Errorf("it says %s", out)
			}
			return nil
		})
		s.checkStatuses(want)

		again := make([]record, 0, len(want))
		for i := range len(want) {
			r, _ := orders(i)
			again = append(again, r)
		}
		s.publish(lane, again...)
		s.awaitQuiet(lane)
		sent, twice := s.acceptances(), 0
		for id := range want {
			twice += len(sent[id]) - 1
		}
		// What was with the provider at that moment may have lost its claim since.
		if twice > perTick() {
			t.Errorf("%d of %d were sent again", twice, len(want))
		}
		t.Logf("noticed after %v; %d events, %d sent again", noticed.Round(time.Millisecond), len(want), twice)

		// A process of status that starts with an empty Redis notices too.
		s.stop(status)
		s.forget()
		if keys, err = s.reader.keys(s.redisKeys.Prefix + "position:"); err != nil {
			t.Fatal(err)
		}
		if err := s.reader.remove(keys); err != nil {
			t.Fatal(err)
		}
		if well, out := s.check(); well || !strings.Contains(out, "is missing") {
			t.Errorf("of an empty Redis, check says %s", out)
		}
		s.start(topology.RoleStatus, lane)
		s.awaitOutcomes(60*time.Second, want)
		s.awaitQuiet(lane)
	})
}

// check is what the command check says of the data in Redis.
func (s *site) check() (well bool, out string) {
	s.t.Helper()
	command := exec.Command(binary, "check", "-o", "json")
	command.Env = s.environment()
	text, _ := command.Output() // whose exit code is of everything
	var findings []struct {
		What, Detail string
		Well         bool
	}
	if err := json.Unmarshal(text, &findings); err != nil {
		s.t.Fatalf("%v: %s", err, text)
	}
	for _, f := range findings {
		if f.What == "data in Redis" {
			return f.Well, f.Detail
		}
	}
	return false, string(text)
}
