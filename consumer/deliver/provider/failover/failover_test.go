package failover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake answers as it is told, the last answer for ever.
type fake struct {
	name string

	mu      sync.Mutex
	answers []provider.Response
	asked   int
}

func (f *fake) Name() string     { return f.name }
func (f *fake) Concurrency() int { return 4 }

func (f *fake) Send(context.Context, *topology.Job, *template.Message) provider.Response {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	if len(f.answers) == 0 {
		return provider.Response{Verdict: provider.Accepted}
	}
	return f.answers[min(f.asked, len(f.answers))-1]
}

func answering(name string, verdicts ...provider.Verdict) *fake {
	f := &fake{name: name}
	for _, v := range verdicts {
		f.answers = append(f.answers, provider.Response{Verdict: v})
	}
	return f
}

func route(t testing.TB, change func(*Config), providers ...*fake) *Route {
	t.Helper()
	c := Config{Name: "email"}
	for _, p := range providers {
		c.Backends = append(c.Backends, Backend{Provider: p, Weight: 1})
	}
	if change != nil {
		change(&c)
	}
	o, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func send(o *Route, id string) provider.Response {
	return o.Send(context.Background(), &topology.Job{JobID: topology.JobID(id)}, &template.Message{})
}

// TestFailover: the next is asked where a message was definitely not accepted,
// and only there.
func TestFailover(t *testing.T) {
	for first, goesOn := range map[provider.Verdict]bool{
		provider.Accepted: false, provider.Skipped: false, provider.Rejected: false, provider.Expired: false,
		provider.Unknown: false,
		provider.Failed:  true, provider.Down: true, provider.Throttled: true,
	} {
		for second := provider.Failed; second <= provider.Throttled; second++ {
			one, two := answering("one", first), answering("two", second)
			got := send(route(t, nil, one, two), "job")
			want := provider.Response{Verdict: first, Provider: "one"}
			if goesOn {
				want = provider.Response{Verdict: second, Provider: "two"}
			}
			if want.Verdict == provider.Throttled {
				want = provider.Response{Verdict: provider.Throttled}
				if first != provider.Throttled {
					want = provider.Response{Verdict: first, Provider: "one"}
				}
			}
			if got != want {
				t.Errorf("%d, then %d: %+v, want %+v", first, second, got, want)
			}
			if (two.asked == 1) != goesOn {
				t.Errorf("%d: the second was asked %d times", first, two.asked)
			}
		}
	}
}

// TestBreaker: a provider that fails several times in a row is not asked, and
// tried again after a while; refusals are no failures.
func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := answering("one", provider.Rejected, provider.Down), answering("two")
		one.answers[1].Detail = "why"
		var told []string
		o := route(t, func(c *Config) {
			c.Backends[0].Breaker = Breaker{Failures: 3, Open: 100 * time.Millisecond}
			c.Tell = func(name string, what Turn, last provider.Response) {
				told = append(told, fmt.Sprintf("%s %s: %s", name, what, last.Detail))
			}
		}, one, two)
		for range 10 {
			send(o, "job")
		}
		if one.asked != 4 || two.asked != 9 {
			t.Errorf("asked %d and %d times, want 4 and 9", one.asked, two.asked)
		}
		if s := o.Stats()[0]; !s.Open || s.Opened != 1 || s.Sends[provider.Down] != 3 || s.Sends[provider.Rejected] != 1 {
			t.Errorf("stats %+v", s)
		}
		time.Sleep(150 * time.Millisecond)
		one.mu.Lock()
		one.answers = nil
		one.mu.Unlock()
		if got := send(o, "job"); got.Provider != "one" || got.Verdict != provider.Accepted {
			t.Errorf("after a while: %+v", got)
		}
		if o.Stats()[0].Open {
			t.Error("its circuit is still open")
		}
		fail := func() {
			one.mu.Lock()
			one.answers = []provider.Response{{Verdict: provider.Failed, Detail: "again"}}
			one.mu.Unlock()
			send(o, "job")
		}
		fail() // soon after, which is no news
		time.Sleep(calm + 1)
		fail()
		want := "one failing: why, one circuit open: why, one circuit closed: why, one failing: again"
		if got := strings.Join(told, ", "); got != want {
			t.Errorf("told %q, not %q", got, want)
		}
	})
}

// TestTroubles: a provider is in trouble from its first failure until an answer that is none, and its circuit is said
// to be open until then; one that is not asked is forgotten.
func TestTroubles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := answering("one")
		o := route(t, func(c *Config) { c.Backends[0].Breaker = Breaker{Failures: 2, Open: time.Minute} }, one,
			answering("two"))
		began := time.Now()
		troubles := func() (all []topology.Trouble) {
			found := make(map[string]any)
			o.troubles(topology.Batch, topology.Email, found)
			for _, text := range found {
				var t topology.Trouble
				_ = json.Unmarshal(text.([]byte), &t)
				all = append(all, t)
			}
			return all
		}
		ask := func(wait time.Duration, answer provider.Response) {
			time.Sleep(wait)
			one.mu.Lock()
			one.answers = []provider.Response{answer}
			one.mu.Unlock()
			send(o, "job")
		}
		down := provider.Response{Verdict: provider.Down, Detail: "421"}
		for i, step := range []struct {
			wait         time.Duration
			answer       provider.Response
			is           string
			since, until time.Duration
		}{
			{0, provider.Response{Verdict: provider.Accepted}, "", 0, 0},
			{time.Second, down, "fails 421", time.Second, 0},
			{time.Second, provider.Response{Verdict: provider.Rejected}, "", 0, 0},
			{time.Second, down, "fails 421", 3 * time.Second, 0},
			{time.Second, down, "open 421", 3 * time.Second, 64 * time.Second},
			{2 * time.Minute, provider.Response{Verdict: provider.Unknown, Detail: "none"}, "open none", 3 * time.Second,
				184 * time.Second},
			{2 * time.Minute, provider.Response{Verdict: provider.Failed, OfMessage: true}, "", 0, 0},
		} {
			ask(step.wait, step.answer)
			got, since, until := "", time.Duration(0), time.Duration(0)
			for _, trouble := range troubles() {
				got, since = "fails "+trouble.Answer, trouble.Since.Sub(began)
				if trouble.Open {
					got, until = "open "+trouble.Answer, trouble.Until.Sub(began)
				}
				if trouble.Channel != topology.Email || trouble.Provider != "one" || !trouble.At.Equal(time.Now()) {
					t.Errorf("step %d: %+v", i, trouble)
				}
			}
			if got != step.is || since != step.since || until != step.until {
				t.Errorf("step %d: %q since %v until %v", i, got, since, until)
			}
		}
		ask(0, down)
		if time.Sleep(time.Hour + 1); len(troubles()) != 0 {
			t.Errorf("an hour later: %+v", troubles())
		}
	})
}

// TestOneMessagesFault: what failed for a message's own sake opens no circuit, and shows that the provider is there.
func TestOneMessagesFault(t *testing.T) {
	for _, verdict := range []provider.Verdict{provider.Failed, provider.Down, provider.Unknown} {
		alone, all := provider.Response{Verdict: verdict, OfMessage: true}, provider.Response{Verdict: verdict}
		one := &fake{name: "one", answers: []provider.Response{alone, alone, alone, all, alone, all, all}}
		o := route(t, func(c *Config) { c.Backends[0].Breaker.Failures = 2 }, one)
		for i, open := range []bool{false, false, false, false, false, false, true} {
			if send(o, "job"); o.Stats()[0].Open != open {
				t.Errorf("%v: after answer %d the circuit is open: %t", verdict, i+1, !open)
			}
		}
	}
}

// TestAllOpen: it is said when to come back, as soon as any of them may be
// asked.
func TestAllOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := route(t, func(c *Config) {
			c.Backends[0].Breaker = Breaker{Failures: 1, Open: time.Hour}
			c.Backends[1].Breaker = Breaker{Failures: 1, Open: time.Minute}
		}, answering("one", provider.Down), answering("two", provider.Unknown))
		if got := send(o, "job"); got.Verdict != provider.Unknown {
			t.Fatalf("first %+v", got)
		}
		got := send(o, "job")
		if got.Verdict != provider.Down || got.RetryAfter > time.Minute || got.RetryAfter < 50*time.Second ||
			!strings.Contains(got.Detail, "circuit is open: it has failed") {
			t.Errorf("then %+v", got)
		}
	})
}

// TestStopped: what an operator has stopped is passed over.
func TestStopped(t *testing.T) {
	one, two := answering("one"), answering("two")
	stopped := map[string]bool{"one": true}
	o := route(t, func(c *Config) { c.Stopped = func(name string) bool { return stopped[name] } }, one, two)
	if got := send(o, "job"); got.Provider != "two" {
		t.Errorf("%+v", got)
	}
	stopped["two"] = true
	if got := send(o, "job"); got.Verdict != provider.Down || !strings.Contains(got.Detail, "operator") {
		t.Errorf("all stopped: %+v", got)
	}
	if one.asked != 0 || two.asked != 1 {
		t.Errorf("asked %d and %d times", one.asked, two.asked)
	}
}

// TestWeights: messages are spread by weight, and each goes to the same provider
// again.
func TestWeights(t *testing.T) {
	one, two, three := answering("one"), answering("two"), answering("three")
	o := route(t, func(c *Config) {
		c.Order = Weighted
		c.Backends[0].Weight, c.Backends[1].Weight, c.Backends[2].Weight = 7, 2, 1
	}, one, two, three)
	const n = 10_000
	for i := range n {
		id := string(topology.JobIDOf(topology.EventID(fmt.Sprintf("event-%d", i)), 0))
		if first, again := send(o, id), send(o, id); first.Provider != again.Provider {
			t.Fatalf("%s went to %s, then to %s", id, first.Provider, again.Provider)
		}
	}
	for i, f := range []*fake{one, two, three} {
		want := 2 * n * []int{7, 2, 1}[i] / 10
		if off := f.asked - want; off > want/10+100 || off < -want/10-100 {
			t.Errorf("%s was asked %d times, want about %d", f.name, f.asked, want)
		}
	}
}

// full is a Limiter that lets nothing pass.
type full struct{}

func (full) Pass(ctx context.Context) (func(), error) { return nil, errors.New("full") }
func (full) Waits() (int64, time.Duration)            { return 0, 0 }

// TestLimits: to be throttled is no failure, and another may not be.
func TestLimits(t *testing.T) {
	one, two := answering("one"), answering("two")
	o := route(t, func(c *Config) { c.Backends[0].Limiter = full{} }, one, two)
	if got := send(o, "job"); got.Provider != "two" || one.asked != 0 {
		t.Errorf("%+v", got)
	}
	alone := route(t, func(c *Config) { c.Backends[0].Limiter = full{} }, one)
	for range 20 {
		if got := send(alone, "job"); got.Verdict != provider.Throttled {
			t.Fatalf("alone: %+v", got)
		}
	}
	if alone.Stats()[0].Open {
		t.Error("being throttled counts as failing")
	}
}

func TestBadConfig(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("no providers are taken")
	}
	if _, err := New(Config{Order: Weighted, Backends: []Backend{{Provider: answering("one")}}}); err == nil {
		t.Error("no weight is taken")
	}
	o := route(t, nil, answering("one"), answering("two"))
	if o.Concurrency() != 8 || o.Name() != "email" || strings.Join(o.Names(), " ") != "one two" {
		t.Errorf("%d %s %v", o.Concurrency(), o.Name(), o.Names())
	}
}

// BenchmarkSend is what the way through a Route costs.
func BenchmarkSend(b *testing.B) {
	o := route(b, nil, answering("one"))
	job, text := &topology.Job{JobID: "job"}, &template.Message{}
	for b.Loop() {
		o.Send(context.Background(), job, text)
	}
}
