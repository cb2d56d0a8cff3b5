package delay_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/consumer/control"
	"github.com/meddela/meddela/consumer/delay"
	"github.com/meddela/meddela/topology"
)

var (
	names = topology.Topics{Prefix: topology.DefaultPrefix}
	start = time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC)
)

// waiting is a job that match put on a delay topic at start, due after d.
func waiting(d time.Duration) topology.Record {
	job := topology.Record{
		Topic: names.Jobs(topology.Realtime), Key: []byte("e-1"), Value: []byte("{}"),
		Headers: []topology.Header{{Key: "traceparent", Value: []byte("00-aa-bb-01")}},
	}
	r := names.Delayed(topology.Realtime, job, start.Add(d), start)
	r.Time = start
	return r
}

func handle(t *testing.T, r topology.Record, now time.Time) (consumer.Result, error) {
	t.Helper()
	h := delay.Handler{Lane: topology.Realtime, Names: names, Now: func() time.Time { return now }}
	return h.Handle(context.Background(), consumer.Batch{Topic: r.Topic, Records: []topology.Record{r}})
}

// TestJourney follows records from tier to tier: each step is taken at the
// first moment that the handler allows, and none is allowed before its time.
func TestJourney(t *testing.T) {
	for _, wait := range []time.Duration{
		0, time.Millisecond, 9 * time.Second, 10 * time.Second, 11 * time.Second, 59 * time.Second,
		61 * time.Second, 25 * time.Minute, 7 * time.Hour, 100 * time.Hour,
	} {
		r, now, hops := waiting(wait), start, 0
		for r.Topic != names.Jobs(topology.Realtime) {
			if hops++; hops > 50 {
				t.Fatalf("%v: still on its way after %d hops", wait, hops)
			}
			result, err := handle(t, r, now)
			var early consumer.NotYet
			if errors.As(err, &early) {
				if len(result.Out) > 0 || !early.Until.After(now) {
					t.Fatalf("%v: told to wait until %v at %v with %d outputs", wait, early.Until, now, len(result.Out))
				}
				now = early.Until
				if result, err = handle(t, r, now); err != nil {
					t.Fatalf("%v: at the promised time: %v", wait, err)
				}
			}
			if result.Handled != 1 || len(result.Out) != 1 {
				t.Fatalf("%v: %d handled, %d outputs", wait, result.Handled, len(result.Out))
			}
			r = result.Out[0]
			r.Time = now
		}
		if now.Sub(start) != wait {
			t.Errorf("due after %v, came home after %v", wait, now.Sub(start))
		}
		if len(r.Headers) != 2 || r.Headers[0].Key != "traceparent" || topology.HeldUntil(&r).IsZero() {
			t.Errorf("%v: came home with headers %v, want the record's own, and until when it was held", wait, r.Headers)
		}
	}
}

func TestWhatIsDueGoesAheadOfWhatIsNot(t *testing.T) {
	due, early := waiting(10*time.Second), waiting(12*time.Second)
	early.Time = start.Add(time.Second)
	h := delay.Handler{Lane: topology.Realtime, Names: names, Now: func() time.Time { return start.Add(10 * time.Second) }}
	result, err := h.Handle(context.Background(), consumer.Batch{
		Topic: due.Topic, Records: []topology.Record{due, early},
	})
	var notYet consumer.NotYet
	if !errors.As(err, &notYet) || result.Handled != 1 || len(result.Out) != 1 {
		t.Fatalf("got %d handled, %v; want the first handled and to wait for the second", result.Handled, err)
	}
	if !notYet.Until.Equal(start.Add(11 * time.Second)) {
		t.Errorf("told to wait until %v", notYet.Until)
	}
}

func TestRecordsThatSayNotWhenOrWhere(t *testing.T) {
	good := waiting(time.Second)
	for name, headers := range map[string][]topology.Header{
		"no headers":          nil,
		"no target":           {good.Headers[1]},
		"no due":              {good.Headers[2]},
		"bad due":             {{Key: topology.HeaderDue, Value: []byte("soon")}, good.Headers[2]},
		"another lane":        {good.Headers[1], {Key: topology.HeaderTarget, Value: []byte("meddela.batch.jobs")}},
		"no topic of meddela": {good.Headers[1], {Key: topology.HeaderTarget, Value: []byte("payments")}},
	} {
		bad := good
		bad.Headers = headers
		result, err := handle(t, bad, start)
		if err != nil || result.Handled != 1 || len(result.Out) != 1 ||
			result.Out[0].Topic != names.DeadLetters(topology.Realtime) {
			t.Errorf("%s: got %+v, %v; want one dead letter", name, result, err)
		}
	}
}

// FuzzHandle: whatever a record that waits has, it stays for no longer than its tier, or goes to one place: home, to
// another tier, or to the dead letters.
func FuzzHandle(f *testing.F) {
	good := waiting(time.Hour)
	f.Add(good.Headers[1].Value, good.Headers[2].Value, []byte("a,b"), good.Value, false)
	f.Add([]byte("9999-12-31T23:59:59.999Z"), []byte("payments"), []byte(","), []byte("\xff"), true)
	f.Fuzz(func(t *testing.T, due, target, providers, value []byte, isPaused bool) {
		r := topology.Record{Topic: good.Topic, Value: value, Time: start, Headers: []topology.Header{
			{Key: topology.HeaderDue, Value: due}, {Key: topology.HeaderTarget, Value: target},
			{Key: topology.HeaderOrders, Value: due}, {Key: topology.HeaderPausedProviders, Value: providers},
		}}
		if isPaused {
			r.Topic = names.Paused(topology.Realtime)
		}
		h := delay.Handler{
			Lane: topology.Realtime, Names: names, Now: func() time.Time { return start.Add(time.Hour) },
			Orders: func() *control.Orders { return new(control.Orders) },
		}
		result, err := h.Handle(t.Context(), consumer.Batch{Topic: r.Topic, Records: []topology.Record{r}})
		lane, ofLane := topology.Realtime, false
		for _, out := range result.Out {
			lane, ofLane = names.LaneOf(out.Topic)
		}
		if err != nil || result.Handled != 1 || len(result.Out) != 1 || lane != topology.Realtime || !ofLane {
			t.Fatalf("%+v, %v", result, err)
		}
	})
}
