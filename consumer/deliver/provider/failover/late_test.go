package failover

import (
	"context"
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

// TestLate: late answers hold up other messages only when there are many, count when they come, and open no circuit.
func TestLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := &tardy{make(chan provider.Response, 10)}, &slow{name: "two"}
		o := of(t, Backend{Provider: one}, Backend{Provider: two})
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
