package delay_test

import (
	"errors"
	"testing"
	"time"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/consumer/control"
	"github.com/meddela/meddela/consumer/delay"
	"github.com/meddela/meddela/topology"
)

func order(action topology.ControlAction, subject topology.Subject, until time.Time) topology.ControlRecord {
	return topology.ControlRecord{Subject: subject, Action: action, By: "kim", At: start, Until: until}
}

// paused is a job that deliver made wait at start, under orders.
func paused(orders *control.Orders, expires time.Time, providers ...string) topology.Record {
	job := topology.Job{
		JobID: "j-1", EventID: "e-1", Lane: topology.Realtime, Attempt: 2, Template: "order@1", Type: "order",
		Channel: topology.Email, To: "kim@example.com", Expires: expires, Event: []byte(`{}`),
	}
	r := names.Pausing(topology.Realtime, topology.Record{
		Key: []byte("e-1"), Value: job.Append(nil), Headers: topology.JobHeaders(nil, job.Channel),
	}, orders.Mark(start), providers)
	r.Time = start
	return r
}

// TestPaused follows a paused job: as long as the orders are the same it is held
// without being moved; when they change, it is let go or put back in line.
func TestPaused(t *testing.T) {
	email, sms := topology.SubjectOf(topology.SubjectChannel, "email"), topology.SubjectOf(topology.SubjectChannel, "sms")
	first, second := topology.SubjectOf(topology.SubjectProvider, "first"),
		topology.SubjectOf(topology.SubjectProvider, "second")
	pause := func(subjects ...topology.Subject) *control.Orders {
		var all []topology.ControlRecord
		for _, s := range subjects {
			all = append(all, order(topology.Pause, s, time.Time{}))
		}
		return control.Of(all...)
	}
	soon := start.Add(time.Second)
	const held, home, back, later = "held", "home", "back in line", "home in two seconds"
	for name, test := range map[string]struct {
		then, now *control.Orders
		at        time.Duration
		expires   time.Time
		providers []string
		want      string
	}{
		"nothing changed": {pause(email), pause(email), time.Minute, time.Time{}, nil, held},
		"resumed": {pause(email), control.Of(order(topology.Resume, email, time.Time{})), time.Second,
			time.Time{}, nil, home},
		"resumed for us alone, it may be": {pause(email), pause(sms), time.Second - 1, time.Time{}, nil, later},
		"until a time that is over here alone": {control.Of(order(topology.Pause, email, soon)),
			control.Of(order(topology.Pause, email, start)), time.Millisecond, time.Time{}, nil, later},
		"another order came":  {pause(email), pause(email, sms), time.Second, time.Time{}, nil, back},
		"another order ended": {pause(email, sms), pause(email), time.Second, time.Time{}, nil, back},
		"killed": {pause(email), control.Of(order(topology.Kill, email, time.Time{})), time.Second,
			time.Time{}, nil, home},
		"until a time that is not yet": {control.Of(order(topology.Pause, email, soon)),
			control.Of(order(topology.Pause, email, soon)), time.Second - 1, time.Time{}, nil, held},
		"until a time that is over": {control.Of(order(topology.Pause, email, soon)),
			control.Of(order(topology.Pause, email, soon)), time.Second, time.Time{}, nil, home},
		"not looked at hourly":      {pause(email), pause(email), 6*time.Hour - 1, soon, nil, held},
		"looked at after six hours": {pause(email), pause(email), 6 * time.Hour, time.Time{}, nil, back},
		"expired, after six hours":  {pause(email), pause(email), 6 * time.Hour, soon, nil, home},
		"all of its providers are paused": {pause(first, second), pause(first, second, sms), time.Second, time.Time{},
			[]string{"first", "second"}, back},
		"one of its providers is not": {pause(first, second), pause(first), time.Second, time.Time{},
			[]string{"first", "second"}, home},
	} {
		t.Run(name, func(t *testing.T) {
			now := start.Add(test.at)
			h := delay.Handler{
				Lane: topology.Realtime, Names: names,
				Orders: func() *control.Orders { return test.now }, Now: func() time.Time { return now },
			}
			r := paused(test.then, test.expires, test.providers...)
			result, err := h.Handle(t.Context(), consumer.Batch{Topic: r.Topic, Records: []topology.Record{r}})
			var early consumer.NotYet
			got := home
			switch {
			case errors.As(err, &early) && result.Handled == 0:
				got = held
				if wait := early.Until.Sub(now); wait <= 0 || wait > 500*time.Millisecond {
					t.Errorf("held for %v", wait)
				}
			case err != nil || result.Handled != 1 || len(result.Out) != 1:
				t.Fatalf("%d handled, %d outputs, %v", result.Handled, len(result.Out), err)
			case result.Out[0].Topic == r.Topic:
				got = back
				mark, _ := result.Out[0].Header(topology.HeaderOrders)
				if string(mark) != test.now.Mark(now) || len(result.Out[0].Headers) != len(r.Headers) {
					t.Errorf("put back with %q", result.Out[0].Headers)
				}
			case result.Out[0].Topic == names.Delay(topology.Realtime, topology.TierFor(2*time.Second)):
				got = later
				due, _ := result.Out[0].Header(topology.HeaderDue)
				at, err := time.Parse(topology.TimeFormat, string(due))
				if wait := at.Sub(now); err != nil || wait < 2*time.Second || wait > 2001*time.Millisecond {
					t.Errorf("due %s, in %v", due, wait)
				}
			case result.Out[0].Topic != names.Jobs(topology.Realtime) || len(result.Out[0].Headers) != 2 ||
				topology.HeldUntil(&result.Out[0]) != now:
				t.Errorf("let go to %s with %q", result.Out[0].Topic, result.Out[0].Headers)
			}
			if got != test.want {
				t.Errorf("it is %s, want %s", got, test.want)
			}
			if len(result.Out) > 0 && string(result.Out[0].Value) != string(r.Value) {
				t.Error("the job has changed")
			}
		})
	}
}
