package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// fault is something that goes wrong, and the alert that is to tell of it.
type fault struct {
	name, alert string
	// within is the alert's own time, and what it takes for the fault to be
	// measured.
	within time.Duration
	cause  func(*stand) error
	mend   func(*stand) error
	// indicators are those of the real-time lane that must not move.
	indicators bool
}

func nothing(*stand) error { return nil }

// A stopped process is seen at the next measurement, a killed one when its
// session has ended; rates take a few scrapes to rise.
const measured = 45 * time.Second

func faults() []fault {
	var endCalls context.CancelFunc
	return []fault{
		{"flood on the batch lane", "MeddelaBatchBehind", 3*time.Minute + measured,
			func(s *stand) error { return s.flood(12_000) }, nothing, true},
		{"role stopped", "MeddelaRoleDown", time.Minute + measured,
			func(s *stand) error { s.end("realtime-match"); return nil },
			func(s *stand) error { return s.startRole("realtime-match") }, false},
		{"Redis stopped", "MeddelaRedisAway", time.Minute + measured,
			server("kill", "redis"), server("start", "redis"), false},
		{"broker lost", "MeddelaKafkaDegraded", time.Minute + measured,
			server("kill", "kafka-3"), server("start", "kafka-3"), false},
		{"every provider down", "MeddelaProviderDown", time.Minute + measured,
			func(s *stand) error { s.failing[0].Store(true); s.failing[1].Store(true); return nil },
			func(s *stand) error { s.failing[0].Store(false); s.failing[1].Store(false); return nil }, false},
		{"one provider failing", "MeddelaProviderFailing", 2*time.Minute + measured,
			func(s *stand) error { s.failing[0].Store(true); return nil },
			func(s *stand) error { s.failing[0].Store(false); return nil }, false},
		{"poison burst", "MeddelaDeadLetters", time.Minute + measured,
			func(s *stand) error { return s.poison(500) }, nothing, false},
		{"retired template still called", "MeddelaEventsNotCovered", time.Minute + measured,
			func(s *stand) error {
				if err := s.call("templates", "retire", "password_reset"); err != nil {
					return err
				}
				calling, end := context.WithCancel(s.ctx)
				endCalls = end
				s.publish(calling, "realtime", 5, resetEvent)
				return nil
			},
			func(s *stand) error {
				endCalls()
				return s.call("templates", "publish", "cmd/meddela/samples/templates")
			}, false},
	}
}

func resetEvent(i int) string {
	return fmt.Sprintf(`{"type":"password_reset","email":"kim%d@mail.example","ctx":{"firstName":"Kim","link":"https://example.com/r","validMinutes":30}}`, i)
}

func server(script, name string) func(*stand) error {
	return func(*stand) error {
		if out, err := exec.Command("test/servers/"+script, name).CombinedOutput(); err != nil {
			return fmt.Errorf("test/servers/%s %s: %w\n%s", script, name, err, out)
		}
		return nil
	}
}

// flood publishes text messages to the batch lane, far more than their providers'
// limit lets through.
func (s *stand) flood(n int) error {
	return s.produce("batch", n, codeEvent)
}

// poison publishes what is no event.
func (s *stand) poison(n int) error {
	return s.produce("realtime", n, func(i int) string { return fmt.Sprintf(`{"type": "order_%d", "email": `, i) })
}

func (s *stand) produce(lane string, n int, event func(int) string) error {
	records := make([]*kgo.Record, n)
	for i := range records {
		records[i] = &kgo.Record{Topic: s.prefix + lane + ".events", Value: []byte(event(i))}
	}
	return s.kafka.ProduceSync(s.ctx, records...).FirstErr()
}

// result is what a fault led to.
type result struct {
	*fault
	fired          time.Duration // after the fault; 0 for not at all
	others         []string      // alerts that fired too
	before, during map[string]float64
}

func (r *result) line() string {
	fired := "did not fire"
	if r.fired > 0 {
		fired = fmt.Sprintf("fired after %3.0f s (at most %3.0f)", r.fired.Seconds(), r.within.Seconds())
	}
	others := "no other"
	if len(r.others) > 0 {
		others = "ALSO " + strings.Join(r.others, ", ")
	}
	line := fmt.Sprintf("%-30s  %-24s  %s; %s", r.name, r.alert, fired, others)
	if r.indicators {
		for _, name := range indicatorNames() {
			line += fmt.Sprintf("\n    real-time %-34s before %8.3f   during %8.3f", name, r.before[name], r.during[name])
		}
	}
	return line
}

func (r *result) err() (all error) {
	if r.fired == 0 || r.fired > r.within {
		all = fmt.Errorf("%s: %s did not fire in %v", r.name, r.alert, r.within)
	}
	if len(r.others) > 0 {
		all = errors.Join(all, fmt.Errorf("%s: %s fired too", r.name, strings.Join(r.others, ", ")))
	}
	return all
}

const (
	settleTime = 60 * time.Second // in which nothing may fire before a fault
	lookTime   = 2 * time.Second
	// lingerTime is how long the fault is left as it is after its alert has
	// fired, for other alerts to fire that should not.
	lingerTime = 45 * time.Second
)

// try causes a fault, and watches which alerts fire. Those that are still firing
// because of the fault before are not looked at.
func (s *stand) try(f *fault) (result, error) {
	r := result{fault: f}
	if err := s.settle(); err != nil {
		return r, err
	}
	leftovers, err := s.firing()
	if err != nil {
		return r, err
	}
	r.before = s.indicatorsNow()
	began := time.Now()
	if err := f.cause(s); err != nil {
		return r, err
	}
	end := began.Add(f.within)
	for time.Now().Before(end) {
		firing, err := s.firing()
		if err != nil {
			return r, err
		}
		for _, alert := range firing {
			switch {
			case alert == f.alert && r.fired == 0:
				r.fired = time.Since(began)
				end = time.Now().Add(lingerTime)
			case alert != f.alert && !slices.Contains(leftovers, alert) && !slices.Contains(r.others, alert):
				r.others = append(r.others, alert)
			}
		}
		if err := s.wait(lookTime); err != nil {
			return r, err
		}
	}
	r.during = s.indicatorsNow()
	return r, f.mend(s)
}

// settle waits until all roles are at work and no cause fires that a mended fault
// could still be behind.
func (s *stand) settle() error {
	quietSince := time.Now()
	for end := time.Now().Add(10 * time.Minute); time.Now().Before(end); {
		firing, err := s.firing()
		if err != nil {
			return err
		}
		if len(firing) > 0 {
			quietSince = time.Now()
		}
		if time.Since(quietSince) > settleTime {
			return nil
		}
		if err := s.wait(lookTime); err != nil {
			return err
		}
	}
	firing, _ := s.firing()
	return fmt.Errorf("before the fault, %s fire", strings.Join(firing, ", "))
}

func (s *stand) firing() (names []string, err error) {
	alerts, err := s.query(`ALERTS{alertstate="firing"}`)
	for end := time.Now().Add(20 * time.Second); err != nil &&
		time.Now().Before(end); alerts, err = s.query(`ALERTS{alertstate="firing"}`) {
		if err := s.wait(time.Second); err != nil {
			return nil, err
		}
	}
	for _, a := range alerts {
		name := a.Metric["alertname"]
		if indicator := a.Metric["indicator"]; indicator != "" {
			name += "/" + indicator
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, err
}

func indicatorNames() []string {
	return []string{
		"meddela:waiting:records", "meddela:error_ratio:rate5m", "meddela:queue_seconds:mean5m",
		"meddela:attempt_seconds:mean5m", "meddela:processing_seconds:mean5m", "meddela:processing_seconds:p99_5m",
	}
}

// indicatorsNow are those of the real-time lane.
func (s *stand) indicatorsNow() map[string]float64 {
	now := make(map[string]float64)
	for _, name := range indicatorNames() {
		if answer, err := s.query(name + `{lane="realtime"}`); err == nil && len(answer) == 1 {
			now[name] = answer[0].number()
		}
	}
	return now
}

func (s *stand) wait(d time.Duration) error {
	select {
	case <-s.ctx.Done():
		return s.ctx.Err()
	case <-time.After(d):
		return nil
	}
}
