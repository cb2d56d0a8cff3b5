package suppress_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/meddela/meddela/consumer/deliver/recipient/suppress"
	"github.com/meddela/meddela/topology"
)

func smsCap(most int, window time.Duration) map[topology.Channel]suppress.Cap {
	return map[topology.Channel]suppress.Cap{topology.SMS: {Most: most, Window: window}}
}

// sms asks about a job for a number.
func sms(job, number string) suppress.Query {
	return suppress.Query{Channel: topology.SMS, Address: number, Job: topology.JobID(job)}
}

// admit tells of each job whether it may pass.
func admit(t testing.TB, c *suppress.Gate, queries ...suppress.Query) (passed []bool) {
	t.Helper()
	answers, err := check(t.Context(), c, queries...)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range answers {
		passed = append(passed, a == suppress.Answer{})
		if a.Reason != topology.NoReason && a.Reason != topology.ReasonCapped {
			t.Fatalf("the answer is %+v", a)
		}
	}
	return passed
}

func TestCapping(t *testing.T) {
	onServers(t, func(t *testing.T, s store) {
		caps := s.caps(smsCap(2, time.Hour))
		urgent := sms("u", "112")
		urgent.Urgent = true
		mail := suppress.Query{Channel: topology.Email, Address: "kim@example.com", Job: "m"}
		for i, step := range []struct {
			ask  []suppress.Query
			want []bool
		}{
			{[]suppress.Query{sms("a", "112"), sms("a", "112"), sms("b", "1 1 2"), sms("c", "112"), sms("c", "113")},
				[]bool{true, true, true, false, true}},
			{[]suppress.Query{sms("b", "112"), sms("a", "112"), sms("c", "112"), sms("d", "112")},
				[]bool{true, true, false, false}},
			{[]suppress.Query{urgent, mail, mail, mail, sms("x", "no number")}, []bool{true, true, true, true, true}},
			{[]suppress.Query{sms("d", "113"), sms("e", "113")}, []bool{true, false}},
			{nil, nil},
		} {
			if got := admit(t, caps, step.ask...); !slices.Equal(got, step.want) {
				t.Errorf("step %d: %v, want %v", i, got, step.want)
			}
		}
		answers, err := check(t.Context(), caps, sms("z", "112"))
		if want := (suppress.Answer{Reason: topology.ReasonCapped, Detail: "at most 2 in 1h0m0s"}); err != nil ||
			answers[0] != want {
			t.Errorf("%+v, %v; want %+v", answers, err, want)
		}
	})
}

// TestTheWindowSlides: a job passes as soon as there is room for it, and no
// more than the cap ever did in a window.
func TestTheWindowSlides(t *testing.T) {
	onServers(t, func(t *testing.T, s store) {
		const window = 150 * time.Millisecond
		caps := s.caps(smsCap(2, window))
		var asked, answered []time.Time // before and after, of those that passed
		for n, deadline := 0, time.Now().Add(20*time.Second); len(asked) < 7; n++ {
			before := time.Now()
			if admit(t, caps, sms(fmt.Sprint("j", n), "112"))[0] {
				asked, answered = append(asked, before), append(answered, time.Now())
			}
			if before.After(deadline) {
				t.Fatalf("only %d jobs passed", len(asked))
			}
		}
		for i := 2; i < len(asked); i++ {
			// Redis counts whole milliseconds.
			if apart := answered[i].Sub(asked[i-2]); apart < window-time.Millisecond {
				t.Errorf("jobs %d and %d passed within %v", i-2, i, apart)
			}
		}
	})
}

// TestCapsHoldForAll: many deliverers with the same jobs at once let exactly as
// many pass as the cap says, and all the same ones.
func TestCapsHoldForAll(t *testing.T) {
	onServers(t, func(t *testing.T, s store) {
		const numbers, jobs, most = 40, 6, 2
		var all []suppress.Query
		for j := range jobs {
			for n := range numbers {
				all = append(all, sms(fmt.Sprintf("j%d-%d", n, j), fmt.Sprint(1000+n)))
			}
		}
		passed := make([][]bool, 4)
		var deliverers sync.WaitGroup
		for d := range passed {
			deliverers.Go(func() {
				answers, err := check(t.Context(), s.caps(smsCap(most, time.Hour)), all...)
				if err != nil {
					t.Error(err)
				}
				for _, a := range answers {
					passed[d] = append(passed[d], a.Reason == "")
				}
			})
		}
		deliverers.Wait()
		count := map[string]int{}
		for i := range all {
			any := false
			for d := range passed {
				any = any || passed[d][i]
			}
			if again := admit(t, s.caps(smsCap(most, time.Hour)), all[i])[0]; again != any {
				t.Errorf("job %s passed %v, and later %v", all[i].Job, any, again)
			}
			if any {
				count[all[i].Address]++
			}
		}
		for number, n := range count {
			if n != most {
				t.Errorf("%d jobs passed for %s", n, number)
			}
		}
		if len(count) != numbers {
			t.Errorf("jobs passed for %d numbers", len(count))
		}
	})
}

// TestTheGate: what is suppressed does not count for the cap.
func TestTheGate(t *testing.T) {
	onServers(t, func(t *testing.T, s store) {
		mustAdd(t, s.list(), topology.Complaint, time.Time{}, suppress.Subject{Channel: topology.SMS, Address: "112"})
		gate := s.caps(smsCap(1, time.Hour))
		ask := []suppress.Query{sms("a", "112"), sms("b", "113"), sms("c", "113"),
			{Channel: topology.Push, Address: "t", Job: "d"}}
		for range 2 {
			got := answered(t, gate, ask...)
			if want := []string{"suppressed complaint", "", "capped at most 1 in 1h0m0s", ""}; !slices.Equal(got, want) {
				t.Errorf("answers %q, want %q", got, want)
			}
		}
		if _, err := s.list().Remove(t.Context(), []suppress.Subject{{Channel: topology.SMS, Address: "112"}}); err != nil {
			t.Fatal(err)
		}
		if got := answered(t, gate, sms("e", "112")); got[0] != "" {
			t.Errorf("after it was removed: %q", got)
		}
		if got := answered(t, gateOf(s.list()), ask...); strings.Join(got, "") != "" {
			t.Errorf("without caps: %q", got)
		}
	})
}

func TestCapCheck(t *testing.T) {
	for c, ok := range map[suppress.Cap]bool{
		{Most: 1, Window: time.Millisecond}: true, {Most: 3, Window: time.Hour}: true,
		{}: false, {Most: 0, Window: time.Hour}: false, {Most: -1, Window: time.Hour}: false,
		{Most: 1, Window: time.Microsecond}: false,
	} {
		if err := c.Check(); (err == nil) != ok {
			t.Errorf("%s: %v", c, err)
		}
	}
}

// TestAnyJobs: whatever is asked, in whatever batches, each number gets its
// first jobs up to the cap, and no other.
func TestAnyJobs(t *testing.T) {
	onServers(t, func(t *testing.T, s store) {
		run := 0
		rapid.Check(t, func(rt *rapid.T) {
			run++
			most := rapid.IntRange(1, 3).Draw(rt, "most")
			caps := s.caps(smsCap(most, time.Hour))
			first := map[string][]topology.JobID{}
			for _, size := range rapid.SliceOfN(rapid.IntRange(0, 6), 1, 5).Draw(rt, "batches") {
				var batch []suppress.Query
				var want []bool
				for range size {
					number := fmt.Sprint(run, "00", rapid.IntRange(1, 3).Draw(rt, "number"))
					q := sms(rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(rt, "job"), number)
					had := first[number]
					if !slices.Contains(had, q.Job) && len(had) < most {
						first[number] = append(had, q.Job)
					}
					batch, want = append(batch, q), append(want, slices.Contains(first[number], q.Job))
				}
				if got := admit(t, caps, batch...); !slices.Equal(got, want) {
					rt.Fatalf("%+v: %v, want %v", batch, got, want)
				}
			}
		})
	})
}
