package tasks

import (
	"strings"
	"testing"
	"time"

	"github.com/meddela/meddela/consumer/follow"
	"github.com/meddela/meddela/topology"
)

// TestStates: the state of tasks after records, in their order. A record is TASK ACTION EPOCH ACTOR; take? is one
// of what is not paused.
func TestStates(t *testing.T) {
	for _, test := range []struct{ records, want string }{
		{"t start 1 a", "t running 1 a"},
		{"t progress 1 a", ""},
		{"t take 1 a, t pause 0 p", ""},
		{"t start 1 a, t start 1 b", "t running 1 a"},
		{"t start 1 a, t progress 1 a", "t running 1 a next"},
		{"t start 1 a, t take 2 b, t progress 1 a", "t running 2 b"}, // a zombie's
		{"t start 1 a, t take 2 b, t take 2 c, t progress 2 c", "t running 2 b"},
		{"t start 1 a, t take 2 b, t take 2 c, t progress 2 b", "t running 2 b next"},
		{"t start 1 a, t take 3 b", "t running 1 a"},
		{"t start 1 a, t pause 0 p", "t paused 1 a"},
		{"t start 1 a, t pause 1 a", "t paused 1 a"},
		{"t start 1 a, t take 2 b, t pause 1 a", "t running 2 b"},
		{"t start 1 a, t pause 0 p, t progress 1 a", "t paused 1 a next"}, // its last word
		{"t start 1 a, t pause 0 p, t end 1 a", "t done 1 a"},
		{"t start 1 a, t pause 0 p, t take? 2 b", "t paused 1 a"}, // it was running when b took it
		{"t start 1 a, t pause 0 p, t take 2 b", "t running 2 b"}, // asked for, or by an earlier build
		{"t start 1 a, t take? 2 b", "t running 2 b"},
		{"t start 1 a, t cancel 0 p, t take 2 b, t progress 1 a, t end 1 a", "t cancelled 1 a"},
		{"t start 1 a, t end 1 a, t cancel 0 p, t pause 0 p", "t done 1 a"},
		{"t start 1 a, t take 2 b, t end 1 a", "t running 2 b"},
		{"t start 1 a, u start 1 b", "t running 1 a; u refused 1 b"},
		{"t start 1 a, t pause 0 p, u start 1 b", "t paused 1 a; u refused 1 b"},
		{"t start 1 a, t end 1 a, u start 1 b", "t done 1 a; u running 1 b"},
		{"t start 1 a, u start 1 b, u take 2 c", "t running 1 a; u refused 1 b"},
	} {
		tasks := new(Tasks)
		for text := range strings.SplitSeq(test.records, ", ") {
			f := strings.Fields(text)
			action, ifRunning := strings.CutSuffix(f[1], "?")
			r := topology.TaskRecord{Task: f[0], Action: topology.TaskAction(action), Epoch: int(f[2][0] - '0'), Actor: f[3],
				IfRunning: ifRunning, At: now}
			switch r.Action {
			case topology.TaskStart:
				r.Spec = &topology.TaskSpec{Kind: topology.ResendEvents, Lane: lane, Rate: 1}
			case topology.TaskProgress:
				r.Next = map[int]int64{0: 1}
			}
			tasks = tasks.apply([]follow.Change[topology.TaskRecord]{{Key: r.Key(), Value: &r}})
		}
		var got []string
		for _, task := range tasks.All() {
			text := strings.Join([]string{task.ID, string(task.State), string(rune('0' + task.Epoch)), task.Actor}, " ")
			if len(task.Next) > 0 {
				text += " next"
			}
			got = append(got, text)
		}
		if strings.Join(got, "; ") != test.want {
			t.Errorf("%s: %q, want %q", test.records, got, test.want)
		}
	}
}

func TestRate(t *testing.T) {
	for after, want := range map[time.Duration]float64{0: 10, 1999 * time.Millisecond: 10, 2 * time.Second: 20,
		4 * time.Second: 40, 8 * time.Second: 160, 10 * time.Second: 200, time.Hour: 200} {
		if got := rateAfter(after, 200); got != want {
			t.Errorf("after %s %g/s, want %g", after, got, want)
		}
	}
	if got := rateAfter(0, 0.5); got != 0.5 {
		t.Errorf("a limit of 0.5/s makes %g", got)
	}
}

// TestEnds: only an end of what was redriven, and not the one before, counts; a fifth may fail.
func TestEnds(t *testing.T) {
	failed, sent := stateOf(1, topology.DeliveryError, topology.ReasonBounced), stateOf(1, topology.Sent, "")
	for _, test := range []struct {
		states  []topology.State
		waiting int
		failing bool
	}{
		{[]topology.State{failed, failed, failed, failed}, 0, false}, // too few to say
		{[]topology.State{failed, sent, sent, sent, sent}, 0, false},
		{[]topology.State{failed, failed, sent, sent, sent}, 0, true},
		{[]topology.State{stateOf(1, topology.NotCovered, noTemplate), failed, sent, sent, sent}, 0, true},
		{[]topology.State{stateOf(1, topology.Ignored, topology.ReasonSuppressed), failed, sent, sent, sent}, 0, false},
		{[]topology.State{stateOf(0, topology.DeliveryError, topology.ReasonBounced), stateOf(1, topology.Pending, ""), {},
			failed, sent, sent, sent, sent}, 3, false},
		{[]topology.State{stateOf(2, topology.DeliveryError, topology.ReasonBounced), failed, sent, sent, sent}, 0, true},
	} {
		var e ends
		for range test.states {
			e.add("x", 1)
		}
		e.settle(test.states)
		if _, _, failing := e.failing(); failing != test.failing || len(e.waiting) != test.waiting {
			t.Errorf("%d states: failing %v, %d are waited for", len(test.states), failing, len(e.waiting))
		}
	}
	var e ends
	for range mostWaiting + 5 {
		e.add("x", 1)
	}
	if len(e.waiting) != mostWaiting {
		t.Errorf("%d are waited for", len(e.waiting))
	}
}
