package metrics

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/meddela/meddela/cmd/meddela/internal/connect"
	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/consumer/audit"
	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/consumer/deliver"
	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/deliver/provider/failover"
	"github.com/meddela/meddela/consumer/deliver/recipient/suppress"
	"github.com/meddela/meddela/consumer/notify"
	"github.com/meddela/meddela/consumer/position"
	"github.com/meddela/meddela/consumer/receive"
	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/topology"
)

// collector reads metrics that somebody else counts, when Prometheus asks. Which
// there will be it does not say before.
type collector func(chan<- prometheus.Metric)

func (collector) Describe(chan<- *prometheus.Desc) {}

func (c collector) Collect(out chan<- prometheus.Metric) { c(out) }

// show shows a metric. labels are names, each with its value behind it.
func show[N int | int64 | float64](out chan<- prometheus.Metric, name, help string, value N, labels ...string) {
	var names, values []string
	for label := range slices.Chunk(labels, 2) {
		names, values = append(names, label[0]), append(values, label[1])
	}
	kind := prometheus.GaugeValue
	if strings.HasSuffix(name, "_total") {
		kind = prometheus.CounterValue
	}
	desc := prometheus.NewDesc(namespace+"_"+name, help, names, nil)
	out <- prometheus.MustNewConstMetric(desc, kind, float64(value), values...)
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Loop shows what a loop counts.
func (m *Metrics) Loop(loop *consumer.Loop) {
	m.register(collector(func(out chan<- prometheus.Metric) {
		s, of := loop.Stats(), []string{"group", loop.Group()}
		show(out, "records_read_total", "Records that the role has read.", s.Fetched(), of...)
		show(out, "records_written_total", "Records that the role has written, and Kafka acknowledged.",
			s.Published(), of...)
		show(out, "dead_letters_total", "Records that could not be handled, and are kept on the dead letters topic.",
			s.DeadLetters(), of...)
		show(out, "retries_total", "How often handling waited for a server, and was tried again.", s.Retries(), of...)
		show(out, "records_lost_total", "Records that retention deleted before they were read, or that could not be kept as dead letters.",
			s.Skipped(), of...)
		fetches, joins, commits := s.Faults()
		for request, n := range map[string]int64{"fetch": fetches, "join": joins, "commit": commits} {
			show(out, "kafka_errors_total", "Requests that Kafka did not answer as wanted, and that were tried again.",
				n, append(of, "request", request)...)
		}
		show(out, "group_joined", "1 while the process is a member of its consumer group.", truth(s.Joined()), of...)
		show(out, "yielding", "1 while the batch lane is slowed down because real-time events come.",
			truth(loop.Yielding()), of...)
		show(out, "in_flight_bytes", "What the process has fetched and not acknowledged, of all its groups together.",
			loop.InFlight(), of...)
		for topic, p := range byTopic(s.Lags()) {
			of := append(of, "topic", string(topic))
			show(out, "process_lag_records", "Records of this process's partitions that are not done with.", p.Records,
				of...)
			show(out, "process_lag_seconds",
				"How long the oldest record of this process's partitions has been waiting.", p.Age.Seconds(), of...)
		}
	}))
}

// Publishing shows how often the process could not write to Kafka. Its roles share what
// writes, so each shows the same.
func (m *Metrics) Publishing(failed *producer.Errors) {
	m.register(collector(func(out chan<- prometheus.Metric) {
		for cause, n := range map[string]*atomic.Int64{
			"denied": &failed.Denied, "replicas": &failed.Replicas, "away": &failed.Away, "other": &failed.Other,
		} {
			show(out, "publish_errors_total", "Tries to write to Kafka that failed, and were made again.", n.Load(),
				"cause", cause)
		}
	}))
}

// byTopic sums up the lags of each topic: partitions come and go, topics stay.
func byTopic(lags []consumer.Lag) map[topology.Topic]consumer.Lag {
	topics := make(map[topology.Topic]consumer.Lag)
	for _, p := range lags {
		sum := topics[p.Topic]
		sum.Records += p.Records
		sum.Age = max(sum.Age, p.Age)
		topics[p.Topic] = sum
	}
	return topics
}

// Templates shows how a role's templates are.
func (m *Metrics) Templates(follower *catalogue.Follower) {
	m.register(collector(func(out chan<- prometheus.Metric) {
		s, all := follower.Stats()
		show(out, "templates", "Templates that are in force.", all.Names())
		show(out, "template_versions", "Versions of templates that are known, those that were replaced included.",
			all.Versions())
		show(out, "template_records_rejected_total", "Records of the templates topic that were not taken.", s.Bad)
		if !s.ContactAt.IsZero() {
			show(out, "catalogue_age_seconds",
				"How long ago the templates topic last answered: templates are no older than that.",
				max(time.Since(s.ContactAt), 0).Seconds())
		}
		if !s.ChangedAt.IsZero() {
			show(out, "catalogue_changed_timestamp_seconds", "When the templates last changed.", unix(s.ChangedAt))
		}
	}))
}

func unix(at time.Time) float64 { return float64(at.UnixMilli()) / 1000 }

// Delivery shows what a channel's deliverer and its providers count; route is nil for a sandbox.
func (m *Metrics) Delivery(channel topology.Channel, counters *deliver.Counters, route *failover.Route) {
	m.register(collector(func(out chan<- prometheus.Metric) {
		of := []string{"channel", string(channel)}
		show(out, "ambiguous_sends_total",
			"Messages that may have been sent without our knowing, whether they were then sent again or held.",
			counters.Ambiguous.Load(), of...)
		show(out, "duplicate_jobs_total", "Jobs that had an outcome already, and were not sent again.",
			counters.Duplicates.Load(), of...)
		show(out, "conflicting_events_total",
			"Events that were not sent because another event, of other content, had come with their id.",
			counters.Conflicting.Load(), of...)
		if route == nil {
			return
		}
		for _, s := range route.Stats() {
			of := append(of, "provider", s.Provider)
			for _, verdict := range provider.Verdicts() {
				show(out, "provider_sends_total", "What providers answered.", s.Sends[verdict],
					append(of, "verdict", verdict.String())...)
			}
			show(out, "provider_seconds_total", "How long providers took to answer, in all.", s.Sending.Seconds(), of...)
			show(out, "provider_circuit_open",
				"1 while a provider is asked nothing because it was down: its circuit is open.", truth(s.Open), of...)
			show(out, "provider_circuit_opened_total",
				"How often a provider's circuit opened, because it was down.", s.Opened, of...)
			show(out, "provider_limit_waits_total", "Messages that had to wait for a provider's limit.", s.Waits, of...)
			show(out, "provider_limit_wait_seconds_total",
				"How long messages waited for a provider's limit, in all.", s.Waited.Seconds(), of...)
		}
	}))
}

// Notices shows what role notify counts.
func (m *Metrics) Notices(h *notify.Handler) {
	m.register(collector(func(out chan<- prometheus.Metric) {
		for outcome, n := range map[string]int64{
			"sent": h.Sent.Load(), "retried": h.Retried.Load(), "failed": h.Failed.Load(),
		} {
			show(out, "notices_total", "Notices to webhooks, by what became of them.", n, "outcome", outcome)
		}
	}))
}

// Receipts shows what role receive counts.
func (m *Metrics) Receipts(r *receive.Receiver) {
	m.register(collector(func(out chan<- prometheus.Metric) {
		for of, n := range r.Counts() {
			show(out, "receipts_total", "Receipts of providers, by what they mean.", n, "provider", of.Provider,
				"means", of.Means)
		}
	}))
}

// Audit shows what a lane's auditor has found: as role whose commits it is about.
func (m *Metrics) Audit(a *audit.Auditor) {
	m.register(collector(func(out chan<- prometheus.Metric) {
		s, of := a.Stats(), []string{"lane", string(a.Lane)}
		roles, looked := audit.Losers(), max(s.At.Unix(), 0)
		if looked == 0 { // never, and so it is not known what is lost
			roles = nil
		}
		for _, role := range roles {
			show(out, "audit_unaccounted", "Events that a role has committed past, and that nothing tells of: 0 unless something is lost.",
				s.Unaccounted(role), append(of, "role", string(role))...)
		}
		for is, n := range s.Offsets {
			show(out, "audit_offsets_total", "Offsets of the events' topic, by what they turned out to be.", n,
				append(of, "is", is)...)
		}
		show(out, "audit_open", "Events with a job of which nothing has come yet.", s.Open, of...)
		show(out, "audit_waiting", "Events that wait, and are expected to go on when they are due.", s.Waiting, of...)
		show(out, "audit_begun_timestamp_seconds", "When the audit began at the present, of which nothing before is known.",
			max(s.Since.Unix(), 0), of...)
		show(out, "audit_noticed_seconds", "The longest from when an event was written to when its loss was noticed.",
			s.Noticed.Seconds(), of...)
		show(out, "audit_looked_timestamp_seconds", "When all was last looked at.", looked, of...)
	}))
}

// Suppressions shows whether it is known who is suppressed.
func (m *Metrics) Suppressions(copy *suppress.Copy) {
	m.register(collector(func(out chan<- prometheus.Metric) {
		show(out, "suppressions_known", "1 while it is known who is suppressed; nothing is sent while it is not.",
			truth(copy.Known() == nil))
	}))
}

// probeTime is how long Redis may take to answer when Prometheus asks for it.
const probeTime = time.Second

// Redis shows what it has thrown away, for want of memory.
func (m *Metrics) Redis(client redis.UniversalClient) {
	m.register(collector(func(out chan<- prometheus.Metric) {
		ctx, cancel := context.WithTimeout(context.Background(), probeTime)
		defer cancel()
		if evicted, _, err := connect.Eviction(ctx, client); err == nil {
			show(out, "redis_evicted_total", "Keys that Redis has evicted, ours or others', since it started.", evicted)
		}
	}))
}

// Positions shows whether a group reaches Redis, by writing a little, and whether Redis
// has what the group has written.
func (m *Metrics) Positions(p *position.Positions) {
	m.register(collector(func(out chan<- prometheus.Metric) {
		ctx, cancel := context.WithTimeout(context.Background(), probeTime)
		defer cancel()
		of := []string{"group", p.Group}
		show(out, "redis_up", "1 if Redis took a write when the metrics were asked for.", truth(p.Probe(ctx) == nil), of...)
		last, left := p.Lost()
		if !last.IsZero() {
			show(out, "redis_lost_timestamp_seconds", "When it was last noticed that Redis had lost what was written to it.",
				unix(last), of...)
		}
		show(out, "redis_lost_records", "Records that are to be read again because Redis has lost what they said.", left,
			of...)
	}))
}
