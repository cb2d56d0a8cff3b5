package deliver

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/meddela/meddela/topology"
)

func jobsOf(jobs ...topology.Job) []*delivery {
	deliveries := make([]*delivery, len(jobs))
	for i := range jobs {
		deliveries[i] = &delivery{job: jobs[i]}
	}
	return deliveries
}

func attemptsOf(jobs ...topology.Job) []attempt {
	attempts := make([]attempt, len(jobs))
	for i, d := range jobsOf(jobs...) {
		attempts[i].delivery = d
	}
	return attempts
}

// claimants are two owners at one store, whose clock stands at always.
func claimants(t *testing.T) (w *world, c *claims) {
	w = newWorld(t)
	w.store.SetTime(always)
	return w, &claims{client: w.client(t), keys: keys, lease: 15 * time.Second, keep: 8 * 24 * time.Hour}
}

func (c *claims) try(t *testing.T, owner string, job topology.Job) claim {
	t.Helper()
	answers, err := c.claim(t.Context(), owner, attemptsOf(job))
	if err != nil {
		t.Fatal(err)
	}
	return answers[0]
}

func (c *claims) record(t *testing.T, job topology.Job, status topology.Status, retry bool) *result {
	t.Helper()
	r := &result{delivery: &delivery{job: job}, outcome: newOutcome(&job, ending{status: status}, always)}
	r.outcome.retry = retry
	if err := c.settle(t.Context(), []*result{r}); err != nil || !r.settled {
		t.Fatalf("settled %v, %v", r.settled, err)
	}
	return r
}

func TestAClaimIsHeldBackFromOthers(t *testing.T) {
	w, c := claimants(t)
	job := aJob("event")
	if got := c.try(t, "a", job); got.state != granted {
		t.Fatalf("the first claim is %v", got.state)
	}
	if ttl := w.store.TTL(keys.Claim(job.JobID)); ttl != c.keep {
		t.Errorf("the claim lives for %v", ttl)
	}
	if value, _ := w.store.Get(keys.Claim(job.JobID)); strings.Contains(value, "kim") {
		t.Errorf("the claim holds the address: %q", value)
	}
	w.store.SetTime(always.Add(5 * time.Second))
	if got := c.try(t, "b", job); got.state != leased || got.left != 10*time.Second {
		t.Errorf("another's claim is %v for %v", got.state, got.left)
	}
	if got := c.try(t, "a", job); got.state != granted {
		t.Errorf("the owner's own second claim is %v", got.state)
	}
	if got := c.try(t, "b", job); got.state != leased || got.left != 15*time.Second {
		t.Errorf("after it, another's claim is %v for %v", got.state, got.left)
	}
}

func TestALeaseRunsOut(t *testing.T) {
	w, c := claimants(t)
	job := aJob("event")
	c.try(t, "a", job)
	w.store.SetTime(always.Add(15 * time.Second))
	if got := c.try(t, "b", job); got.state != leaseExpired {
		t.Fatalf("after the lease, another's claim is %v", got.state)
	}
	if got := c.try(t, "b", job); got.state != leaseExpired {
		t.Errorf("it is forgotten that it may have been sent: %v", got.state)
	}
	if got := c.try(t, "a", job); got.state != leased {
		t.Errorf("the first owner's claim is %v", got.state)
	}
}

func TestReleasedClaims(t *testing.T) {
	w, c := claimants(t)
	job, expired := aJob("event"), aJob("expired")
	c.try(t, "a", expired)
	w.store.SetTime(always.Add(time.Minute))
	c.try(t, "b", expired)
	c.try(t, "b", job)
	if err := c.release(t.Context(), "a", jobsOf(job, expired)); err != nil {
		t.Fatal(err)
	}
	if got := c.try(t, "c", job); got.state != leased {
		t.Fatalf("released by another, and then %v", got.state)
	}
	if err := c.release(t.Context(), "b", jobsOf(job, expired, aJob("unknown"))); err != nil {
		t.Fatal(err)
	}
	if got := c.try(t, "c", job); got.state != granted {
		t.Errorf("after the release %v", got.state)
	}
	if got := c.try(t, "c", expired); got.state != leaseExpired {
		t.Errorf("with the release it is forgotten that it may have been sent: %v", got.state)
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
		got := c.try(t, "c", aJob("event", nth(n)))
		if got.state != settled || got.outcome.status != topology.Sent || got.outcome.attempt != 1 {
			t.Errorf("attempt %d: %v, %+v", n, got.state, got.outcome)
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
	first, second, tenth := aJob("event"), aJob("event", nth(2)), aJob("event", nth(10))
	c.try(t, "a", first)
	c.record(t, first, topology.PendingDelivery, true)
	if got := c.record(t, first, topology.Sent, false); got.outcome.status != topology.PendingDelivery {
		t.Errorf("a second outcome of the same attempt was taken")
	}
	if got := c.try(t, "a", first); got.state != settled || !got.outcome.retry {
		t.Errorf("the same attempt: %v", got.state)
	}
	if got := c.try(t, "b", second); got.state != granted {
		t.Errorf("the second attempt: %v", got.state)
	}
	if got := c.record(t, second, topology.PendingDelivery, true); got.outcome.attempt != 2 {
		t.Errorf("the second attempt's outcome is of attempt %d", got.outcome.attempt)
	}
	if got := c.record(t, first, topology.DeliveryError, false); got.outcome.attempt != 2 {
		t.Errorf("a late outcome of the first attempt was taken")
	}
	if got := c.try(t, "b", tenth); got.state != granted {
		t.Errorf("the tenth attempt: %v", got.state)
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
	answers, err := c.claim(t.Context(), "b", attemptsOf(jobs...))
	if err != nil {
		t.Fatal(err)
	}
	want := []claimState{unreadable, unreadable, unreadable, unreadable, unreadable, unreadable, leaseExpired, granted}
	for i, answer := range answers {
		if answer.state != want[i] {
			t.Errorf("%d: %v, want %v", i, answer.state, want[i])
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
	answers, err := c.claim(context.Background(), "a", attemptsOf(aJob("event")))
	if err == nil || answers[0].state != unanswered {
		t.Errorf("%v, %v", err, answers[0].state)
	}
}

func TestOutcomeValues(t *testing.T) {
	job := aJob("event", nth(3), withTemplate("a\tb@1"))
	full := newOutcome(&job, ending{status: topology.DeliveryError, reason: topology.ReasonTransient}, time.Now())
	full.retry, full.ambiguous, full.due = true, true, always
	full.provider, full.messageID, full.detail = "smtp", "<a@b>", "the server\tsaid"
	full.detail = field(full.detail)
	for _, o := range []outcome{full, newOutcome(&job, ending{status: topology.Sent, reason: topology.NoReason}, always)} {
		got, ok := parseOutcome(string(o.append(nil)))
		if !ok || got != o {
			t.Errorf("%v: got %+v\nwant %+v", ok, got, o)
		}
	}
}

func FuzzParseOutcome(f *testing.F) {
	job := aJob("event")
	seed := newOutcome(&job, ending{status: topology.Sent, reason: topology.NoReason}, always)
	f.Add(string(seed.append(nil)))
	f.Add("retry\t2\tpending_delivery\t1\t5\ttransient\tt@1\tp\tm\tdetail")
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
