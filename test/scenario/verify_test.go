package scenario

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/meddela/meddela/topology"
)

// TestVerifyAndRebuild: what Redis has lost and what was changed by hand is named event by event; a rebuild, which is
// killed and goes on, mends it, and the history of an event is told.
func TestVerifyAndRebuild(t *testing.T) {
	everywhere(t, func(t *testing.T, s *site) {
		const lane = topology.Realtime
		s.startRoles(lane)
		var entries []record
		for i := range 6000 { // of another engine, before all else: from then on the log is known to have everything
			id := fmt.Sprintf("bulk-%d", i)
			e := topology.Entry{EventID: topology.EventID(id), Lane: lane, Attempt: 1, Status: topology.Sent, At: time.Now()}
			entries = append(entries, record{key: id, value: e.Append(nil), partition: anyPartition})
		}
		if err := s.upstream.publish(string(s.topics.DeliveryLog(lane)), entries); err != nil {
			t.Fatal(err)
		}
		kinds := s.publishKinds(lane, time.Now())
		s.awaitOutcomes(30*time.Second, kinds)
		s.verified(map[string]string{})

		s.t.Cleanup(func() { _ = s.hands().Close() })
		id := func(name string) string { return string(lane) + ":" + name }
		want := map[string]string{
			id("sent"): "missing", id("refused"): "different", id("skipped"): "different", id("slow"): "different",
			"never": "unknown", "bulk-7": "older",
		}
		s.hand("del", id("sent"))
		s.hand("hset", id("refused"), "status", "sent")
		s.hand("hset", id("skipped"), "type", "zzz")
		s.hand("hdel", id("slow"), "provider")
		s.holdByHand(topology.Entry{EventID: "never", Lane: lane, Status: topology.Sent, At: time.Now()})
		s.hand("del", "bulk-7")
		s.holdByHand(topology.Entry{EventID: "bulk-7", Lane: lane, Status: topology.Pending, At: time.Now().Add(-time.Hour)})
		for i := range 5 {
			lost := fmt.Sprintf("bulk-%d", 1000+i)
			s.hand("del", lost)
			want[lost] = "missing"
		}
		s.verified(want)

		done := s.killedAndGoneOn()
		if done.Before == 0 || done.Records == 0 {
			t.Errorf("after it was killed, it began anew: %+v", done)
		}
		maps.DeleteFunc(want, func(_, cause string) bool { return cause == "missing" || cause == "older" })
		s.verified(want)
		s.run("status", "rebuild", "--replace")
		s.verified(map[string]string{})
		s.awaitOutcomes(time.Second, kinds)

		var history struct {
			Status struct{ Status string }
			Steps  []struct{ Record, Words string }
		}
		if err := json.Unmarshal(s.run("status", id("slow"), "--history", "-o", "json"), &history); err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprint(history)
		for _, part := range []string{
			"received: type order_confirmation", "job: template order_confirmation@", "Pending delivery", "Sent",
			string(s.topics.Events(lane)) + "/", string(s.topics.DeliveryLog(lane)) + "/",
		} {
			if !strings.Contains(text, part) {
				t.Errorf("its history does not say %q: %s", part, text)
			}
		}
	})
}

// hands are an operator's in Redis.
func (s *site) hands() *redis.Client { return redis.NewClient(&redis.Options{Addr: s.redis}) }

func (s *site) hand(command, id string, args ...any) {
	s.t.Helper()
	client := s.hands()
	defer client.Close()
	args = append([]any{command, s.redisKeys.Event(topology.EventID(id))}, args...)
	if err := client.Do(s.t.Context(), args...).Err(); err != nil {
		s.t.Fatal(err)
	}
}

// holdByHand writes a hash whose rank is right.
func (s *site) holdByHand(e topology.Entry) {
	s.t.Helper()
	state := topology.StateOf(&e)
	s.hand("hset", string(e.EventID), "status", string(e.Status), "lane", string(e.Lane), "rank", string(state.Rank),
		"updated_at", state.UpdatedAt.UnixMilli(), "redrives", 0, "attempt", 0)
	if e.Status.Final() {
		s.hand("hset", string(e.EventID), "final_at", state.FinalAt().UnixMilli())
	}
}

// verified wants each event that differs named with its cause, and no other.
func (s *site) verified(want map[string]string) {
	s.t.Helper()
	command := exec.Command(binary, "status", "verify", "-o", "json", "--examples", "1000")
	command.Env = s.environment()
	out, err := command.Output()
	code := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	}
	var report struct {
		Behind, Events int64
		Examples       []struct {
			ID    string `json:"event_id"`
			Cause string
		}
	}
	if err := json.Unmarshal(out, &report); err != nil {
		s.t.Fatalf("verify: %v: %s", err, out)
	}
	got := make(map[string]string)
	for _, e := range report.Examples {
		got[e.ID] = e.Cause
	}
	if !maps.Equal(got, want) || report.Behind != 0 || report.Events < 6000 || code != min(len(want), 1) {
		s.t.Fatalf("verify, exit status %d: %s\nwant %v", code, out, want)
	}
}

type rebuilt struct{ Before, Records int64 }

// killedAndGoneOn kills a rebuild in the midst, and starts it again.
func (s *site) killedAndGoneOn() (done rebuilt) {
	s.t.Helper()
	args := []string{"status", "rebuild", "--memory", "1", "-o", "json"}
	client := s.hands()
	defer client.Close()
	left := func() bool { return client.Exists(s.t.Context(), s.redisKeys.Rebuild(0)).Val() == 1 }
	for try := 0; !left(); try++ {
		if try == 10 {
			s.t.Fatal("it was never killed before its end")
		}
		command := exec.Command(binary, args...)
		command.Env = s.environment()
		if err := command.Start(); err != nil {
			s.t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- command.Wait() }()
		for running := true; running && !left(); {
			select {
			case <-ended:
				running = false
			default:
			}
		}
		_ = command.Process.Kill()
	}
	if err := json.Unmarshal(s.run(args...), &done); err != nil {
		s.t.Fatal(err)
	}
	if left() {
		s.t.Error("something is left to do")
	}
	return done
}
