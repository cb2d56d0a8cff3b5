package scenario

import (
	"bytes"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/meddela/meddela/topology"
)

// TestRedrive: two thousand dead letters of another build are published again by processes of which five are killed
// and one is stopped until another has its task. Every event is sent, and none twice.
func TestRedrive(t *testing.T) {
	everywhere(t, func(t *testing.T, s *site) {
		const lane, letters = topology.Realtime, 2000
		s.startRoles(lane)
		want := map[string]string{}
		var fine, often []record
		for i := range letters {
			r := order(fmt.Sprintf("letter-%d", i), "mail")
			fine, want[r.key] = append(fine, r), "not_covered/invalid"
		}
		for i := range 20 {
			r := order(fmt.Sprintf("often-%d", i), "mail")
			often, want[r.key] = append(often, r), "not_covered/invalid"
		}
		s.die(lane, fine, 0, "mended")
		s.die(lane, often, 3, "mended")
		s.awaitOutcomes(60*time.Second, want)

		count := fmt.Sprint(letters)
		if out, err := s.begin("dead-letters", "redrive", "--yes").end(); err == nil ||
			!strings.Contains(out, "--count "+count) {
			t.Fatalf("unconfirmed: %v\n%s", err, out)
		}
		owner := s.begin("dead-letters", "redrive", "--count", count, "--rate", "1000", "--why", "mended")
		var task string
		for round := range 6 {
			s.awaitRedriven(lane, 60)
			task = s.task("running")
			if round < 5 {
				owner.kill()
				owner = s.begin("tasks", "resume", task)
				continue
			}
			owner.signal(syscall.SIGSTOP)
			next := s.begin("tasks", "resume", task)
			s.awaitRedriven(lane, 60)
			owner.signal(syscall.SIGCONT)
			if out, err := owner.end(); err == nil || !strings.Contains(out, "somebody may have taken it") &&
				!strings.Contains(out, "was taken by") {
				t.Errorf("a stopped owner wakes, and ends with %v\n%s", err, out)
			}
			owner = next
		}
		if out, err := s.begin("tasks", "resume", task).end(); err == nil || !strings.Contains(out, "is being done by") {
			t.Errorf("a second owner: %v\n%s", err, out)
		}
		s.run("tasks", "pause", task, "--why", "peak hour")
		if out, err := owner.end(); err == nil || !strings.Contains(out, "was paused by") {
			t.Errorf("paused: %v\n%s", err, out)
		}
		if out, err := s.begin("tasks", "resume", task).end(); err == nil || !strings.Contains(out, "peak hour") {
			t.Errorf("a supervisor goes on with what is paused: %v\n%s", err, out)
		}
		if out, err := s.begin("tasks", "resume", "--paused", task).end(); err != nil || !strings.Contains(out, "is done") {
			t.Fatalf("resumed: %v\n%s", err, out)
		}
		for _, r := range fine {
			want[r.key] = "sent"
		}
		s.awaitOutcomes(60*time.Second, want)
		s.awaitQuiet(lane)
		s.checkAcceptedOnce(want)
		if hash := s.hash("letter-7"); hash[topology.FieldRedrives] != "1" {
			t.Errorf("an event is redriven as number %s", hash[topology.FieldRedrives])
		}
		if out := s.run("dead-letters", "redrive", "--yes"); !strings.Contains(string(out), "nothing is to be published") ||
			!strings.Contains(string(out), "20  left as they are: redriven_often") {
			t.Errorf("once more:\n%s", out)
		}
	})
}

// TestRedriveThatFailsAgain pauses itself after the first ten.
func TestRedriveThatFailsAgain(t *testing.T) {
	everywhere(t, func(t *testing.T, s *site) {
		const lane = topology.Batch
		s.startRoles(lane)
		want := map[string]string{}
		var letters []record
		for i := range 50 {
			r := order(fmt.Sprintf("letter-%d", i), "fail")
			letters, want[r.key] = append(letters, r), "not_covered/invalid"
		}
		s.die(lane, letters, 0, "mended")
		s.awaitOutcomes(60*time.Second, want)
		out, err := s.begin("dead-letters", "redrive", "--yes").end()
		if err == nil || !strings.Contains(out, "that came to an end failed again") {
			t.Errorf("it ends with %v\n%s", err, out)
		}
		if n := s.redriven(lane); n != 10 {
			t.Errorf("%d are published", n)
		}
		s.run("tasks", "cancel", s.task("paused"))
	})
}

// die makes dead letters of events, as another build would have, and says so in the delivery log.
func (s *site) die(lane topology.Lane, events []record, redrives int, build string) {
	s.t.Helper()
	var letters, entries []record
	now := time.Now().UTC().Format(topology.TimeFormat)
	for i, r := range events {
		partition := i % partitions
		letter := r
		letter.headers = []string{"x-original-topic=" + string(s.topics.Events(lane)),
			fmt.Sprint("x-original-partition=", partition), "x-original-offset=0", "x-reason=bad_value", "x-error=x",
			"x-role=match", "x-attempts=1", "x-failed-at=" + now, fmt.Sprint("x-redrives=", redrives), "x-build=" + build}
		letter.partition = 0
		if redrives > 0 {
			letter.headers[0] = "x-original-topic=" + string(s.topics.Redrive(lane))
			letter.headers = append(letter.headers, "x-event-id="+r.key)
		}
		letters = append(letters, letter)
		entry := fmt.Appendf(nil, `{"event_id":%q,"lane":%q,"redrives":%d,"status":"not_covered","reason":"invalid","at":%q}`,
			r.key, lane, redrives, now)
		entries = append(entries, record{key: r.key, partition: partition, value: entry})
	}
	for _, one := range []struct {
		topic   topology.Topic
		records []record
	}{{s.topics.DeadLetters(lane), letters}, {s.topics.DeliveryLog(lane), entries}} {
		if err := s.upstream.publish(string(one.topic), one.records); err != nil {
			s.t.Fatal(err)
		}
	}
}

// redriven is how many records have been published again.
func (s *site) redriven(lane topology.Lane) (n int64) {
	s.t.Helper()
	ends, err := s.cluster.ends(string(s.topics.Redrive(lane)))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, end := range ends {
		n += end
	}
	return n
}

// awaitRedriven waits until so many more have been published again.
func (s *site) awaitRedriven(lane topology.Lane, more int64) {
	s.t.Helper()
	before := s.redriven(lane)
	s.eventually(90*time.Second, "events are published again", func() error {
		if n := s.redriven(lane); n < before+more {
			return fmt.Errorf("%d are", n-before)
		}
		return nil
	})
}

// task is the one in a state.
func (s *site) task(state string) string {
	s.t.Helper()
	var list struct {
		Tasks []struct{ Task, State string }
	}
	s.json(&list, "tasks", "list")
	i := slices.IndexFunc(list.Tasks, func(t struct{ Task, State string }) bool { return t.State == state })
	if i < 0 {
		s.t.Fatalf("no task is %s: %+v", state, list.Tasks)
	}
	return list.Tasks[i].Task
}

// begun is a command that runs.
type begun struct {
	s       *site
	command *exec.Cmd
	out     *bytes.Buffer
}

func (s *site) begin(args ...string) *begun {
	s.t.Helper()
	b := &begun{s, exec.Command(binary, args...), new(bytes.Buffer)}
	b.command.Env, b.command.Stdout, b.command.Stderr = s.environment(), b.out, b.out
	if err := b.command.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = b.command.Process.Kill() })
	return b
}

func (b *begun) signal(signal syscall.Signal) {
	b.s.t.Helper()
	if err := b.command.Process.Signal(signal); err != nil {
		b.s.t.Fatalf("%v of %v: it has ended:\n%s", signal, b.command.Args, b.out)
	}
}

func (b *begun) kill() {
	b.s.t.Helper()
	b.signal(syscall.SIGKILL)
	if err := b.command.Wait(); err == nil {
		b.s.t.Fatalf("%v had ended before it was killed:\n%s", b.command.Args, b.out)
	}
}

// end waits for its end, and returns what it printed.
func (b *begun) end() (string, error) {
	err := b.command.Wait()
	return b.out.String(), err
}
