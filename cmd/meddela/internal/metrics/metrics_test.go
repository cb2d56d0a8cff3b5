package metrics

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/redis/go-redis/v9"
	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/consumer/deliver"
	"github.com/meddela/meddela/consumer/lag"
	"github.com/meddela/meddela/consumer/position"
	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/topology"
)

func textOf(t testing.TB, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("%d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func expect(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains(text, line+"\n") {
			name, _, _ := strings.Cut(line, "{")
			var near []string
			for have := range strings.SplitSeq(text, "\n") {
				if strings.HasPrefix(have, name) {
					near = append(near, have)
				}
			}
			t.Errorf("no %s among\n%s", line, strings.Join(near, "\n"))
		}
	}
}

// TestMeters: what roles tell is what is shown, and each figure has its unit.
func TestMeters(t *testing.T) {
	m := New(topology.Realtime, []topology.Role{topology.RoleMatch}, "1.2.3").Of(topology.RoleMatch)
	match, delivers, status := m.Match(), m.Deliver(), m.Status()
	match.Decided(topology.Email, topology.PendingDelivery, "")
	match.Decided("pigeon", topology.NotCovered, topology.ReasonInvalid)
	sms := delivers(topology.SMS)
	sms.Attempted(&deliver.Attempt{Number: 1, Provider: "ses-1", Status: topology.Sent, Queued: 3 * time.Second,
		Sending: 2 * time.Second})
	sms.Attempted(&deliver.Attempt{Number: 2, Provider: "ses-1", Status: topology.PendingDelivery,
		Reason: topology.ReasonTransient, WillRetry: true, Queued: time.Hour, Sending: time.Second})
	sms.Attempted(&deliver.Attempt{Number: 1, Status: topology.Ignored, Reason: topology.ReasonSuppressed,
		Queued: time.Second})
	status.Changed(&topology.State{Channel: topology.SMS, Status: topology.Sent, Template: "code@3"})
	status.Changed(&topology.State{Channel: topology.SMS, Status: topology.PendingDelivery, Template: "code@3"})
	status.Written(10, 2, time.Millisecond, nil)
	status.Written(10, 2, time.Hour, fmt.Errorf("away"))
	m.Loop(consumer.New(consumer.Config{Group: "g"}))
	m.Delivery(topology.SMS, new(deliver.Counters), nil)
	var failed producer.Errors
	failed.Replicas.Add(3)
	m.Publishing(&failed)

	text := textOf(t, m)
	expect(t, text,
		`meddela_build_info{lane="realtime",role="match",version="1.2.3"} 1`,
		`meddela_events_total{channel="email",lane="realtime",reason="",role="match",status="pending_delivery"} 1`,
		`meddela_events_total{channel="other",lane="realtime",reason="invalid",role="match",status="not_covered"} 1`,
		`meddela_events_total{channel="push",lane="realtime",reason="condition_failed",role="match",status="not_covered"} 0`,
		`meddela_attempts_total{channel="sms",lane="realtime",provider="ses-1",reason="",role="match",status="sent",will_retry="no"} 1`,
		`meddela_attempts_total{channel="sms",lane="realtime",provider="ses-1",reason="transient",role="match",status="pending_delivery",will_retry="yes"} 1`,
		`meddela_queue_seconds_sum{channel="sms",lane="realtime",role="match"} 4`,
		`meddela_queue_seconds_count{channel="sms",lane="realtime",role="match"} 2`,
		`meddela_attempt_seconds_sum{channel="sms",lane="realtime",role="match"} 3`,
		`meddela_processing_seconds_sum{channel="sms",lane="realtime",role="match"} 5`,
		`meddela_processing_seconds_bucket{channel="sms",lane="realtime",role="match",le="6"} 1`,
		`meddela_statuses_total{channel="sms",lane="realtime",reason="",role="match",status="sent"} 1`,
		`meddela_template_statuses_total{lane="realtime",role="match",status="sent",template="code"} 1`,
		`meddela_status_write_seconds_count{lane="realtime",role="match"} 1`,
		`meddela_status_write_errors_total{lane="realtime",role="match"} 1`,
		`meddela_group_joined{group="g",lane="realtime",role="match"} 0`,
		`meddela_in_flight_bytes{group="g",lane="realtime",role="match"} 0`,
		`meddela_ambiguous_sends_total{channel="sms",lane="realtime",role="match"} 0`,
		`meddela_conflicting_events_total{channel="sms",lane="realtime",role="match"} 0`,
		`meddela_publish_errors_total{cause="replicas",lane="realtime",role="match"} 3`,
		`meddela_publish_errors_total{cause="denied",lane="realtime",role="match"} 0`,
	)
	lint(t, text)
}

// TestWhatMayComeBeginsAtZero: an alert sees the first event of each reason as an increase.
func TestWhatMayComeBeginsAtZero(t *testing.T) {
	m := New(topology.Batch, nil, "dev")
	m.Match()
	m.Status()
	text := textOf(t, m)
	for name, statuses := range map[string][]topology.Status{
		"events":   {topology.PendingDelivery, topology.Expired, topology.NotCovered},
		"statuses": topology.Statuses(),
	} {
		for _, channel := range append(topology.Channels(), Other) {
			for _, status := range statuses {
				for _, reason := range topology.ReasonsOf(status) {
					expect(t, text, fmt.Sprintf(`meddela_%s_total{channel="%s",reason="%s",status="%s"} 0`, name, channel, reason,
						status))
				}
			}
		}
	}
}

// lint holds names, units and help texts against Prometheus' conventions.
func lint(t *testing.T, text string) {
	t.Helper()
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestLag(t *testing.T) {
	m := New("", nil, "dev")
	l := m.Lag()
	l.Measured(nil)
	now := time.Now()
	l.Measured(&lag.Report{At: now, Brokers: 3, UnderReplicated: 2, Groups: []lag.Group{
		{Name: "g", Lane: topology.Batch, Role: topology.RoleMatch, Members: 2, Partitions: []lag.Partition{
			{Topic: "t", ID: 7, Lag: 5, Oldest: now.Add(-90 * time.Second)}, {Topic: "t", ID: 8},
		}},
		{Name: "lost", Err: fmt.Errorf("away")},
	}})
	text := textOf(t, m)
	expect(t, text,
		`meddela_kafka_brokers 3`,
		`meddela_kafka_partitions_under_replicated 2`,
		`meddela_lag_errors_total 2`,
		`meddela_group_members{channel="",group="g",lane="batch",role="match"} 2`,
		`meddela_lag_records{channel="",group="g",lane="batch",partition="7",role="match",topic="t"} 5`,
		`meddela_lag_seconds{channel="",group="g",lane="batch",partition="7",role="match",topic="t"} 90`,
		`meddela_lag_seconds{channel="",group="g",lane="batch",partition="8",role="match",topic="t"} 0`,
	)
	if strings.Contains(text, "lost") {
		t.Error("a group that could not be measured is shown")
	}
	lint(t, text)
}

// TestBounded: whoever names many templates does not fill Prometheus.
func TestBounded(t *testing.T) {
	n := newNames(2)
	for _, c := range []struct{ name, want string }{{"a", "a"}, {"b", "b"}, {"c", Other}, {"a", "a"}, {"d", Other}} {
		if got := n.get(c.name); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func BenchmarkDecided(b *testing.B) {
	meter := New(topology.Realtime, []topology.Role{topology.RoleMatch}, "dev").Of(topology.RoleMatch).Match()
	for b.Loop() {
		meter.Decided(topology.Email, topology.PendingDelivery, topology.NoReason)
	}
}

func BenchmarkAttempted(b *testing.B) {
	meter := New(topology.Realtime, nil, "dev").Of(topology.RoleDeliver).Deliver()(topology.Email)
	a := &deliver.Attempt{Number: 1, Provider: "smtp", Status: topology.Sent, Queued: time.Second, Sending: time.Second}
	for b.Loop() {
		meter.Attempted(a)
	}
}

// TestRedis: that it takes no write, that it has lost something, and what it has evicted.
func TestRedis(t *testing.T) {
	server := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	t.Cleanup(func() { _ = client.Close() })
	m := New(topology.Batch, []topology.Role{topology.RoleStatus}, "1").Of(topology.RoleStatus)
	p := &position.Positions{Client: client, Group: "g"}
	m.Redis(client)
	m.Positions(p)
	const of = `{group="g",lane="batch",role="status"} `
	text := textOf(t, m)
	expect(t, text, "meddela_redis_up"+of+"1", "meddela_redis_lost_records"+of+"0")
	if strings.Contains(text, "meddela_redis_lost_timestamp_seconds") {
		t.Error("a loss is shown, and there was none")
	}
	note, end := p.Begin(map[string][]kafka.PartitionAssignment{"t": {{Offset: 5}}})
	defer end()
	if err := note(nil); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(textOf(t, m), "meddela_redis_lost_timestamp_seconds"+of) {
		t.Error("a loss is not shown")
	}
	server.SetError("OOM command not allowed when used memory > 'maxmemory'.")
	expect(t, textOf(t, m), "meddela_redis_up"+of+"0")
}
