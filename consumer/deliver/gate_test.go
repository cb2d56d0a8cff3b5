package deliver

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/meddela/meddela/consumer/control"
	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/deliver/recipient/quiet"
	"github.com/meddela/meddela/consumer/deliver/recipient/suppress"
	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/retry"
)

// fakeGate bars the addresses of a list, and may be away.
type fakeGate struct {
	mu     sync.Mutex
	barred map[string]suppress.Answer
	capped map[string]suppress.Answer
	err    error
	full   error            // of Admit
	counts []suppress.Query // those that were admitted
}

func (g *fakeGate) Find(_ context.Context, queries []suppress.Query) func() ([]suppress.Answer, error) {
	return func() ([]suppress.Answer, error) {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.err != nil {
			return nil, g.err
		}
		answers := make([]suppress.Answer, len(queries))
		for i, q := range queries {
			answers[i] = g.barred[q.Address]
		}
		return answers, nil
	}
}

func (g *fakeGate) Admit(_ context.Context, queries []suppress.Query) ([]suppress.Answer, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.full != nil {
		return nil, g.full
	}
	g.counts = append(g.counts, queries...)
	answers := make([]suppress.Answer, len(queries))
	for i, q := range queries {
		answers[i] = g.capped[q.Address]
	}
	return answers, nil
}

// TestTheGate: who must not be written to is ignored with the gate's reason,
// and nobody else counts, nor twice for one job.
func TestTheGate(t *testing.T) {
	for _, instant := range []bool{false, true} {
		w := newWorld(t)
		w.provider.instant = instant
		w.shelf.all["urgent@1"] = &fakeTemplate{channel: topology.Email, urgent: true}
		complaint := suppress.Answer{Reason: topology.ReasonSuppressed, Detail: "complaint"}
		full := suppress.Answer{Reason: topology.ReasonCapped, Detail: "at most 1"}
		gate := &fakeGate{
			barred: map[string]suppress.Answer{"lee@example.com": complaint},
			capped: map[string]suppress.Answer{"lee@example.com": full, "max@example.com": full},
		}
		h := w.handler(t, func(c *Config) { c.Gate = gate })
		b := batchOf(
			aJob("event-1"), aJob("event-2", to(topology.Email, "lee@example.com")), aJob("event-3", withTemplate("urgent@1")),
			aJob("event-4", to(topology.Email, "max@example.com")),
		)
		for range 2 {
			entries := entriesOf(t, handleAll(t.Context(), t, h, b))
			if len(entries) != 4 || entries[0].Status != topology.Sent || entries[2].Status != topology.Sent {
				t.Fatalf("instant=%v: entries %+v", instant, entries)
			}
			for at, want := range map[int]suppress.Answer{1: complaint, 3: full} {
				if e := entries[at]; e.Status != topology.Ignored || e.Reason != want.Reason || e.Detail != want.Detail {
					t.Errorf("instant=%v: a barred one is %s %s %q", instant, e.Status, e.Reason, e.Detail)
				}
			}
		}
		if len(gate.counts) != 3 || gate.counts[0].Urgent || !gate.counts[1].Urgent ||
			gate.counts[2].Job != topology.JobIDOf("event-4", 0) {
			t.Errorf("instant=%v: counted %+v", instant, gate.counts)
		}
		w.provider.once(t, 2)
	}
}

// TestTheGateIsAway: nothing is sent, nothing counts as begun, and it goes on
// by itself.
func TestTheGateIsAway(t *testing.T) {
	for name, gate := range map[string]*fakeGate{"Find": {err: errors.New("away")}, "Admit": {full: errors.New("away")}} {
		t.Run(name, func(t *testing.T) { theGateIsAway(t, gate) })
	}
}

func theGateIsAway(t *testing.T, gate *fakeGate) {
	w := newWorld(t)
	h := w.handler(t, func(c *Config) { c.Gate = gate })
	b := batchOf(manyJobs(9)...)
	if result, err := h.Handle(t.Context(), b); err == nil || result.Handled != 0 || w.provider.sent() != 0 {
		t.Fatalf("handled %d, %v, %d sent", result.Handled, err, w.provider.sent())
	}
	if keys := w.store.Keys(); len(keys) != 0 {
		t.Errorf("claims are left: %v", keys)
	}
	gate.mu.Lock()
	gate.err, gate.full = nil, nil
	gate.mu.Unlock()
	other := w.handler(t, func(c *Config) { c.Gate = gate })
	handleAll(t.Context(), t, other, b)
	w.provider.once(t, 9)
	if n := other.Counters.Ambiguous.Load(); n != 0 {
		t.Errorf("%d messages count as ambiguous", n)
	}
}

func ordersOf(orders ...topology.ControlRecord) func() *control.Orders {
	o := control.Of(orders...)
	return func() *control.Orders { return o }
}

func order(action topology.ControlAction, kind topology.SubjectKind, name string) topology.ControlRecord {
	return topology.ControlRecord{
		Subject: topology.SubjectOf(kind, name), Action: action, By: "kim", Reason: "a bad price", At: time.Now(),
	}
}

// TestPaused: a paused job is not claimed; it waits on the paused topic, as it
// came, and can be delivered when it comes back.
func TestPaused(t *testing.T) {
	for _, subject := range []struct {
		kind      topology.SubjectKind
		name      string
		providers string
	}{
		{topology.SubjectLane, "realtime", ""}, {topology.SubjectChannel, "email", ""}, {topology.SubjectType, "order", ""},
		{topology.SubjectTemplate, "order", ""}, {topology.SubjectProvider, "fake", "fake"},
	} {
		w := newWorld(t)
		orders := ordersOf(order(topology.Pause, subject.kind, subject.name))
		h := w.handler(t, func(c *Config) { c.Orders = orders })
		job := aJob("event-1")
		out := handleAll(t.Context(), t, h, batchOf(job))
		if len(out) != 2 || out[1].Topic != names.Paused(topology.Realtime) {
			t.Fatalf("%s: outputs %+v", subject.kind, out)
		}
		entry := entriesOf(t, out[:1])[0]
		if entry.Status != topology.PendingDelivery || entry.Reason != topology.ReasonPaused || entry.Attempt != 1 ||
			!strings.Contains(entry.Detail, "kim: a bad price") {
			t.Errorf("%s: entry %+v", subject.kind, entry)
		}
		mark, _ := out[1].Header(topology.HeaderOrders)
		providers, _ := out[1].Header(topology.HeaderPausedProviders)
		channel, _ := out[1].Header(topology.HeaderChannel)
		if string(mark) != orders().Mark(time.Now()) || string(providers) != subject.providers || string(channel) != "email" {
			t.Errorf("%s: headers %q", subject.kind, out[1].Headers)
		}
		if string(out[1].Value) != string(job.Append(nil)) || len(w.store.Keys()) != 0 || w.provider.sent() != 0 {
			t.Errorf("%s: the job changed, was claimed or was sent", subject.kind)
		}
		if entry := deliverOne(t, w.handler(t), job); entry.Status != topology.Sent {
			t.Errorf("%s: afterwards it is %s", subject.kind, entry.Status)
		}
	}
}

// TestPausedAndLate: what has expired meanwhile is expired, paused or not.
func TestPausedAndLate(t *testing.T) {
	w := newWorld(t)
	pause := ordersOf(order(topology.Pause, topology.SubjectChannel, "email"))
	h := w.handler(t, at(always), func(c *Config) { c.Orders = pause })
	if entry := deliverOne(t, h, aJob("event-1", expires(always))); entry.Status != topology.Expired {
		t.Errorf("it is %s %s", entry.Status, entry.Reason)
	}
}

// TestKilled: a killed job is ignored for good, also once the order is lifted.
func TestKilled(t *testing.T) {
	w := newWorld(t)
	h := w.handler(t, func(c *Config) { c.Orders = ordersOf(order(topology.Kill, topology.SubjectTemplate, "order")) })
	job := aJob("event-1")
	entry := deliverOne(t, h, job)
	if entry.Status != topology.Ignored || entry.Reason != topology.ReasonKilled ||
		!strings.Contains(entry.Detail, "template:order") {
		t.Errorf("entry %+v", entry)
	}
	if again := deliverOne(t, w.handler(t), job); again != entry {
		t.Errorf("afterwards it is %+v", again)
	}
	if w.provider.sent() != 0 {
		t.Error("it was sent")
	}
}

// TestForeignChannels: a Handler of one channel passes over the others' jobs,
// and only one of them keeps what is no job.
func TestForeignChannels(t *testing.T) {
	w := newWorld(t)
	b := batchOf(aJob("event-1"), aJob("event-2", to(topology.SMS, "+46701234567"), withTemplate("code@1")))
	b.Records = append(b.Records, recordOf(50, []byte("no job")), recordOf(51, []byte("{")), recordOf(52, []byte("{")))
	b.Records[3].Headers = []topology.Header{{Key: topology.HeaderChannel, Value: []byte("sms")}}
	b.Records[4].Headers = []topology.Header{{Key: topology.HeaderChannel, Value: []byte("pigeon")}}
	for channel, want := range map[topology.Channel]int{topology.Email: 3, topology.SMS: 2, topology.Push: 0} {
		h := w.handler(t, func(c *Config) { c.Channel = channel })
		result, err := h.Handle(t.Context(), b)
		if err != nil || result.Handled != 5 || len(result.Out) != want {
			t.Errorf("%s: handled %d with %d outputs, %v; want %d outputs", channel, result.Handled, len(result.Out), err, want)
		}
	}
	w.provider.once(t, 2)
}

// TestThrottled: a message that a limit did not let pass is tried as if for the
// first time.
func TestThrottled(t *testing.T) {
	w := newWorld(t)
	throttled := provider.Response{Verdict: provider.Throttled}
	w.provider.script = []provider.Response{throttled, throttled, throttled, accepted}
	h := w.handler(t, func(c *Config) { c.Tries = 1 })
	entries := entriesOf(t, handleAll(t.Context(), t, h, batchOf(manyJobs(3)...)))
	for _, e := range entries {
		if e.Status != topology.Sent || e.Attempt != 1 {
			t.Errorf("%s is %s of attempt %d", e.EventID, e.Status, e.Attempt)
		}
	}
	w.provider.once(t, 3)
}

// TestRetryAfter: a provider that says when to come back is not asked before.
func TestRetryAfter(t *testing.T) {
	w := newWorld(t)
	w.provider.script = []provider.Response{
		{Verdict: provider.Failed, RetryAfter: 5 * time.Minute, Provider: "the-second"},
	}
	h := w.handler(t, at(always), func(c *Config) { c.Retries = []time.Duration{10 * time.Second} })
	for range 2 {
		out := handleAll(t.Context(), t, h, batchOf(aJob("event-1")))
		due, _ := out[1].Header(topology.HeaderDue)
		if want := always.Add(5 * time.Minute).Format(topology.TimeFormat); string(due) != want {
			t.Errorf("due %s, want %s", due, want)
		}
		if e := entriesOf(t, out[:1])[0]; e.Provider != "the-second" {
			t.Errorf("the provider is %q", e.Provider)
		}
	}
	if n := w.provider.sent(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// TestDoubtStays: an attempt that may have been accepted is followed by others,
// and is not forgotten when none of them is.
func TestDoubtStays(t *testing.T) {
	w := newWorld(t)
	w.provider.script = []provider.Response{unknown, {Verdict: provider.Rejected}, accepted}
	h := w.handler(t, func(c *Config) { c.Tries, c.Retries = 1, []time.Duration{10 * time.Second, time.Minute} })
	out := handleAll(t.Context(), t, h, batchOf(aJob("event-1")))
	if e := entriesOf(t, out[:1])[0]; e.Status != topology.PendingDelivery || len(out) != 2 {
		t.Fatalf("after no word it is %s %s", e.Status, e.Reason)
	}
	late := aJob("event-1", nth(2), expires(time.Now()))
	if e := deliverOne(t, h, late); e.Status != topology.DeliveryError || e.Reason != topology.ReasonAmbiguous {
		t.Errorf("expired after no word it is %s %s", e.Status, e.Reason)
	}
	if n := h.Counters.Ambiguous.Load(); n != 1 {
		t.Errorf("%d messages count as ambiguous, want 1", n)
	}
}

// TestQuietHours: a message waits for its recipient's morning, unless it is
// urgent, and not beyond its validity.
func TestQuietHours(t *testing.T) {
	hours, err := quiet.Parse("21:00-08:00 Europe/Stockholm")
	if err != nil {
		t.Fatal(err)
	}
	night := time.Date(2026, 12, 1, 22, 0, 0, 0, time.UTC)
	morning := time.Date(2026, 12, 2, 7, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		urgent bool
		change func(*topology.Job)
		due    time.Time // zero: it is sent
	}{
		"at night":           {false, func(*topology.Job) {}, morning},
		"urgent":             {true, func(*topology.Job) {}, time.Time{}},
		"not valid for long": {false, expires(night.Add(time.Hour)), night.Add(time.Hour)},
		"where it is not": {false, func(j *topology.Job) {
			j.Event = []byte(`{"id":"e","type":"order","timezone":"America/New_York","ctx":{}}`)
		}, time.Time{}},
		"in another country": {false, func(j *topology.Job) {
			j.Event = []byte(`{"id":"e","type":"order","country":"FI","ctx":{}}`)
		}, morning.Add(-time.Hour)},
		"an event of nothing": {false, func(j *topology.Job) { j.Event = []byte(`{"type":7}`) }, time.Time{}},
	} {
		w := newWorld(t)
		w.shelf.all["night@1"] = &fakeTemplate{channel: topology.Email, urgent: test.urgent, quiet: hours}
		job := aJob("event-1", withTemplate("night@1"), test.change)
		out := handleAll(t.Context(), t, w.handler(t, at(night)), batchOf(job))
		if test.due.IsZero() {
			if len(out) != 1 {
				t.Errorf("%s: %d outputs", name, len(out))
			}
			continue
		}
		if len(out) != 2 {
			t.Fatalf("%s: %d outputs", name, len(out))
		}
		due, _ := out[1].Header(topology.HeaderDue)
		e := entriesOf(t, out[:1])[0]
		if e.Reason != topology.ReasonQuiet || string(due) != test.due.Format(topology.TimeFormat) || e.Attempt != 1 ||
			!e.Due.Equal(test.due) {
			t.Errorf("%s: %s, due %s, want %s", name, e.Reason, due, test.due)
		}
		if string(out[1].Value) != string(job.Append(nil)) || len(w.store.Keys()) > 0 {
			t.Errorf("%s: it was changed, or claimed", name)
		}
		if e := deliverOne(t, w.handler(t, at(test.due)), job); e.Status != topology.Sent && test.due == morning {
			t.Errorf("%s: in the morning it is %s", name, e.Status)
		}
	}
}

// TestOwnRetries: a template's waits go before the role's.
func TestOwnRetries(t *testing.T) {
	for name, test := range map[string]struct {
		retries []time.Duration
		waits   time.Duration
	}{
		"the role's": {nil, 10 * time.Second},
		"its own":    {[]time.Duration{time.Hour}, time.Hour},
		"none":       {[]time.Duration{}, 0},
	} {
		w := newWorld(t)
		w.shelf.all["own@1"] = &fakeTemplate{channel: topology.Email, retries: test.retries}
		w.provider.script = []provider.Response{down}
		h := w.handler(t, func(c *Config) { c.Tries, c.Retries = 1, []time.Duration{10 * time.Second} })
		out := handleAll(t.Context(), t, h, batchOf(aJob("event-1", withTemplate("own@1"))))
		e := entriesOf(t, out[:1])[0]
		if test.waits == 0 {
			if e.Status != topology.DeliveryError || len(out) != 1 {
				t.Errorf("%s: %s, %d outputs", name, e.Status, len(out))
			}
			continue
		}
		text, _ := out[1].Header(topology.HeaderDue)
		due, err := time.Parse(topology.TimeFormat, string(text))
		if wait := due.Sub(e.At); err != nil || wait < test.waits || wait > test.waits*6/5 {
			t.Errorf("%s: waits %v", name, wait)
		}
	}
}

// TestOtherClocks: what was held until its time, by a clock that is ahead of ours by no more than clocks differ,
// is not held again for the same: not for an order, nor for quiet hours, nor to be sent after its end.
func TestOtherClocks(t *testing.T) {
	hours, err := quiet.Parse("21:00-08:00 Europe/Stockholm")
	if err != nil {
		t.Fatal(err)
	}
	morning := time.Date(2026, 12, 2, 7, 0, 0, 0, time.UTC)
	pause := order(topology.Pause, topology.SubjectChannel, "email")
	pause.Until = morning
	const sent, waits = topology.Sent, topology.PendingDelivery
	for name, test := range map[string]struct {
		template topology.TemplateRef
		ours     time.Time
		held     time.Duration // until then, from the morning
		change   func(*topology.Job)
		want     topology.Status
	}{
		"an order":                  {"order@1", morning.Add(-2 * time.Second), 0, expires(time.Time{}), sent},
		"an order that is in force": {"order@1", morning.Add(-2 * time.Second), -time.Second, expires(time.Time{}), waits},
		"quiet hours":               {"night@1", morning.Add(-time.Minute), 0, expires(time.Time{}), sent},
		"quiet hours, much later":   {"night@1", morning.Add(-time.Hour), 0, expires(time.Time{}), waits},
		"its end": {"night@1", morning.Add(-time.Hour), time.Second - time.Hour,
			expires(morning.Add(time.Second - time.Hour)), topology.Expired},
	} {
		w := newWorld(t)
		w.shelf.all["night@1"] = &fakeTemplate{channel: topology.Email, quiet: hours}
		h := w.handler(t, at(test.ours), func(c *Config) {
			if test.template == "order@1" {
				c.Orders = ordersOf(pause)
			}
		})
		b := batchOf(aJob("event-1", withTemplate(test.template), test.change))
		b.Records[0].Headers = topology.Released(b.Records[0].Headers, morning.Add(test.held))
		result, err := h.Handle(t.Context(), b)
		if err != nil || result.Handled != 1 {
			t.Fatalf("%s: handled %d, %v", name, result.Handled, err)
		}
		if e := entriesOf(t, result.Out[:1])[0]; e.Status != test.want {
			t.Errorf("%s: it is %s %s, want %s", name, e.Status, e.Reason, test.want)
		}
	}
}

// TestOneThatHangs: the jobs behind one that a provider does not answer are sent while it waits.
func TestOneThatHangs(t *testing.T) {
	const n = 40
	w := newWorld(t)
	jobs := manyJobs(n)
	w.provider.answer = func(ctx context.Context, job *topology.Job) provider.Response {
		for end := 50 * time.Millisecond; retry.Sleep(ctx, end); {
			if job.JobID != jobs[2].JobID || w.provider.sent() == n {
				return accepted
			}
		}
		return failed
	}
	died(t, w, jobs[n-1]) // and comes back when its lease has ended
	h := w.handler(t, func(c *Config) { c.SendTimeout = 8 * time.Second })
	time.AfterFunc(500*time.Millisecond, func() { w.store.SetTime(time.Now().Add(h.config.Lease)) })
	result, err := h.Handle(t.Context(), batchOf(jobs...))
	if err != nil || result.Handled != n {
		t.Fatalf("handled %d, %v", result.Handled, err)
	}
	w.provider.once(t, n)
}

// TestSoonKnown: what a slow provider has taken is known before the batch ends.
func TestSoonKnown(t *testing.T) {
	w := newWorld(t)
	w.provider.concurrency = 2
	w.provider.answer = func(ctx context.Context, _ *topology.Job) provider.Response {
		retry.Sleep(ctx, 150*time.Millisecond)
		return accepted
	}
	h := w.handler(t)
	b := batchOf(manyJobs(20)...)
	result, err := h.Handle(t.Context(), b)
	if err != nil || result.Handled == 0 || result.Handled > 8 || len(result.Out) != result.Handled {
		t.Fatalf("handled %d with %d outputs, %v", result.Handled, len(result.Out), err)
	}
	b.Records = b.Records[result.Handled:]
	handleAll(t.Context(), t, h, b)
	w.provider.once(t, 20)
	if n := h.Counters.Duplicates.Load(); n != 0 {
		t.Errorf("%d jobs were repeated", n)
	}
}
