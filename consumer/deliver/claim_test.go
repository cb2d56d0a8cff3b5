package deliver

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/meddela/meddela/topology"
)

func tasksOf(jobs ...topology.Job) []*task {
	tasks := make([]*task, len(jobs))
	for i := range jobs {
		tasks[i] = &task{job: jobs[i], key: keys.Claim(jobs[i].JobID)}
	}
	return tasks
}

// claimants are two owners at one store, whose clock stands at always.
func claimants(t *testing.T) (w *world, c *claims) {
	w = newWorld(t)
	w.store.SetTime(always)
	return w, &claims{client: w.client(t), keys: keys, lease: 15 * time.Second, keep: 8 * 24 * time.Hour}
}

func (c *claims) try(t *testing.T, owner string, job topology.Job) *task {
	t.Helper()
	tasks := tasksOf(job)
	if err := c.claim(t.Context(), owner, tasks); err != nil {
		t.Fatal(err)
	}
	return tasks[0]
}

func (c *claims) record(t *testing.T, job topology.Job, status topology.Status, again bool) *task {
	t.Helper()
	tasks := tasksOf(job)
	tasks[0].outcome = newOutcome(&job, status, topology.NoReason, always)
	tasks[0].outcome.again = again
	if err := c.settle(t.Context(), tasks); err != nil || !tasks[0].settled {
		t.Fatalf("settled %v, %v", tasks[0].settled, err)
	}
	return tasks[0]
}

func TestAClaimIsHeldBackFromOthers(t *testing.T) {
	w, c := claimants(t)
	job := aJob("event")
	if got := c.try(t, "a", job); got.claim != granted {
		t.Fatalf("the first claim is %v", got.claim)
	}
	if ttl := w.store.TTL(keys.Claim(job.JobID)); ttl != c.keep {
		t.Errorf("the claim lives for %v", ttl)
	}
	if value, _ := w.store.Get(keys.Claim(job.JobID)); strings.Contains(value, "kim") {
		t.Errorf("the claim holds the address: %q", value)
	}
	w.store.SetTime(always.Add(5 * time.Second))
	if got := c.try(t, "b", job); got.claim != heldBack || got.heldFor != 10*time.Second {
		t.Errorf("another's claim is %v for %v", got.claim, got.heldFor)
	}
	if got := c.try(t, "a", job); got.claim != granted {
		t.Errorf("the owner's own second claim is %v", got.claim)
	}
	if got := c.try(t, "b", job); got.claim != heldBack || got.heldFor != 15*time.Second {
		t.Errorf("after it, another's claim is %v for %v", got.claim, got.heldFor)
	}
}

func TestALeaseRunsOut(t *testing.T) {
	w, c := claimants(t)
	job := aJob("event")
	c.try(t, "a", job)
	w.store.SetTime(always.Add(15 * time.Second))
	if got := c.try(t, "b", job); got.claim != takenOver {
		t.Fatalf("after the lease, another's claim is %v", got.claim)
	}
	if got := c.try(t, "b", job); got.claim != takenOver {
		t.Errorf("the doubt is forgotten: %v", got.claim)
	}
	if got := c.try(t, "a", job); got.claim != heldBack {
		t.Errorf("the first owner's claim is %v", got.claim)
	}
}

func TestReleasedClaims(t *testing.T) {
	w, c := claimants(t)
	job, doubtful := aJob("event"), aJob("doubtful")
	c.try(t, "a", doubtful)
	w.store.SetTime(always.Add(time.Minute))
	c.try(t, "b", doubtful)
	c.try(t, "b", job)
	if err := c.release(t.Context(), "a", tasksOf(job, doubtful)); err != nil {
		t.Fatal(err)
	}
	if got := c.try(t, "c", job); got.claim != heldBack {
		t.Fatalf("released by another, and then %v", got.claim)
	}
	if err := c.release(t.Context(), "b", tasksOf(job, doubtful, aJob("unknown"))); err != nil {
		t.Fatal(err)
	}
	if got := c.try(t, "c", job); got.claim != granted {
		t.Errorf("after the release %v", got.claim)
	}
	if got := c.try(t, "c", doubtful); got.claim != takenOver {
		t.Errorf("with the release the doubt is gone: %v", got.claim)
	}
}

func TestTheFirstOutcomeStands(t *testing.T) {
	w, c := claimants(t)
	job := aJob("event")
	c.try(t, "a", job)
	w.store.SetTime(always.Add(time.Minute))
	c.try(t, "b", job)
	if got := c.record(t, job, topology.Sent, false); got.outcome.status != topology.Sent {
		t.Errorf("the first outcome is %s", got.outcome.status)
	}
	if got := c.record(t, job, topology.DeliveryError, false); got.outcome.status != topology.Sent {
		t.Errorf("the second outcome is %s", got.outcome.status)
	}
	for n := range 3 {
		got := c.try(t, "c", aJob("event", attempt(n)))
		if got.claim != settledBefore || got.outcome.status != topology.Sent || got.outcome.attempt != 1 {
			t.Errorf("attempt %d: %v, %+v", n, got.claim, got.outcome)
		}
	}
	if ttl := w.store.TTL(keys.Claim(job.JobID)); ttl != c.keep {
		t.Errorf("the outcome lives for %v", ttl)
	}
}

// TestAPassingFailure leaves the way open for a higher attempt, and for no
// other.
func TestAPassingFailure(t *testing.T) {
	_, c := claimants(t)
	first, second, tenth := aJob("event"), aJob("event", attempt(2)), aJob("event", attempt(10))
	c.try(t, "a", first)
	c.record(t, first, topology.PendingDelivery, true)
	if got := c.record(t, first, topology.Sent, false); got.outcome.status != topology.PendingDelivery {
		t.Errorf("a second outcome of the same attempt was taken")
	}
	if got := c.try(t, "a", first); got.claim != settledBefore || !got.outcome.again {
		t.Errorf("the same attempt: %v", got.claim)
	}
	if got := c.try(t, "b", second); got.claim != granted {
		t.Errorf("the second attempt: %v", got.claim)
	}
	if got := c.record(t, second, topology.PendingDelivery, true); got.outcome.attempt != 2 {
		t.Errorf("the second attempt's outcome is of attempt %d", got.outcome.attempt)
	}
	if got := c.record(t, first, topology.DeliveryError, false); got.outcome.attempt != 2 {
		t.Errorf("a late outcome of the first attempt was taken")
	}
	if got := c.try(t, "b", tenth); got.claim != granted {
		t.Errorf("the tenth attempt: %v", got.claim)
	}
}

// TestStrangeValues: a key that holds something else is no claim, and its
// neighbours are claimed.
func TestStrangeValues(t *testing.T) {
	w, c := claimants(t)
	jobs := manyJobs(8)
	strange := []string{"", "claimed", "final\t1", "final\t1\tlost\t1\t\t\t\t\t", "final\t1\tsent\tx\t\t\t\t\t"}
	for i, value := range strange {
		_ = w.store.Set(keys.Claim(jobs[i].JobID), value)
	}
	_, _ = w.store.Lpush(keys.Claim(jobs[5].JobID), "x")
	_ = w.store.Set(keys.Claim(jobs[6].JobID), "claimed\t1\tx\ta")
	tasks := tasksOf(jobs...)
	if err := c.claim(t.Context(), "b", tasks); err != nil {
		t.Fatal(err)
	}
	want := []claimed{unreadable, unreadable, unreadable, unreadable, unreadable, unreadable, takenOver, granted}
	for i, task := range tasks {
		if task.claim != want[i] {
			t.Errorf("%d: %v, want %v", i, task.claim, want[i])
		}
	}
	entry := deliverOne(t, w.handler(t), jobs[5])
	if entry.Status != topology.DeliveryError || entry.Reason != topology.ReasonAmbiguous {
		t.Errorf("%s %s", entry.Status, entry.Reason)
	}
	if w.provider.sent() != 0 {
		t.Error("it was sent")
	}
}

// TestOutOfMemory: a server that refuses to write is away, whatever the keys
// hold.
func TestOutOfMemory(t *testing.T) {
	w, c := claimants(t)
	w.store.SetError("OOM command not allowed when used memory > 'maxmemory'.")
	tasks := tasksOf(aJob("event"))
	if err := c.claim(context.Background(), "a", tasks); err == nil || tasks[0].claim != unanswered {
		t.Errorf("%v, %v", err, tasks[0].claim)
	}
}

func TestOutcomeValues(t *testing.T) {
	job := aJob("event", attempt(3), withTemplate("a\tb@1"))
	full := newOutcome(&job, topology.DeliveryError, topology.ReasonTransient, time.Now())
	full.again, full.doubt, full.due = true, true, always
	full.provider, full.messageID, full.detail = "smtp", "<a@b>", "the server\tsaid"
	full.detail = field(full.detail)
	for _, o := range []outcome{full, newOutcome(&job, topology.Sent, topology.NoReason, always)} {
		got, ok := parseOutcome(string(o.append(nil)))
		if !ok || got != o {
			t.Errorf("%v: got %+v\nwant %+v", ok, got, o)
		}
	}
}

func FuzzParseOutcome(f *testing.F) {
	job := aJob("event")
	seed := newOutcome(&job, topology.Sent, topology.NoReason, always)
	f.Add(string(seed.append(nil)))
	f.Add("again\t2\tpending_delivery\t1\t5\ttransient\tt@1\tp\tm\tdetail")
	f.Fuzz(func(t *testing.T, value string) {
		o, ok := parseOutcome(value)
		if !ok {
			return
		}
		again, ok := parseOutcome(string(o.append(nil)))
		if !ok || again != o {
			t.Errorf("%q: %+v became %+v", value, o, again)
		}
	})
}
