package deliver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/deliver/recipient/suppress"
	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/retry"
)

var always = time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)

func at(now time.Time) func(*Config) {
	return func(c *Config) { c.Now = func() time.Time { return now } }
}

func withTemplate(ref topology.TemplateRef) func(*topology.Job) {
	return func(j *topology.Job) { j.Template = ref }
}

func to(channel topology.Channel, address string) func(*topology.Job) {
	return func(j *topology.Job) { j.Channel, j.To = channel, address }
}

func expires(at time.Time) func(*topology.Job) {
	return func(j *topology.Job) { j.Expires = at }
}

func nth(n int) func(*topology.Job) {
	return func(j *topology.Job) { j.Attempt = n }
}

var (
	failed   = provider.Response{Verdict: provider.Failed, Detail: "busy"}
	down     = provider.Response{Verdict: provider.Down, Detail: "gone"}
	unknown  = provider.Response{Verdict: provider.Unknown, Detail: "no word"}
	accepted = provider.Response{Verdict: provider.Accepted, MessageID: "m-1"}
)

// TestOutcomes: what each job comes to, and how often the provider is asked.
func TestOutcomes(t *testing.T) {
	type changes = []func(*topology.Job)
	type answers = []provider.Response
	const sent, errored, ignored, expired = topology.Sent, topology.DeliveryError, topology.Ignored, topology.Expired
	for _, test := range []struct {
		name   string
		job    changes
		script answers
		status topology.Status
		reason topology.Reason
		detail string
		calls  int
	}{
		{"accepted", nil, nil, sent, "", "", 1},
		{"valid for a moment", changes{expires(always.Add(time.Millisecond))}, nil, sent, "", "", 1},
		{"expired", changes{expires(always)}, nil, expired, topology.ReasonExpired, "", 0},
		{"expired, and no address", changes{expires(always), to(topology.Email, "")}, nil,
			expired, topology.ReasonExpired, "", 0},
		{"no address", changes{to(topology.Email, "")}, nil, ignored, topology.ReasonMissingAddress, "", 0},
		{"a bad address", changes{to(topology.Email, "kim@example.com\r\nBcc: all@example.com")}, nil,
			ignored, topology.ReasonInvalidAddress, "", 0},
		{"a template that has just been published", changes{withTemplate("late@1")}, nil, sent, "", "", 1},
		{"a template that nobody knows", changes{withTemplate("gone@1")}, nil,
			errored, topology.ReasonTemplateMissing, "has been retired", 0},
		{"data that the event lacks", changes{withTemplate("missing@1")}, nil,
			errored, topology.ReasonMissingData, "ctx.name is missing", 0},
		{"a template that breaks", changes{withTemplate("broken@1")}, nil,
			errored, topology.ReasonRenderFailed, "the template failed on this event", 0},
		{"an event that cannot be read", changes{func(j *topology.Job) { j.Event = []byte(`{"type":7}`) }}, nil,
			errored, topology.ReasonRenderFailed, "the job's event: ", 0},
		{"a template for another channel", changes{withTemplate("code@1")}, nil,
			errored, topology.ReasonRenderFailed, "for channel sms", 0},
		{"a channel without a provider", changes{to(topology.Push, "token"), withTemplate("app@1")}, nil,
			errored, topology.ReasonNoProvider, "push", 0},
		{"skipped", nil, answers{{Verdict: provider.Skipped, Reason: topology.ReasonSuppressed}},
			ignored, topology.ReasonSuppressed, "", 1},
		{"refused", nil, answers{{Verdict: provider.Rejected, Detail: "550"}},
			errored, topology.ReasonProviderRejected, "550", 1},
		{"late at the provider", nil, answers{{Verdict: provider.Expired}}, expired, topology.ReasonExpired, "", 1},
		{"failed once", nil, answers{failed, accepted}, sent, "", "", 2},
		{"failed always", nil, answers{failed}, errored, topology.ReasonRetriesExhausted, "busy", 3},
		{"down always", nil, answers{down}, errored, topology.ReasonProviderDown, "gone", 3},
		{"unknown, and not tried again at once", nil, answers{unknown, accepted}, errored, topology.ReasonAmbiguous,
			"no word", 1},
		{"failed, then unknown", nil, answers{failed, unknown, accepted}, errored, topology.ReasonAmbiguous, "no word", 2},
		{"unknown, and held", changes{withTemplate("hold@1")}, answers{unknown, accepted},
			errored, topology.ReasonAmbiguous, "no word", 1},
		{"a detail that would break lines", nil,
			answers{{Verdict: provider.Rejected, Detail: "a\tb\nc" + strings.Repeat("å", 400)}},
			errored, topology.ReasonProviderRejected, "a b cå", 1},
	} {
		for _, instant := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/instant=%v", test.name, instant), func(t *testing.T) {
				w := newWorld(t)
				w.provider.script, w.provider.instant = test.script, instant
				job := aJob("event", test.job...)
				entry := deliverOne(t, w.handler(t, at(always)), job)
				if entry.Status != test.status || entry.Reason != test.reason || !strings.Contains(entry.Detail, test.detail) {
					t.Errorf("%s %s %q", entry.Status, entry.Reason, entry.Detail)
				}
				if strings.Contains(entry.Detail, "kim@") {
					t.Errorf("the detail holds the address: %s", entry.Detail)
				}
				if w.provider.sent() != test.calls {
					t.Errorf("the provider was asked %d times, want %d", w.provider.sent(), test.calls)
				}
				again := deliverOne(t, w.handler(t, at(always.Add(time.Hour))), job)
				if again != entry {
					t.Errorf("the job came again and made\n%+v, not\n%+v", again, entry)
				}
				if w.provider.sent() != test.calls {
					t.Error("the job came again and was sent again")
				}
			})
		}
	}
}

// TestAddressesAsProvidersWantThem: whoever wrote them, and if they are none, the entry says why.
func TestAddressesAsProvidersWantThem(t *testing.T) {
	for _, test := range []struct {
		channel    topology.Channel
		to, region string
		want       string // empty for none
		detail     string
	}{
		{topology.SMS, "0046 (0)70-123 45 67", "", "+46701234567", ""},
		{topology.SMS, "070-123 45 67", "SE", "+46701234567", ""},
		{topology.SMS, "070-123 45 67", "", "0701234567", ""},
		{topology.SMS, "+4670", "", "", "the phone number is too short for its country"},
		{topology.Email, "kim@example.com\u00a0", "", "kim@example.com", ""},
		{topology.Email, "Kim@Example.com", "", "Kim@Example.com", ""},
	} {
		w := newWorld(t)
		w.provider.to = []string{}
		ref := map[topology.Channel]topology.TemplateRef{topology.SMS: "code@1", topology.Email: "order@1"}[test.channel]
		h := w.handler(t, at(always), func(c *Config) {
			c.Region, c.Providers = test.region, map[topology.Channel]provider.Provider{test.channel: w.provider}
		})
		entry := deliverOne(t, h, aJob("event", to(test.channel, test.to), withTemplate(ref)))
		if got := strings.Join(w.provider.to, " "); got != test.want || entry.Detail != test.detail ||
			(entry.Reason == topology.ReasonInvalidAddress) != (test.want == "") {
			t.Errorf("%q: went to %q; %s %s %q", test.to, got, entry.Status, entry.Reason, entry.Detail)
		}
	}
}

// TestExpiryOnTheWay: it is looked at right before each try to send.
func TestExpiryOnTheWay(t *testing.T) {
	for _, calls := range []int{0, 1} {
		w := newWorld(t)
		now := always
		h := w.handler(t, func(c *Config) { c.Now = func() time.Time { return now } })
		if calls == 0 {
			w.shelf.all["order@1"].renders = func() { now = now.Add(time.Minute) }
		}
		w.provider.answer = func(context.Context, *topology.Job) provider.Response {
			now = now.Add(time.Minute)
			return failed
		}
		entry := deliverOne(t, h, aJob("event", expires(always.Add(time.Minute))))
		if entry.Status != topology.Expired || w.provider.sent() != calls {
			t.Errorf("%s %s after %d tries", entry.Status, entry.Reason, w.provider.sent())
		}
	}
}

// TestEntry: what a sent job's entry has, beside what it is about.
func TestEntry(t *testing.T) {
	w := newWorld(t)
	job := aJob("event", nth(2))
	result, err := w.handler(t, at(always)).Handle(t.Context(), batchOf(job))
	if err != nil {
		t.Fatal(err)
	}
	want := topology.EntryOf(&job, topology.Sent, topology.NoReason, always)
	want.Provider, want.ProviderMessageID = "fake", "fake-"+string(job.JobID)
	if got := entriesOf(t, result.Out)[0]; got != want {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if headers := result.Out[0].Headers; len(headers) != 1 || headers[0].Key != "traceparent" {
		t.Errorf("headers %v", headers)
	}
}

// TestBatch: the entries are in the order of the jobs, bad records are dead
// letters and touch no neighbour, and a job that is twice in the batch is sent
// once.
func TestBatch(t *testing.T) {
	w := newWorld(t)
	jobs := manyJobs(40)
	b := batchOf(jobs...)
	bad := [][]byte{nil, []byte("{"), []byte(`{"job_id":"x"}`), []byte("\xff"), []byte(`[]`)}
	for i, value := range bad {
		b.Records[5*i+1] = recordOf(int64(40+5*i+1), value)
	}
	b.Records[30].Value = jobs[0].Append(nil)
	b.Records[31].Value = jobs[0].Append(nil)
	result, err := w.handler(t).Handle(t.Context(), b)
	if err != nil || result.Handled != 40 || len(result.Out) != 40 {
		t.Fatalf("handled %d, %d outputs, %v", result.Handled, len(result.Out), err)
	}
	for i, r := range result.Out {
		if i < 25 && i%5 == 1 {
			offset, _ := r.Header(topology.HeaderOriginalOffset)
			if r.Topic != names.DeadLetters(topology.Realtime) || string(offset) != fmt.Sprint(40+i) {
				t.Errorf("bad record %d went to %s, %s", i, r.Topic, offset)
			}
			continue
		}
		want := jobs[i].EventID
		if i == 30 || i == 31 {
			want = jobs[0].EventID
		}
		if entry := entriesOf(t, result.Out[i:i+1])[0]; entry.EventID != want || entry.Status != topology.Sent {
			t.Errorf("entry %d is %s of %s", i, entry.Status, entry.EventID)
		}
	}
	w.provider.once(t, 40-len(bad)-2)
}

// TestAHigherAttempt in the batch waits for the lower one's outcome: after a
// final one it is not sent.
func TestAHigherAttempt(t *testing.T) {
	w := newWorld(t)
	h := w.handler(t)
	b := batchOf(aJob("event"), aJob("other"), aJob("event", nth(2)), aJob("third"))
	result, err := h.Handle(t.Context(), b)
	if err != nil || result.Handled != 2 {
		t.Fatalf("handled %d, %v", result.Handled, err)
	}
	b.Records = b.Records[2:]
	entries := entriesOf(t, handleAll(t.Context(), t, h, b))
	if len(entries) != 2 || entries[0].Attempt != 1 || entries[0].Status != topology.Sent {
		t.Errorf("entries %+v", entries)
	}
	w.provider.once(t, 3)
}

// TestRepeatedBatch: a batch that is handled again, by whomever, sends nothing
// and makes the same outputs.
func TestRepeatedBatch(t *testing.T) {
	w := newWorld(t)
	b := batchOf(manyJobs(100)...)
	first := handleAll(t.Context(), t, w.handler(t), b)
	for range 3 {
		h := w.handler(t)
		again := handleAll(t.Context(), t, h, b)
		for i := range first {
			if string(first[i].Value) != string(again[i].Value) {
				t.Fatalf("output %d was %s\nand is %s", i, first[i].Value, again[i].Value)
			}
		}
		if n := h.Counters.Duplicates.Load(); n != 100 {
			t.Errorf("%d repeated jobs, want 100", n)
		}
	}
	w.provider.once(t, 100)
}

// TestTwoDeliverers have the same jobs at the same time.
func TestTwoDeliverers(t *testing.T) {
	for _, instant := range []bool{false, true} {
		t.Run(fmt.Sprintf("instant=%v", instant), func(t *testing.T) {
			w := newWorld(t)
			w.provider.instant = instant
			w.provider.answer = func(ctx context.Context, _ *topology.Job) provider.Response {
				retry.Sleep(ctx, 100*time.Microsecond)
				return accepted
			}
			b := batchOf(manyJobs(200)...)
			outs := make([][]topology.Record, 3)
			var all sync.WaitGroup
			for i := range outs {
				h := w.handler(t)
				all.Go(func() { outs[i] = handleAll(t.Context(), t, h, b) })
			}
			all.Wait()
			w.provider.once(t, 200)
			for i := range outs[0] {
				for _, other := range outs[1:] {
					if string(outs[0][i].Value) != string(other[i].Value) {
						t.Fatalf("entry %d differs:\n%s\n%s", i, outs[0][i].Value, other[i].Value)
					}
				}
			}
		})
	}
}

// TestConcurrencyIsShared by all partitions.
func TestConcurrencyIsShared(t *testing.T) {
	w := newWorld(t)
	w.provider.answer = func(ctx context.Context, _ *topology.Job) provider.Response {
		retry.Sleep(ctx, time.Millisecond)
		return accepted
	}
	h := w.handler(t)
	var all sync.WaitGroup
	for partition := range 4 {
		var jobs []topology.Job
		for i := range 10 {
			jobs = append(jobs, aJob(fmt.Sprintf("event-%d-%d", partition, i)))
		}
		b := batchOf(jobs...)
		b.Partition = partition
		all.Go(func() { handleAll(t.Context(), t, h, b) })
	}
	all.Wait()
	w.provider.once(t, 40)
	if w.provider.top != w.provider.concurrency {
		t.Errorf("%d sends at once, want %d", w.provider.top, w.provider.concurrency)
	}
}

// TestTemplatesAway: what comes before the first unknown template is handled.
func TestTemplatesAway(t *testing.T) {
	w := newWorld(t)
	w.shelf.err = errors.New("no broker")
	h := w.handler(t)
	b := batchOf(aJob("a"), aJob("b"), aJob("c", withTemplate("late@1")), aJob("d"))
	result, err := h.Handle(t.Context(), b)
	if !errors.Is(err, w.shelf.err) || result.Handled != 2 {
		t.Fatalf("handled %d, %v", result.Handled, err)
	}
	b.Records = b.Records[2:]
	if result, err = h.Handle(t.Context(), b); err == nil || result.Handled != 0 {
		t.Fatalf("handled %d, %v", result.Handled, err)
	}
	w.shelf.err = nil
	handleAll(t.Context(), t, h, b)
	w.provider.once(t, 4)
	if w.shelf.caughtUp != 1 {
		t.Errorf("caught up %d times", w.shelf.caughtUp)
	}
}

// TestChannels: each channel's jobs go to its own provider, side by side, and
// the entries are in order.
func TestChannels(t *testing.T) {
	w := newWorld(t)
	texts := &fakeProvider{name: "texts", concurrency: 2}
	arrived := make(chan struct{}, 1)
	w.provider.answer = func(ctx context.Context, _ *topology.Job) provider.Response {
		select {
		case <-arrived:
			return accepted
		case <-ctx.Done():
			return failed
		}
	}
	texts.answer = func(context.Context, *topology.Job) provider.Response {
		arrived <- struct{}{}
		return accepted
	}
	h := w.handler(t, func(c *Config) { c.Providers[topology.SMS] = texts })
	entries := entriesOf(t, handleAll(t.Context(), t, h, batchOf(
		aJob("mail"), aJob("text", to(topology.SMS, "+46701234567"), withTemplate("code@1")),
	)))
	if entries[0].Provider != "fake" || entries[1].Provider != "texts" || entries[0].EventID != "mail" {
		t.Errorf("entries %+v", entries)
	}
}

// TestCrash: a provider that crashes takes only its own job with it.
func TestCrash(t *testing.T) {
	for _, instant := range []bool{false, true} {
		w := newWorld(t)
		w.provider.instant = instant
		w.provider.answer = func(_ context.Context, job *topology.Job) provider.Response {
			if job.EventID == "event-3" {
				panic("the provider's own words")
			}
			return accepted
		}
		var log bytes.Buffer
		h := w.handler(t, func(c *Config) { c.Log = zerolog.New(&log) })
		for i, entry := range entriesOf(t, handleAll(t.Context(), t, h, batchOf(manyJobs(6)...))) {
			want := topology.NoReason
			if i == 3 {
				want = topology.ReasonInternalError
			}
			if entry.Reason != want {
				t.Errorf("entry %d: %s %s", i, entry.Status, entry.Reason)
			}
		}
		if !strings.Contains(log.String(), "the provider's own words") {
			t.Errorf("the log does not have the cause: %s", log.String())
		}
	}
}

// crashing is a Gate with a defect.
type crashing struct{ on bool }

func (c *crashing) Find(context.Context, []suppress.Query) func() ([]suppress.Answer, error) {
	return func() ([]suppress.Answer, error) {
		if c.on {
			panic("the gate's own words")
		}
		return nil, nil
	}
}

func (c *crashing) Admit(context.Context, []suppress.Query) ([]suppress.Answer, error) {
	return nil, nil
}

// TestStageCrash: a crash of a stage reaches whoever called Handle, which makes
// it one record's; and it takes no room of a provider with it.
func TestStageCrash(t *testing.T) {
	for _, instant := range []bool{false, true} {
		w := newWorld(t)
		w.provider.instant = instant
		gate := &crashing{on: true}
		h := w.handler(t, func(c *Config) { c.Gate = gate })
		b := batchOf(aJob("event"))
		for range 2 * w.provider.Concurrency() {
			crash := func() (cause any) {
				defer func() { cause = recover() }()
				_, _ = h.Handle(t.Context(), b)
				return nil
			}()
			if !strings.Contains(fmt.Sprint(crash), "the gate's own words") {
				t.Fatalf("the caller saw %v", crash)
			}
		}
		gate.on = false
		if got := entriesOf(t, handleAll(t.Context(), t, h, b)); got[0].Status != topology.Sent {
			t.Errorf("afterwards it is %s %s", got[0].Status, got[0].Reason)
		}
	}
}

func TestBadConfig(t *testing.T) {
	w := newWorld(t)
	good := Config{Redis: w.client(t), Templates: w.shelf}
	for name, change := range map[string]func(*Config){
		"no Redis":      func(c *Config) { c.Redis = nil },
		"no templates":  func(c *Config) { c.Templates = nil },
		"a short lease": func(c *Config) { c.Lease = 10 * time.Second },
		"a claim that is gone before its late answer": func(c *Config) {
			c.Lease, c.KeepClaims = 50*time.Minute, time.Hour
		},
		"no tries": func(c *Config) { c.Tries = -1 },
	} {
		c := good
		change(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := New(good); err != nil {
		t.Error(err)
	}
}

var _ consumer.Handler = (*Handler)(nil)
