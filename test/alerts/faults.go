package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/meddela/meddela/test/script"
	"github.com/meddela/meddela/topology/retry"
)

// fault is something that goes wrong, and the alert that is to tell of it.
type fault struct {
	name, alert string
	// within is the alert's own time, and what it takes for the fault to be measured.
	within time.Duration
	cause  func(*stand)
	mend   func(*stand)
	// indicators are those of the real-time lane that must not move.
	indicators bool
	// too is what fires rightly beside it.
	too string
}

func nothing(*stand) {}

// A stopped process is seen at the next measurement, a killed one when its session has ended; rates take a few scrapes
// to rise.
const measured = 45 * time.Second

func faults() []fault {
	var endCalls context.CancelFunc
	return []fault{
		// Far more text messages than their providers' limit lets through.
		{"flood on the batch lane", "MeddelaBatchBehind", 3*time.Minute + measured,
			func(s *stand) { s.produce("batch", 12_000, codeEvent) }, nothing, true, ""},
		{"role stopped", "MeddelaRoleDown", time.Minute + measured,
			func(s *stand) { s.end("realtime-match") }, func(s *stand) { s.startRole("realtime-match") }, false, ""},
		{"Redis stopped", "MeddelaRedisAway", time.Minute + measured,
			server("kill", "redis"), server("start", "redis"), false, ""},
		{"broker lost", "MeddelaKafkaDegraded", time.Minute + measured,
			server("kill", "kafka-3"), server("start", "kafka-3"), false, ""},
		{"every provider down", "MeddelaProviderDown", time.Minute + measured,
			func(s *stand) { s.failing[0].Store(true); s.failing[1].Store(true) },
			func(s *stand) { s.failing[0].Store(false); s.failing[1].Store(false) }, false, ""},
		{"one provider failing", "MeddelaProviderFailing", 2*time.Minute + measured,
			func(s *stand) { s.failing[0].Store(true) }, func(s *stand) { s.failing[0].Store(false) }, false, ""},
		{"poison burst", "MeddelaDeadLetters", time.Minute + measured,
			func(s *stand) { s.produce("realtime", 500, poison) }, nothing, false, ""},
		{"retired template still called", "MeddelaEventsNotCovered", time.Minute + measured,
			func(s *stand) {
				s.call("templates", "retire", "password_reset")
				var calling context.Context
				calling, endCalls = context.WithCancel(s.ctx)
				s.publish(calling, "realtime", 5, resetEvent)
			},
			func(s *stand) { endCalls(); s.call("templates", "publish", "cmd/meddela/samples/templates") }, false, ""},
		{"topic deleted", "MeddelaPublishingFails", 3*time.Minute + measured,
			func(s *stand) { s.deleteTopic("batch.delivery-log") }, func(s *stand) { s.call("topics", "apply") }, false,
			"MeddelaBatchBehind"},
	}
}

func resetEvent(i int) string {
	return fmt.Sprintf(`{"type":"password_reset","email":"kim%d@mail.example",`+
		`"ctx":{"firstName":"Kim","link":"https://example.com/r","validMinutes":30}}`, i)
}

// poison is no event.
func poison(i int) string { return fmt.Sprintf(`{"type": "order_%d", "email": `, i) }

func server(action, name string) func(*stand) {
	return func(*stand) { script.Run(exec.Command("test/servers/"+action, name)) }
}

func (s *stand) produce(lane string, n int, event func(int) string) {
	records := make([]*kgo.Record, n)
	for i := range records {
		records[i] = &kgo.Record{Topic: s.prefix + lane + ".events", Value: []byte(event(i))}
	}
	script.Check(s.kafka.ProduceSync(s.ctx, records...).FirstErr())
}

func (s *stand) deleteTopic(name string) {
	script.Must(kadm.NewClient(s.kafka).DeleteTopic(s.ctx, s.prefix+name))
}

const (
	settleTime = 60 * time.Second // in which nothing may fire before a fault
	lookTime   = 2 * time.Second
	// lingerTime is how long the fault is left as it is after its alert has fired, for other alerts to fire that should
	// not.
	lingerTime = 45 * time.Second
)

// try causes a fault, and prints which alerts fire, and when. Those that are still firing because of the fault before
// are not looked at. Its error is of an alert that does not fire, and of others that do.
func (s *stand) try(f fault) (err error) {
	s.settle()
	before, leftovers, began := s.indicatorsNow(), s.firing(), time.Now()
	var fired time.Duration // after the fault; 0 for not at all
	var others []string
	f.cause(s)
	for end := began.Add(f.within); time.Now().Before(end); s.wait(lookTime) {
		for _, alert := range s.firing() {
			switch {
			case alert == f.alert && fired == 0:
				fired = time.Since(began)
				end = time.Now().Add(lingerTime)
			case alert != f.alert && alert != f.too && !slices.Contains(leftovers, alert) && !slices.Contains(others, alert):
				others = append(others, alert)
			}
		}
	}
	during := s.indicatorsNow()
	f.mend(s)
	when, also := "did not fire", "no other"
	if fired > 0 {
		when = fmt.Sprintf("fired after %3.0f s (at most %3.0f)", fired.Seconds(), f.within.Seconds())
	}
	if fired == 0 || fired > f.within {
		err = fmt.Errorf("%s: %s did not fire in %v", f.name, f.alert, f.within)
	}
	if len(others) > 0 {
		names := strings.Join(others, ", ")
		also, err = "ALSO "+names, errors.Join(err, fmt.Errorf("%s: %s fired too", f.name, names))
	}
	fmt.Printf("%-30s  %-24s  %s; %s\n", f.name, f.alert, when, also)
	if f.indicators {
		for _, name := range indicators {
			fmt.Printf("    real-time %-34s before %8.3f   during %8.3f\n", name, before[name], during[name])
		}
	}
	return err
}

// settle waits until all roles are at work and no cause fires that a mended fault could still be behind.
func (s *stand) settle() {
	quietSince := time.Now()
	for end := time.Now().Add(10 * time.Minute); time.Now().Before(end); s.wait(lookTime) {
		if len(s.firing()) > 0 {
			quietSince = time.Now()
		}
		if time.Since(quietSince) > settleTime {
			return
		}
	}
	script.Check(fmt.Errorf("before the fault, %s fire", strings.Join(s.firing(), ", ")))
}

func (s *stand) firing() (names []string) {
	const query = `ALERTS{alertstate="firing"}`
	alerts, err := s.query(query)
	for end := time.Now().Add(20 * time.Second); err != nil && time.Now().Before(end); alerts, err = s.query(query) {
		s.wait(time.Second)
	}
	script.Check(err)
	for _, a := range alerts {
		name := a.Metric["alertname"]
		if indicator := a.Metric["indicator"]; indicator != "" {
			name += "/" + indicator
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

var indicators = []string{
	"meddela:waiting:records", "meddela:error_ratio:rate5m", "meddela:queue_seconds:mean5m",
	"meddela:attempt_seconds:mean5m", "meddela:processing_seconds:mean5m", "meddela:processing_seconds:p99_5m",
}

// indicatorsNow are those of the real-time lane.
func (s *stand) indicatorsNow() map[string]float64 {
	now := make(map[string]float64)
	for _, name := range indicators {
		if answer, err := s.query(name + `{lane="realtime"}`); err == nil && len(answer) == 1 {
			text, _ := answer[0].Value[1].(string)
			now[name], _ = strconv.ParseFloat(text, 64)
		}
	}
	return now
}

func (s *stand) wait(d time.Duration) {
	retry.Sleep(s.ctx, d)
	script.Check(s.ctx.Err())
}
