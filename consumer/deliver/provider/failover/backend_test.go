package failover

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

// after is a Limiter that lets messages pass after a while.
type after time.Duration

func (a after) Pass(ctx context.Context) (func(), error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(time.Duration(a)):
		return func() {}, nil
	}
}

func (after) Waits() (int64, time.Duration) { return 0, 0 }

// slow is a provider that takes its time, and is cut short when ctx ends.
type slow struct {
	name       string
	takes      time.Duration
	now, top   atomic.Int64
	asked, cut atomic.Int64
}

func (s *slow) Name() string     { return s.name }
func (s *slow) Concurrency() int { return 4 }

func (s *slow) Send(ctx context.Context, _ *topology.Job, _ *template.Message) provider.Response {
	s.asked.Add(1)
	n := s.now.Add(1)
	defer s.now.Add(-1)
	for was := s.top.Load(); n > was && !s.top.CompareAndSwap(was, n); was = s.top.Load() {
	}
	if ctx.Err() != nil {
		s.cut.Add(1)
		return provider.Response{Verdict: provider.Down}
	}
	select {
	case <-ctx.Done():
		s.cut.Add(1)
		return provider.Response{Verdict: provider.Unknown}
	case <-time.After(s.takes):
		return provider.Response{Verdict: provider.Accepted}
	}
}

func within(o *Route, d time.Duration, job topology.Job) provider.Response {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return o.Send(ctx, &job, &template.Message{})
}

func of(t testing.TB, members ...Backend) *Route {
	t.Helper()
	o, err := New(Config{Name: "email", Backends: members})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// TestWaitLeavesTime: a message that waited for a limit has time left to be sent,
// by the next provider too; none is asked when there is none left.
func TestWaitLeavesTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := &slow{name: "one", takes: time.Second / 5}, &slow{name: "two", takes: time.Second / 5}
		if got := within(of(t, Backend{Provider: one, Limiter: after(time.Hour)}, Backend{Provider: two}), time.Second,
			topology.Job{}); got.Verdict != provider.Accepted || got.Provider != "two" {
			t.Errorf("with another: %+v", got)
		}
		if got := within(of(t, Backend{Provider: one, Limiter: after(900 * time.Millisecond)}), time.Second,
			topology.Job{}); got.Verdict != provider.Throttled {
			t.Errorf("with little time left: %+v", got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		o := of(t, Backend{Provider: one, Limiter: after(time.Hour)}, Backend{Provider: two})
		if got := o.Send(ctx, &topology.Job{}, &template.Message{}); got.Verdict != provider.Throttled {
			t.Errorf("without time: %+v", got)
		}
		if one.asked.Load() != 0 || two.asked.Load() != 1 || one.cut.Load()+two.cut.Load() != 0 {
			t.Errorf("asked %d and %d times, cut short %d and %d", one.asked.Load(), two.asked.Load(), one.cut.Load(),
				two.cut.Load())
		}
	})
}

// TestWaitUntilExpiry: no message waits for longer than it is valid, or is sent
// later.
func TestWaitUntilExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := &slow{name: "one"}
		o := of(t, Backend{Provider: one, Limiter: after(time.Hour)})
		began := time.Now()
		if got := within(o, time.Hour,
			topology.Job{Expires: began.Add(50 * time.Millisecond)}); got.Verdict != provider.Throttled ||
			time.Since(began) > time.Second {
			t.Errorf("after %v: %+v", time.Since(began), got)
		}
		if got := within(of(t, Backend{Provider: one}), time.Hour,
			topology.Job{Expires: time.Now().Add(-time.Second)}); got.Verdict != provider.Expired || one.asked.Load() != 0 {
			t.Errorf("expired: %+v", got)
		}
	})
}

// TestThrottledIsNoTry: that the circuit of the other provider is open makes no attempt of
// a message that was throttled.
func TestThrottledIsNoTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := answering("down", provider.Down)
		o := of(t, Backend{Provider: down, Breaker: Breaker{Failures: 1}},
			Backend{Provider: &slow{name: "full"}, Limiter: after(time.Hour)})
		for i, want := range []provider.Verdict{provider.Down, provider.Throttled} {
			if got := within(o, 40*time.Millisecond, topology.Job{}); got.Verdict != want {
				t.Errorf("message %d: %+v, want verdict %d", i, got, want)
			}
		}
	})
}

// TestThrottledTellsNothing: that a message was not tried neither closes a circuit nor ends a row of failures.
func TestThrottledTellsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const down, throttled = provider.Down, provider.Throttled
		one := answering("one", down, throttled, down, throttled, throttled, down)
		var told []Turn
		o := route(t, func(c *Config) {
			c.Backends[0].Breaker = Breaker{Failures: 2, Open: time.Minute}
			c.Tell = func(_ string, what Turn, _ provider.Response) { told = append(told, what) }
		}, one)
		for i, want := range []provider.Verdict{down, throttled, down, throttled, throttled, down} {
			if i == 3 {
				time.Sleep(time.Minute + 1)
			}
			if got := send(o, "job"); got.Verdict != want {
				t.Errorf("message %d: %+v, want %v", i, got, want)
			}
			if since := time.Unix(0, o.backends[0].since.Load()); time.Since(since) > time.Hour {
				t.Errorf("after message %d it does not fail any more", i)
			}
		}
		if want := []Turn{Failing, Opened, Failing, Opened}; !slices.Equal(told, want) || !o.Stats()[0].Open {
			t.Errorf("told %v, not %v", told, want)
		}
	})
}

// TestConcurrency: no provider has more at once than it says, whatever the
// others let pass.
func TestConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := &slow{name: "one", takes: 20 * time.Millisecond}, &slow{name: "two"}
		o := of(t, Backend{Provider: one}, Backend{Provider: two})
		var all sync.WaitGroup
		for range 3 * o.Concurrency() {
			all.Go(func() {
				if got := o.Send(context.Background(), &topology.Job{}, &template.Message{}); got.Verdict != provider.Accepted {
					t.Errorf("%+v", got)
				}
			})
		}
		all.Wait()
		if one.top.Load() > 4 {
			t.Errorf("%d at once", one.top.Load())
		}
	})
}

// prompt is a provider that answers at once.
type prompt struct{ *fake }

func (prompt) Instant(*topology.Job) bool { return true }

func TestInstant(t *testing.T) {
	at, later := prompt{answering("one")}, answering("two")
	for _, c := range []struct {
		o    *Route
		want bool
	}{
		{of(t, Backend{Provider: at}), true},
		{of(t, Backend{Provider: at}, Backend{Provider: later}), false},
		{of(t, Backend{Provider: at, Limiter: after(0)}), false},
	} {
		if got := c.o.Instant(&topology.Job{}); got != c.want {
			t.Errorf("%v: %t", c.o.Names(), got)
		}
	}
	var _ provider.Instant = (*Route)(nil)
}
