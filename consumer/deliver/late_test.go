package deliver

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/test/fixtures"
	"github.com/meddela/meddela/topology"
)

// owed is an answer that a test gives when it wants to.
type owed chan provider.Response

func (o owed) Wait(ctx context.Context) provider.Response {
	select {
	case answer := <-o:
		return answer
	case <-ctx.Done():
		return unknown
	}
}

// defective is an answer whose provider has a defect.
type defective struct{}

func (defective) Wait(context.Context) provider.Response { panic("a defect") }

// lateWorld is a world whose provider is late with its first answer, and in which time is the test's.
type lateWorld struct {
	*world
	owed owed

	mu  sync.Mutex
	now time.Time
}

func newLateWorld(t *testing.T) *lateWorld {
	l := &lateWorld{world: newWorld(t), owed: make(owed, 1)}
	l.provider.script = []provider.Response{{Verdict: provider.Unknown, Detail: "not yet", Late: l.owed}, accepted}
	l.to(always)
	return l
}

func (l *lateWorld) to(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now = now
	l.store.SetTime(now)
}

func (l *lateWorld) Now() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now
}

func (l *lateWorld) process(t *testing.T, changes ...func(*Config)) *Handler {
	return l.handler(t, append(changes, func(c *Config) {
		c.Now, c.Retries = l.Now, []time.Duration{10 * time.Second, time.Minute}
	})...)
}

// step handles a job, and returns its entry and the job that comes back, with when; none if it does not.
func step(t *testing.T, h *Handler, job topology.Job) (topology.Entry, *topology.Job, time.Time) {
	t.Helper()
	out := handleAll(t.Context(), t, h, batchOf(job))
	if len(out) > 2 {
		t.Fatalf("%d outputs", len(out))
	}
	entry := entriesOf(t, out[:1])[0]
	if len(out) == 1 {
		return entry, nil, time.Time{}
	}
	next, err := topology.DecodeJob(out[1].Value)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := out[1].Header(topology.HeaderDue)
	due, err := time.Parse(time.RFC3339, string(text))
	if err != nil {
		t.Fatal(err)
	}
	if due.Sub(entry.Due).Abs() > time.Millisecond {
		t.Errorf("the log says that it is due at %v, and it is at %v", entry.Due, due)
	}
	return entry, &next, due
}

// TestLateAnswers: a message whose answer is late is handed over once, however often its job is read and by whomever,
// holds up nobody, and ends as the answer says.
func TestLateAnswers(t *testing.T) {
	busy := provider.Response{Verdict: provider.Failed, Detail: "busy"}
	for _, test := range []struct {
		after   time.Duration
		answer  provider.Response
		status  topology.Status
		reason  topology.Reason
		retries bool
	}{
		{12 * time.Second, accepted, topology.Sent, "", false},
		{time.Minute, accepted, topology.Sent, "", false},
		{9 * time.Minute, accepted, topology.Sent, "", false},
		{12 * time.Second, provider.Response{Verdict: provider.Rejected}, topology.DeliveryError,
			topology.ReasonProviderRejected, false},
		{time.Minute, busy, topology.PendingDelivery, topology.ReasonTransient, true},
		{time.Minute, unknown, topology.PendingDelivery, topology.ReasonTransient, true},
	} {
		l := newLateWorld(t)
		first, second := l.process(t), l.process(t)
		job, answered := aJob("event"), false
		for looks := 1; ; looks++ {
			h := first
			if looks%2 == 0 {
				h = second
			}
			entry, next, due := step(t, h, job)
			if answered {
				if entry.Status != test.status || entry.Reason != test.reason || test.retries != (next != nil) ||
					next != nil && next.Attempt != 2 {
					t.Errorf("%v: %+v, then %+v", test.answer.Verdict, entry, next)
				}
				if again, _, _ := step(t, second, job); again != entry {
					t.Errorf("%v: read again: %+v", test.answer.Verdict, again)
				}
				break
			}
			if entry.Status != topology.PendingDelivery || entry.Attempt != 1 || next == nil || next.Attempt != 1 {
				t.Fatalf("look %d: %+v, then %+v", looks, entry, next)
			}
			if wait := due.Sub(l.Now()); wait < time.Second || wait > time.Minute || looks > 30 {
				t.Fatalf("look %d: back after %v", looks, wait)
			}
			if entry := deliverOne(t, h, aJob("other", nth(1), withID(looks))); entry.Status != topology.Sent {
				t.Errorf("another: %+v", entry)
			}
			l.to(due)
			if due.Sub(always) >= test.after {
				answered = true
				l.owed <- test.answer
				fixtures.Eventually(t, "the outcome is recorded", func() bool {
					claim, _ := l.store.Get(keys.Claim(job.JobID))
					return claim != "" && !strings.HasPrefix(claim, "claimed")
				})
			}
		}
		copies := 0
		for _, id := range l.provider.calls {
			if id == job.JobID {
				copies++
			}
		}
		if copies != 1 {
			t.Errorf("%v: %d copies", test.after, copies)
		}
	}
}

func withID(n int) func(*topology.Job) {
	return func(j *topology.Job) { j.JobID = topology.JobIDOf(j.EventID, n) }
}

// TestNoAnswerAtAll: after its time, or where the process that waited is gone, a message may have been accepted: its
// template decides, and not at once.
func TestNoAnswerAtAll(t *testing.T) {
	for _, how := range []string{"not in time", "gone", "crashed"} {
		gone := how != "not in time"
		for template, want := range map[topology.TemplateRef]topology.Status{
			"order@1": topology.Sent, "hold@1": topology.DeliveryError,
		} {
			l := newLateWorld(t)
			h := l.process(t)
			if how == "crashed" {
				l.provider.script[0].Late = defective{}
			} else if gone {
				l.owed <- provider.Response{Verdict: provider.Unknown, Late: l.owed}
			} else {
				h.answer = 10 * time.Millisecond
			}
			job := aJob("event", withTemplate(template))
			entry, next, due := step(t, h, job)
			if entry.Status != topology.PendingDelivery || next == nil {
				t.Fatalf("%+v", entry)
			}
			if !gone {
				fixtures.Eventually(t, "it is given up", func() bool { return h.Counters.Ambiguous.Load() == 1 })
				fixtures.Eventually(t, "the outcome is recorded", func() bool {
					claim, _ := l.store.Get(keys.Claim(job.JobID))
					return !strings.HasPrefix(claim, "claimed")
				})
			}
			other := l.process(t)
			for looks := 0; next != nil; looks++ {
				if l.provider.sent() != 1 || looks > 30 {
					t.Fatalf("%d copies after %v", l.provider.sent(), due.Sub(always))
				}
				l.to(due)
				entry, next, due = step(t, other, *next)
			}
			if took := l.Now().Sub(always); entry.Status != want || gone && took < 10*time.Minute {
				t.Errorf("%s, %s: %+v after %v", template, how, entry, took)
			}
			if want == topology.DeliveryError && (entry.Reason != topology.ReasonAmbiguous || l.provider.sent() != 1) {
				t.Errorf("%+v, %d copies", entry, l.provider.sent())
			}
		}
	}
}

// TestALongerLease of another process is waited for as a late answer is, and is not told as one.
func TestALongerLease(t *testing.T) {
	l := newLateWorld(t)
	other := l.process(t, func(c *Config) { c.Lease = time.Hour })
	job := aJob("event")
	if err := other.claim(t.Context(), "other", jobsOf(job)); err != nil {
		t.Fatal(err)
	}
	entry, next, due := step(t, l.process(t), job)
	if next == nil || due.Sub(always) > time.Minute || !strings.HasPrefix(entry.Detail, "another has the job, or") {
		t.Errorf("%+v, then %+v at %v", entry, next, due)
	}
}

// TestTheClaimOfALateAnswer lasts for its lease from when it is recorded, by the clock of Redis, also against the
// process that has it, and never replaces an outcome.
func TestTheClaimOfALateAnswer(t *testing.T) {
	onServers(t, func(t *testing.T, store func(*Config)) {
		w := newWorld(t)
		h := w.handler(t, store)
		jobs := jobsOf(aJob("event"), aJob("other"))
		owner := h.owner(&consumer.Batch{})
		if err := h.claim(t.Context(), owner, jobs); err != nil {
			t.Fatal(err)
		}
		for _, d := range jobs {
			d.outcome = newOutcome(&d.job, ending{status: topology.Sent}, time.Now())
		}
		if err := h.record(t.Context(), jobs[1:])(); err != nil {
			t.Fatal(err)
		}
		for _, d := range jobs {
			d.outcome.owner, d.outcome.lease = "late", time.Hour
		}
		if err := h.record(t.Context(), jobs)(); err != nil {
			t.Fatal(err)
		}
		again := jobsOf(aJob("event"), aJob("other"))
		if err := h.claim(t.Context(), owner, again); err != nil {
			t.Fatal(err)
		}
		if d := again[0]; d.claim != leased || d.left > time.Hour || d.left < 59*time.Minute {
			t.Errorf("%v, for %v", d.claim, d.left)
		}
		if d := again[1]; d.claim != settled || d.outcome.status != topology.Sent || jobs[1].outcome.lease != 0 {
			t.Errorf("%v, %+v", d.claim, d.outcome)
		}
	})
}
