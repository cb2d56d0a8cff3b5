package scenario

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/meddela/meddela/topology"
)

// ask asks a process how it is.
func (p *process) ask(path string) (status int, text string, err error) {
	client := http.Client{Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	response, err := client.Get("http://" + p.http + path)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), err
}

// healthy checks that a process is alive and at work.
func (p *process) healthy() error {
	for _, path := range []string{"/livez", "/startupz", "/readyz"} {
		if status, text, err := p.ask(path); err != nil || status != http.StatusOK {
			return fmt.Errorf("%s of %s: %d %s %v", path, p.name, status, text, err)
		}
	}
	return nil
}

// TestVitals: probes say how a role is, metrics what it did, and the lag how far
// each is behind, also one that does not run.
func TestVitals(t *testing.T) {
	everywhere(t, func(t *testing.T, s *site) {
		const lane = topology.Realtime
		roles := s.startRoles(lane)
		for _, p := range roles {
			s.eventually(10*time.Second, p.name+" is at work", p.healthy)
		}
		want := map[string]string{"nobody": "not_covered/no_template_for_type"}
		s.publish(lane, event("nobody", `{"id":"nobody","type":"unheard_of","email":"kim@mail.%s","ctx":{}}`,
			recipientDomain), event("bad", `{`))
		for i := range 40 {
			id := fmt.Sprintf("e-%d", i)
			s.publish(lane, order(id, "mail"))
			want[id] = "sent"
		}
		s.awaitOutcomes(20*time.Second, want)
		for role, lines := range map[topology.Role][]string{
			topology.RoleMatch: {
				`meddela_events_total{channel="email",lane="realtime",reason="",role="match",status="pending_delivery"} 40`,
				`meddela_events_total{channel="email",lane="realtime",reason="no_template_for_type",role="match",status="not_covered"} 1`,
				`meddela_dead_letters_total{group="` + s.topics.Group(topology.RoleMatch, lane) +
					`",lane="realtime",role="match"} 1`,
				`meddela_templates{lane="realtime",role="match"} 12`,
			},
			topology.RoleDeliver: {
				`meddela_attempts_total{channel="email",lane="realtime",provider="sandbox",reason="",role="deliver",status="sent",will_retry="no"} 40`,
				`meddela_processing_seconds_count{channel="email",lane="realtime",role="deliver"} 40`,
				`meddela_processing_seconds_bucket{channel="email",lane="realtime",role="deliver",le="20"} 40`,
				`meddela_ambiguous_sends_total{channel="email",lane="realtime",role="deliver"} 0`,
			},
			topology.RoleStatus: {
				`meddela_statuses_total{channel="email",lane="realtime",reason="",role="status",status="sent"} 40`,
				`meddela_template_statuses_total{lane="realtime",role="status",status="sent",template="order_confirmation"} 40`,
				`meddela_status_write_errors_total{lane="realtime",role="status"} 0`,
			},
		} {
			s.eventually(5*time.Second, "the metrics of "+string(role)+" say so",
				func() error { return s.running(role).shows(lines) })
		}
		s.eventually(10*time.Second, "nothing is behind",
			func() error { return s.lagIs(lane, func(g lagOf) bool { return g.Members == 1 && g.Records == 0 }) })

		s.stop(s.running(topology.RoleMatch))
		s.publish(lane, order("waits", "mail"))
		time.Sleep(time.Second) // which it must be seen to wait
		s.eventually(10*time.Second, "the role that does not run is seen to be behind", func() error {
			return s.lagIs(lane, func(g lagOf) bool {
				if g.Role != topology.RoleMatch {
					return g.Members == 1
				}
				return g.Members == 0 && g.Records == 1 && g.Waits >= 1
			})
		})
	})
}

// TestTheBatchLaneYields while real-time events come, and for no longer; all of it is delivered meanwhile.
func TestTheBatchLaneYields(t *testing.T) {
	everywhere(t, func(t *testing.T, s *site) {
		roles := s.startRoles(topology.Batch)
		yielding := func(n int) func() error {
			return func() error {
				for _, p := range roles {
					if p.role == topology.RoleDeliver {
						continue // which has a group for each channel
					}
					line := fmt.Sprintf(`meddela_yielding{group="%s",lane="batch",role="%s"} %d`,
						s.topics.Group(p.role, topology.Batch), p.role, n)
					if err := p.shows([]string{line}); err != nil {
						return err
					}
				}
				return nil
			}
		}
		s.eventually(10*time.Second, "nobody yields to nothing", yielding(0))
		want := make(map[string]string)
		for i := range 200 {
			id := fmt.Sprintf("b-%d", i)
			s.publish(topology.Batch, order(id, "mail"))
			want[id] = "sent"
		}
		s.publish(topology.Realtime, order("first", "mail"))
		s.eventually(10*time.Second, "batch yields", yielding(1))
		s.awaitOutcomes(20*time.Second, want)
		s.eventually(10*time.Second, "batch goes on", yielding(0))
	})
}

// TestBatchQuota: topics apply limits what the batch lane may ask of a real broker: 4 MB, which two roles read, at
// 128 KiB/s, of which a broker lets 11 seconds' worth go at once, take longer than a slow machine would. What the quota
// lets through is used, it is no fault, and no member loses its place.
func TestBatchQuota(t *testing.T) {
	onlyReal(t, func(t *testing.T, s *site) {
		s.settings = append(s.settings, "MEDDELA_TOPICS_BATCH_QUOTA=131072",
			"MEDDELA_KAFKA_CLIENT_ID="+s.client("batch-match-1")) // the first that starts
		s.run("topics", "apply")
		roles := s.startRoles(topology.Batch)
		s.startRoles(topology.Realtime)
		before := faultsOf(roles)
		start := time.Now()
		for batch := range 40 {
			var flood []record
			for i := range 100 {
				id := fmt.Sprintf("b-%d-%d", batch, i)
				e := event(id, `{"id":%q,"type":"unheard_of","ctx":{"x":"%01000d"}}`, id, i)
				e.partition = 0 // of one broker, which has a quota of its own
				flood = append(flood, e)
			}
			s.publish(topology.Batch, flood...)
		}
		s.publish(topology.Realtime, order("quick", "mail"))
		s.awaitOutcomes(20*time.Second, map[string]string{"quick": "sent"})
		quick := time.Since(start)
		s.awaitOutcomes(3*time.Minute, map[string]string{"b-39-99": "not_covered/no_template_for_type"})
		// At least role match reads each event, of 1 KiB, and role status an entry about it, of more than a third of that.
		read, late := 1.35*4000*1024, time.Since(start)
		used := read / late.Seconds() / 131072
		t.Logf("batch events within %v, %.2f of the quota; a real-time event was sent after %v", late, used, quick)
		if late < 12*time.Second || used < 0.5 {
			t.Errorf("4 MB of batch events were read within %v, %.2f of the quota", late, used)
		}
		if after := faultsOf(roles); after != before {
			t.Errorf("faults of fetching and joining: %s; before: %s", after, before)
		}
	})
}

// faultsOf are the counters of what failed between processes and Kafka.
func faultsOf(all []*process) string {
	var faults []string
	for _, p := range all {
		_, text, err := p.ask("/metrics")
		if err != nil {
			return err.Error()
		}
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "meddela_kafka_errors_total{") && !strings.HasSuffix(line, " 0\n") {
				faults = append(faults, line)
			}
		}
	}
	return strings.Join(faults, "")
}

// shows checks that the metrics have these lines.
func (p *process) shows(lines []string) error {
	_, text, err := p.ask("/metrics")
	if err != nil {
		return err
	}
	for _, line := range lines {
		if !strings.Contains(text, line+"\n") {
			return errors.New("there is no " + line)
		}
	}
	return nil
}

// lagOf is how far one role is behind, as `meddela lag` says it.
type lagOf struct {
	Role    topology.Role
	Channel topology.Channel
	Members int
	Records int64
	Waits   float64 `json:"waits_seconds"`
}

func (s *site) lagIs(lane topology.Lane, right func(lagOf) bool) error {
	var groups []lagOf
	if err := json.Unmarshal(s.run("lag", "--lane", string(lane), "-o", "json"), &groups); err != nil {
		return err
	}
	if len(groups) != 7 {
		return fmt.Errorf("%d groups", len(groups))
	}
	for _, g := range groups {
		if !right(g) {
			return fmt.Errorf("%+v", g)
		}
	}
	return nil
}
