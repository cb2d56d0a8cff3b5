package failover

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

// tardy is a provider all of whose answers are late.
type tardy struct{ answers chan provider.Response }

func (t *tardy) Name() string     { return "tardy" }
func (t *tardy) Concurrency() int { return 2 }

func (t *tardy) Send(context.Context, *topology.Job, *template.Message) provider.Response {
	return provider.Response{Verdict: provider.Unknown, Late: t}
}

func (t *tardy) Wait(context.Context) provider.Response { return <-t.answers }

// TestLate: late answers hold up other messages only when there are many, and count when they come.
func TestLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := &tardy{make(chan provider.Response, 10)}, &slow{name: "two"}
		o := of(t, Backend{Provider: one, Breaker: Breaker{Failures: 100}}, Backend{Provider: two})
		var late []provider.Late
		for range 2 * (1 + mostLate) {
			got := within(o, time.Second, topology.Job{})
			if got.Verdict != provider.Unknown || got.Late == nil || got.Provider != "tardy" {
				t.Fatalf("%+v", got)
			}
			late = append(late, got.Late)
		}
		if got := within(o, time.Second, topology.Job{}); got.Verdict != provider.Accepted || got.Provider != "two" {
			t.Errorf("one too many: %+v", got)
		}
		if s := o.Stats()[0]; s.Open || s.Opened != 0 || s.Sends[provider.Unknown] != 0 {
			t.Errorf("%+v", s)
		}
		for i, l := range late {
			one.answers <- provider.Response{Verdict: provider.Accepted}
			if i == 9 {
				<-one.answers
				one.answers <- provider.Response{Verdict: provider.Unknown}
			}
			if got := l.Wait(t.Context()); got.Provider != "tardy" {
				t.Errorf("%+v", got)
			}
		}
		if s := o.Stats()[0]; s.Sends[provider.Accepted] != 9 || s.Sends[provider.Unknown] != 1 {
			t.Errorf("%+v", s)
		}
		if got := within(o, time.Second, topology.Job{}); got.Late == nil {
			t.Errorf("when there is room again: %+v", got)
		}
	})
}

// TestLateOpensTheCircuit: a provider that hangs with each message is asked no more after some, and after a while by
// one message at a time; one that is only slow now and then is asked on. What comes late in the end is told.
func TestLateOpensTheCircuit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := &tardy{make(chan provider.Response, 1)}, answering("two")
		var told []Turn
		o, err := New(Config{
			Name: "email", Backends: []Backend{{Provider: one, Breaker: Breaker{Failures: 3}}, {Provider: two}},
			Tell: func(_ string, what Turn, _ provider.Response) { told = append(told, what) },
		})
		if err != nil {
			t.Fatal(err)
		}
		var late []provider.Late
		ask := func(want ...bool) {
			t.Helper()
			for i, isLate := range want {
				got := within(o, time.Second, topology.Job{})
				if got.Late != nil {
					late = append(late, got.Late)
				}
				if (got.Late != nil) != isLate {
					t.Errorf("message %d: %+v", i, got)
				}
			}
		}
		ask(true, true, true, false, false)
		time.Sleep(15*time.Second + 1)
		ask(true, false)
		if s := o.Stats()[0]; !s.Open || s.Opened != 2 {
			t.Errorf("%+v", s)
		}
		for _, answer := range []provider.Verdict{provider.Accepted, provider.Rejected, provider.Failed, provider.Unknown} {
			one.answers <- provider.Response{Verdict: answer}
			late[0].Wait(t.Context())
			late = late[1:]
		}
		if want := []Turn{Opened, Opened, Failing}; !slices.Equal(told, want) {
			t.Errorf("told %v, not %v", told, want)
		}
	})
}
