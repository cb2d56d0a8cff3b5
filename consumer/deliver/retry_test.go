package deliver

import (
	"fmt"
	"testing"
	"time"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/topology"
)

// TestRetries follows a job whose provider is down: it is attempted again later
// through the delay topics, and each attempt is made once, however often its
// job is read.
func TestRetries(t *testing.T) {
	w := newWorld(t)
	fake := &fakeProvider{name: "fake", concurrency: 1, script: []provider.Response{down, down, accepted}}
	h := w.handler(t, func(c *Config) {
		c.Tries = 1
		c.Retries = []time.Duration{10 * time.Second, time.Minute}
		c.Providers = map[topology.Channel]provider.Provider{topology.Email: fake}
	})
	job := aJob("event-1")
	for attempt, tier := range []topology.Tier{topology.TierFor(10 * time.Second), topology.TierFor(time.Minute)} {
		var first []topology.Record
		for range 2 {
			out := handleAll(t.Context(), t, h, batchOf(job))
			if len(out) != 2 {
				t.Fatalf("attempt %d: %d outputs, want an entry and the next attempt", attempt+1, len(out))
			}
			entry := entriesOf(t, out[:1])[0]
			if entry.Status != topology.PendingDelivery || entry.Reason != topology.ReasonTransient ||
				entry.Attempt != attempt+1 {
				t.Fatalf("attempt %d: %s %s of attempt %d", attempt+1, entry.Status, entry.Reason, entry.Attempt)
			}
			if out[1].Topic != names.Delay(topology.Realtime, tier) {
				t.Fatalf("attempt %d: the next goes to %s, want tier %s", attempt+1, out[1].Topic, tier.Name)
			}
			same := func(i int) bool { return string(first[i].Value) == string(out[i].Value) }
			if first != nil && !(same(0) && same(1)) {
				t.Errorf("attempt %d, read again, says something else", attempt+1)
			}
			first = out
		}
		next, err := topology.DecodeJob(first[1].Value)
		if err != nil {
			t.Fatal(err)
		}
		wait := next.NotBefore.Sub(entriesOf(t, first[:1])[0].At)
		if next.Attempt != attempt+2 || next.Key != fmt.Sprint(job.JobID, "-", attempt+2) ||
			next.JobID != job.JobID || wait < tier.Wait || wait > tier.Wait*6/5 {
			t.Fatalf("the next attempt is %d, after %v", next.Attempt, wait)
		}
		if due := entriesOf(t, first[:1])[0].Due; !due.Equal(next.NotBefore) {
			t.Errorf("the log says that attempt %d is due at %v, and it is at %v", attempt+2, due, next.NotBefore)
		}
		job = next
	}
	if entry := deliverOne(t, h, job); entry.Status != topology.Sent || entry.Attempt != 3 {
		t.Errorf("at last: %s of attempt %d", entry.Status, entry.Attempt)
	}
	if fake.sent() != 3 {
		t.Errorf("the provider was asked %d times, want once an attempt", fake.sent())
	}
}

// TestCopiesComeBack: of an event that is published again each copy goes on that is said to wait, as others may.
func TestCopiesComeBack(t *testing.T) {
	w := newWorld(t)
	fake := &fakeProvider{name: "fake", concurrency: 1, script: []provider.Response{down, down, accepted}}
	h := w.handler(t, func(c *Config) {
		c.Tries, c.Retries = 1, []time.Duration{10 * time.Second, time.Minute}
		c.Providers = map[topology.Channel]provider.Provider{topology.Email: fake}
	})
	goOn := func(attempt int, batch ...topology.Job) (next topology.Job) {
		t.Helper()
		out := handleAll(t.Context(), t, h, batchOf(batch...))
		if len(out) != 2*len(batch) {
			t.Fatalf("%d outputs of %d copies, want an entry and a record of each", len(out), len(batch))
		}
		for ; len(out) > 0; out = out[2:] {
			var err error
			entry := entriesOf(t, out[:1])[0]
			if next, err = topology.DecodeJob(out[1].Value); err != nil || next.Attempt != attempt+1 ||
				!next.NotBefore.Equal(entry.Due) || entry.Attempt != attempt {
				t.Errorf("after attempt %d, due at %v: %+v, %v", entry.Attempt, entry.Due, next, err)
			}
		}
		return next
	}
	job := aJob("event-1")
	second := goOn(1, job, job)
	third := goOn(2, second)
	goOn(2, job, second) // late
	for range 2 {
		if entry := deliverOne(t, h, third); entry.Status != topology.Sent || entry.Attempt != 3 {
			t.Errorf("at last: %s of attempt %d", entry.Status, entry.Attempt)
		}
	}
	if fake.sent() != 3 {
		t.Errorf("the provider was asked %d times, want once an attempt", fake.sent())
	}
	waiting := w.handler(t, func(c *Config) {
		c.Orders = ordersOf(order(topology.Pause, topology.SubjectType, "order"))
	})
	if out := handleAll(t.Context(), t, waiting, batchOf(aJob("event-2"), aJob("event-2"))); len(out) != 4 ||
		out[3].Topic != names.Paused(topology.Realtime) {
		t.Errorf("of two copies that are paused come %+v", out)
	}
}

// TestUnreadableTemplates: a version that is published, but which this deliverer cannot read, as one of a later
// release may be, is waited for like a provider that is away: the next attempt may be another deliverer's.
func TestUnreadableTemplates(t *testing.T) {
	w := newWorld(t)
	w.shelf.unreadable = "order@2"
	h := w.handler(t, func(c *Config) { c.Retries = []time.Duration{time.Minute} })
	out := handleAll(t.Context(), t, h, batchOf(aJob("event-1", withTemplate("order@2"))))
	e := entriesOf(t, out[:1])[0]
	if len(out) != 2 || e.Status != topology.PendingDelivery || e.Reason != topology.ReasonTransient ||
		out[1].Topic != names.Delay(topology.Realtime, topology.TierFor(time.Minute)) {
		t.Fatalf("%s %s %q, %d outputs", e.Status, e.Reason, e.Detail, len(out))
	}
	next, err := topology.DecodeJob(out[1].Value)
	if err != nil || next.Attempt != 2 {
		t.Fatalf("attempt %d, %v", next.Attempt, err)
	}
	if e := deliverOne(t, h, next); e.Status != topology.DeliveryError || e.Reason != topology.ReasonRetriesExhausted {
		t.Errorf("at last it is %s %s", e.Status, e.Reason)
	}
	w.shelf.all["order@2"] = &fakeTemplate{channel: topology.Email}
	other := aJob("event-2", withTemplate("order@2"), nth(2))
	if e := deliverOne(t, h, other); e.Status != topology.Sent {
		t.Errorf("by one that can read it, it is %s %s", e.Status, e.Reason)
	}
}

func TestNoRetryPastTheLastOrTheValidity(t *testing.T) {
	for name, change := range map[string]func(*topology.Job){
		"the last attempt":      func(j *topology.Job) { j.Attempt = 2 },
		"not valid for so long": func(j *topology.Job) { j.Expires = time.Now().Add(5 * time.Second) },
	} {
		w := newWorld(t)
		first := &delivery{job: aJob("event-1")}
		first.outcome = newOutcome(&first.job, ending{status: topology.PendingDelivery}, time.Now())
		first.outcome.retry = true
		h := w.handler(t, func(c *Config) {
			c.Tries = 1
			c.Retries = []time.Duration{10 * time.Second}
			c.Providers = map[topology.Channel]provider.Provider{
				topology.Email: &fakeProvider{name: "fake", concurrency: 1, script: []provider.Response{{Verdict: provider.Down}}},
			}
		})
		job := aJob("event-1", change)
		if job.Attempt > 1 {
			if err := h.record(t.Context(), []*delivery{first})(); err != nil {
				t.Fatal(err)
			}
		}
		entry := deliverOne(t, h, job)
		if entry.Status != topology.DeliveryError || entry.Reason != topology.ReasonProviderDown {
			t.Errorf("%s: %s %s", name, entry.Status, entry.Reason)
		}
	}
}

// TestKeysOfAttempts: a job has another key after an attempt that has surely failed, and the same while one may have
// been accepted.
func TestKeysOfAttempts(t *testing.T) {
	w := newWorld(t)
	unknown := provider.Response{Verdict: provider.Unknown}
	fake := &fakeProvider{name: "fake", concurrency: 1, script: []provider.Response{down, unknown, down, accepted}}
	h := w.handler(t, func(c *Config) {
		c.Tries, c.Retries = 1, []time.Duration{time.Minute, time.Minute, time.Minute}
		c.Providers = map[topology.Channel]provider.Provider{topology.Email: fake}
	})
	job := aJob("event-1")
	for attempt, want := range []string{"-2", "-2", "-2"} {
		out := handleAll(t.Context(), t, h, batchOf(job))
		next, err := topology.DecodeJob(out[len(out)-1].Value)
		if err != nil || next.Key != string(job.JobID)+want {
			t.Fatalf("after attempt %d: key %q, %v", attempt+1, next.Key, err)
		}
		job = next
	}
}
