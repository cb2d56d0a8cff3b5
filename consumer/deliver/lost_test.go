package deliver

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/deliver/recipient/suppress"
	"github.com/meddela/meddela/test/fixtures"
	"github.com/meddela/meddela/topology"
)

// retried are jobs of a second attempt.
func retried(j *topology.Job) { j.Attempt = 2 }

// TestALostClaim: a later attempt whose claim is not there may have been sent.
func TestALostClaim(t *testing.T) {
	for _, test := range []struct {
		name   string
		job    []func(*topology.Job)
		status topology.Status
		sent   int
	}{
		{"resend", []func(*topology.Job){retried}, topology.Sent, 1},
		{"hold", []func(*topology.Job){retried, withTemplate("hold@1")}, topology.DeliveryError, 0},
		{"late", []func(*topology.Job){retried, expires(time.Unix(1, 0))}, topology.DeliveryError, 0},
	} {
		w := newWorld(t)
		h := w.handler(t)
		entry := deliverOne(t, h, aJob("event", test.job...))
		if entry.Status != test.status || test.sent == 0 && entry.Reason != topology.ReasonAmbiguous {
			t.Errorf("%s: %s %s %s", test.name, entry.Status, entry.Reason, entry.Detail)
		}
		if n := h.Counters.Ambiguous.Load(); n != 1 || w.provider.sent() != test.sent {
			t.Errorf("%s: %d ambiguous, %d sent", test.name, n, w.provider.sent())
		}
	}
}

// TestALostClaimStaysLost, however often its owner claims it, or gives it up.
func TestALostClaimStaysLost(t *testing.T) {
	onServers(t, func(t *testing.T, store func(*Config)) {
		w := newWorld(t)
		a, b := w.handler(t, store), w.handler(t, store)
		jobs := jobsOf(aJob("event", retried))
		first := a.owner(&consumer.Batch{})
		for i, owner := range []string{first, first, b.owner(&consumer.Batch{})} {
			if err := a.claim(t.Context(), owner, jobs); err != nil || jobs[0].claim != leaseExpired {
				t.Fatalf("claim %d: %v, %v", i, jobs[0].claim, err)
			}
			if i == 1 {
				if err := a.release(t.Context(), owner, jobs); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

// TestAGivenUpRetry is no lost claim: its earlier attempt is known.
func TestAGivenUpRetry(t *testing.T) {
	onServers(t, func(t *testing.T, store func(*Config)) {
		w := newWorld(t)
		a, b := w.handler(t, store), w.handler(t, store)
		first := jobsOf(aJob("event"))
		first[0].outcome = newOutcome(&first[0].job, ending{status: topology.PendingDelivery}, time.Now())
		first[0].outcome.retry = true
		if err := a.record(t.Context(), first)(); err != nil {
			t.Fatal(err)
		}
		second := jobsOf(aJob("event", retried))
		for _, h := range []*Handler{a, b, a} {
			owner := h.owner(&consumer.Batch{})
			if err := h.claim(t.Context(), owner, second); err != nil || second[0].claim != granted {
				t.Fatalf("%v, %v", second[0].claim, err)
			}
			if err := h.release(t.Context(), owner, second); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestRestore: what the log tells of jobs whose claims are lost is known again, and
// what is known stays.
func TestRestore(t *testing.T) {
	onServers(t, func(t *testing.T, store func(*Config)) {
		w := newWorld(t)
		h := w.handler(t, store)
		jobs := manyJobs(20)
		told := handleAll(t.Context(), t, h, batchOf(jobs...))
		for _, job := range jobs[:15] {
			if err := h.config.Redis.Del(t.Context(), h.config.Keys.Claim(job.JobID)).Err(); err != nil {
				t.Fatal(err)
			}
		}
		waiting, old := aJob("waiting"), aJob("old")
		entry := topology.EntryOf(&waiting, topology.PendingDelivery, topology.ReasonPaused, time.Now())
		past := topology.EntryOf(&old, topology.Sent, "", time.Now().Add(-2*h.config.KeepClaims))
		log := append(told, topology.Record{Value: []byte("{")}, topology.Record{Value: entry.Append(nil)},
			topology.Record{Value: past.Append(nil)})
		for range 2 {
			if n, err := memoryOf(&h.config, nil).Restore(t.Context(), log); n != len(told) || err != nil {
				t.Fatal(n, len(told), err)
			}
		}
		again := handleAll(t.Context(), t, w.handler(t, store), batchOf(append(jobs, waiting, old)...))
		w.provider.once(t, len(jobs)+2)
		for i := range told {
			if string(again[i].Value) != string(told[i].Value) {
				t.Errorf("entry %d is\n%s, and was\n%s", i, again[i].Value, told[i].Value)
			}
		}
	})
	w := newWorld(t)
	w.store.SetError(redisLoading)
	sent := aJob("event")
	told := topology.EntryOf(&sent, topology.Sent, "", time.Now())
	memory := memoryOf(&w.handler(t).config, nil)
	if _, err := memory.Restore(t.Context(), []topology.Record{{Value: told.Append(nil)}}); err == nil {
		t.Error("no error of a Redis that is away")
	}
}

// crashingLater is a Gate with a defect that shows when something was sent.
type crashingLater struct {
	crashing
	calls int
}

func (c *crashingLater) Find(ctx context.Context, q []suppress.Query) func() ([]suppress.Answer, error) {
	c.calls++
	c.on = c.calls == 2
	return c.crashing.Find(ctx, q)
}

// TestStageCrashAfterSending: what was sent before a stage crashed is recorded, and not
// sent again by the one who comes for its record.
func TestStageCrashAfterSending(t *testing.T) {
	w := newWorld(t)
	w.provider.concurrency = 2
	release := make(chan struct{})
	w.provider.answer = func(_ context.Context, job *topology.Job) provider.Response {
		if job.EventID == "event-1" {
			<-release // it is with the provider while the stage crashes
		}
		return accepted
	}
	gate := new(crashingLater)
	h := w.handler(t, func(c *Config) { c.Gate = gate })
	b := batchOf(manyJobs(6)...)
	go func() {
		fixtures.Eventually(t, "the first is sent", func() bool { return w.provider.sent() > 0 })
		time.AfterFunc(50*time.Millisecond, func() { close(release) })
	}()
	func() {
		defer func() {
			if recover() == nil {
				t.Error("it did not crash")
			}
		}()
		_, _ = h.Handle(t.Context(), b)
	}()
	handleAll(t.Context(), t, h, b)
	w.provider.once(t, 6)
	if n := h.Counters.Ambiguous.Load(); n != 0 {
		t.Errorf("%d ambiguous messages", n)
	}
}

// TestLeftoversOfAProcessWithoutPartitions are recorded though no Handle follows.
func TestLeftoversOfAProcessWithoutPartitions(t *testing.T) {
	w := newWorld(t)
	ctx, stop := context.WithCancel(t.Context())
	w.provider.answer = func(context.Context, *topology.Job) provider.Response {
		w.store.SetError(redisLoading)
		stop()
		return accepted
	}
	h := w.handler(t)
	h.grace = 50 * time.Millisecond
	b := batchOf(aJob("event"))
	if result, err := h.Handle(ctx, b); result.Handled != 0 || !errors.Is(err, context.Canceled) {
		t.Fatalf("handled %d, %v", result.Handled, err)
	}
	w.store.SetError("")
	other := w.handler(t)
	within, cancel := context.WithTimeout(t.Context(), 5*time.Second) // which is less than the lease
	defer cancel()
	if entry := entriesOf(t, handleAll(within, t, other, b))[0]; entry.Status != topology.Sent {
		t.Errorf("it is %s %s", entry.Status, entry.Reason)
	}
	w.provider.once(t, 1)
	if n := other.Counters.Ambiguous.Load(); n != 0 {
		t.Errorf("%d ambiguous messages", n)
	}
}
