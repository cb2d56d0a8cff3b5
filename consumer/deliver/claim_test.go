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

// claimants is a Handler, whose claims several owners make at one store, whose
// clock stands at always.
func claimants(t *testing.T) (w *world, h *Handler) {
	w = newWorld(t)
	w.store.SetTime(always)
	return w, w.handler(t)
}

func (h *Handler) try(t *testing.T, owner string, job topology.Job) *delivery {
	t.Helper()
	d := &delivery{job: job}
	if err := h.claim(t.Context(), owner, []*delivery{d}); err != nil {
		t.Fatal(err)
	}
	return d
}

func (h *Handler) note(t *testing.T, job topology.Job, status topology.Status, retry bool) *delivery {
	t.Helper()
	d := &delivery{job: job, outcome: newOutcome(&job, ending{status: status}, always)}
	d.outcome.retry = retry
	if err := h.record(t.Context(), []*delivery{d})(); err != nil || !d.settled {
		t.Fatalf("settled %v, %v", d.settled, err)
	}
	return d
}

func TestAClaimIsHeldBackFromOthers(t *testing.T) {
	w, c := claimants(t)
	job := aJob("event")
	if got := c.try(t, "a", job); got.claim != granted {
		t.Fatalf("the first claim is %v", got.claim)
	}
	if ttl := w.store.TTL(keys.Claim(job.JobID)); ttl != c.config.KeepClaims {
		t.Errorf("the claim lives for %v", ttl)
	}
	if value, _ := w.store.Get(keys.Claim(job.JobID)); strings.Contains(value, "kim") {
		t.Errorf("the claim holds the address: %q", value)
	}
	w.store.SetTime(always.Add(5 * time.Second))
	if got := c.try(t, "b", job); got.claim != leased || got.left != 10*time.Second {
		t.Errorf("another's claim is %v for %v", got.claim, got.left)
	}
	if got := c.try(t, "a", job); got.claim != granted {
		t.Errorf("the owner's own second claim is %v", got.claim)
	}
	if got := c.try(t, "b", job); got.claim != leased || got.left != 15*time.Second {
		t.Errorf("after it, another's claim is %v for %v", got.claim, got.left)
	}
}

func TestALeaseRunsOut(t *testing.T) {
	w, c := claimants(t)
	job := aJob("event")
	c.try(t, "a", job)
	w.store.SetTime(always.Add(15 * time.Second))
	if got := c.try(t, "b", job); got.claim != leaseExpired {
		t.Fatalf("after the lease, another's claim is %v", got.claim)
	}
	if got := c.try(t, "b", job); got.claim != leaseExpired {
		t.Errorf("it is forgotten that it may have been sent: %v", got.claim)
	}
	if got := c.try(t, "a", job); got.claim != leased {
		t.Errorf("the first owner's claim is %v", got.claim)
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
	if got := c.try(t, "c", job); got.claim != leased {
		t.Fatalf("released by another, and then %v", got.claim)
	}
	if err := c.release(t.Context(), "b", jobsOf(job, expired, aJob("unknown"))); err != nil {
		t.Fatal(err)
	}
	if got := c.try(t, "c", job); got.claim != granted {
		t.Errorf("after the release %v", got.claim)
	}
	if got := c.try(t, "c", expired); got.claim != leaseExpired {
		t.Errorf("with the release it is forgotten that it may have been sent: %v", got.claim)
	}
}

func TestTheFirstOutcomeStands(t *testing.T) {
	w, c := claimants(t)
	job := aJob("event")
	c.try(t, "a", job)
	w.store.SetTime(always.Add(time.Minute))
	c.try(t, "b", job)
	if got := c.note(t, job, topology.Sent, false); got.outcome.status != topology.Sent {
		t.Errorf("the first outcome is %s", got.outcome.status)
	}
	if got := c.note(t, job, topology.DeliveryError, false); got.outcome.status != topology.Sent {
		t.Errorf("the second outcome is %s", got.outcome.status)
	}
	for n := range 3 {
		got := c.try(t, "c", aJob("event", nth(n)))
		if got.claim != settled || got.outcome.status != topology.Sent || got.outcome.attempt != 1 {
			t.Errorf("attempt %d: %v, %+v", n, got.claim, got.outcome)
		}
	}
	if ttl := w.store.TTL(keys.Claim(job.JobID)); ttl != c.config.KeepClaims {
		t.Errorf("the outcome lives for %v", ttl)
	}
}

// TestAPassingFailure leaves the way open for a higher attempt, and for no
// other.
func TestAPassingFailure(t *testing.T) {
	_, c := claimants(t)
	first, second, tenth := aJob("event"), aJob("event", nth(2)), aJob("event", nth(10))
	c.try(t, "a", first)
	c.note(t, first, topology.PendingDelivery, true)
	if got := c.note(t, first, topology.Sent, false); got.outcome.status != topology.PendingDelivery {
		t.Errorf("a second outcome of the same attempt was taken")
	}
	if got := c.try(t, "a", first); got.claim != settled || !got.outcome.retry {
		t.Errorf("the same attempt: %v", got.claim)
	}
	if got := c.try(t, "b", second); got.claim != granted {
		t.Errorf("the second attempt: %v", got.claim)
	}
	if got := c.note(t, second, topology.PendingDelivery, true); got.outcome.attempt != 2 {
		t.Errorf("the second attempt's outcome is of attempt %d", got.outcome.attempt)
	}
	if got := c.note(t, first, topology.DeliveryError, false); got.outcome.attempt != 2 {
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
	answers := jobsOf(jobs...)
	if err := c.claim(t.Context(), "b", answers); err != nil {
		t.Fatal(err)
	}
	want := []claimState{unreadable, unreadable, unreadable, unreadable, unreadable, unreadable, leaseExpired, granted}
	for i, answer := range answers {
		if answer.claim != want[i] {
			t.Errorf("%d: %v, want %v", i, answer.claim, want[i])
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
	d := &delivery{job: aJob("event")}
	if err := c.claim(context.Background(), "a", []*delivery{d}); err == nil || d.claim != unanswered {
		t.Errorf("%v, %v", err, d.claim)
	}
}

func TestOutcomeValues(t *testing.T) {
	job := aJob("event", nth(3), withTemplate("a\tb@1"))
	full := newOutcome(&job, ending{status: topology.DeliveryError, reason: topology.ReasonTransient}, time.Now())
	full.retry, full.ambiguous, full.due = true, true, always
	full.provider, full.messageID, full.detail = "smtp", "<a@b>", "the server\tsaid"
	full.detail = field(full.detail)
	final := newOutcome(&job, ending{status: topology.Sent, reason: topology.NoReason}, always)
	digested := final
	digested.digest = "0f"
	for _, o := range []outcome{full, final, digested} {
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
