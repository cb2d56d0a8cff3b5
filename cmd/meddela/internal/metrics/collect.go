package metrics

import (
	"context"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/consumer/deliver"
	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/deliver/provider/failover"
	"github.com/meddela/meddela/consumer/notify"
	"github.com/meddela/meddela/topology"
)

// The metrics that are read from what somebody else counts.
var (
	buildInfo = read("build_info", "Always 1; the labels say which program this is.", "version")

	recordsRead    = read("records_read_total", "Records that the role has read.", "group")
	recordsWritten = read("records_written_total",
		"Records that the role has written, and Kafka acknowledged.", "group")
	deadLetters = read("dead_letters_total",
		"Records that could not be handled, and are kept on the dead letters topic.", "group")
	retried     = read("retries_total", "How often handling waited for a server, and was tried again.", "group")
	recordsLost = read("records_lost_total", "Records that retention deleted before they were read.", "group")
	kafkaErrors = read("kafka_errors_total",
		"Requests that Kafka did not answer as wanted, and that were tried again.", "group", "request")
	groupJoined = read("group_joined", "1 while the process is a member of its consumer group.", "group")
	processLag  = read("process_lag_records",
		"Records of this process's partitions that are not done with.", "group", "topic")
	processAge = read("process_lag_seconds",
		"How long the oldest record of this process's partitions has been waiting.", "group", "topic")

	templatesInForce = read("templates", "Templates that are in force.")
	templateVersions = read("template_versions",
		"Versions of templates that are known, those that were replaced included.")
	catalogueAge = read("catalogue_age_seconds",
		"How long ago the templates topic last answered: templates are no older than that.")
	catalogueChanged  = read("catalogue_changed_timestamp_seconds", "When the templates last changed.")
	templatesRejected = read("template_records_rejected_total",
		"Records of the templates topic that were not taken.")

	ambiguousSends = read("ambiguous_sends_total",
		"Messages that may have been sent without our knowing, whether they were then sent again or held.", "channel")
	duplicateJobs = read("duplicate_jobs_total",
		"Jobs that had an outcome already, and were not sent again.", "channel")
	providerSends = read("provider_sends_total", "What providers answered.", "channel", "provider", "verdict")
	providerTime  = read("provider_seconds_total",
		"How long providers took to answer, in all.", "channel", "provider")
	circuitOpen = read("provider_circuit_open",
		"1 while a provider is asked nothing because it was down: its circuit is open.", "channel", "provider")
	circuitOpened = read("provider_circuit_opened_total",
		"How often a provider's circuit opened, because it was down.", "channel", "provider")
	limitWaits = read("provider_limit_waits_total",
		"Messages that had to wait for a provider's limit.", "channel", "provider")
	limitWaited = read("provider_limit_wait_seconds_total",
		"How long messages waited for a provider's limit, in all.", "channel", "provider")

	noticesToWebhooks = read("notices_total", "Notices to webhooks, by what became of them.", "outcome")

	redisUp = read("redis_up", "1 if Redis answered when the metrics were asked for.")

	groupMembers = read("group_members",
		"Processes that share a role's work; 0 where it does not run.", "lane", "role", "channel", "group")
	lagRecords = read("lag_records",
		"Records that a role has not done with.", "lane", "role", "channel", "group", "topic", "partition")
	lagAge = read("lag_seconds",
		"How long the oldest record that a role has not done with has waited, since it was written or due.",
		"lane", "role", "channel", "group", "topic", "partition")
	kafkaBrokers    = read("kafka_brokers", "Brokers that are there.")
	underReplicated = read("kafka_partitions_under_replicated",
		"Partitions with fewer replicas in sync than they should have.")
	offline     = read("kafka_partitions_offline", "Partitions without a leader, which cannot be read or written.")
	lagMeasured = read("lag_measured_timestamp_seconds", "When the lag was last measured.")
	lagErrors   = read("lag_errors_total", "Measurements of the lag that failed.")
)

// family is one of them.
type family struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
}

func read(name, help string, labels ...string) family {
	kind := prometheus.GaugeValue
	if strings.HasSuffix(name, "_total") {
		kind = prometheus.CounterValue
	}
	return family{prometheus.NewDesc(namespace+"_"+name, help, labels, nil), kind}
}

func (f family) with(out chan<- prometheus.Metric, value float64, labels ...string) {
	out <- prometheus.MustNewConstMetric(f.desc, f.kind, value, labels...)
}

// collector reads such metrics when Prometheus asks. Which there will be it does
// not say before.
type collector func(chan<- prometheus.Metric)

func (collector) Describe(chan<- *prometheus.Desc) {}

func (c collector) Collect(out chan<- prometheus.Metric) { c(out) }

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Loops shows what loops count. There may be more each time that it is asked.
func (m *Metrics) Loops(loops func() []*consumer.Loop) {
	m.of.MustRegister(collector(func(out chan<- prometheus.Metric) {
		for _, loop := range loops() {
			s, group := loop.Stats(), loop.Group()
			recordsRead.with(out, float64(s.Fetched()), group)
			recordsWritten.with(out, float64(s.Published()), group)
			deadLetters.with(out, float64(s.DeadLetters()), group)
			retried.with(out, float64(s.Retries()), group)
			recordsLost.with(out, float64(s.Skipped()), group)
			fetches, joins, commits := s.Faults()
			kafkaErrors.with(out, float64(fetches), group, "fetch")
			kafkaErrors.with(out, float64(joins), group, "join")
			kafkaErrors.with(out, float64(commits), group, "commit")
			groupJoined.with(out, truth(s.Joined()), group)
			for topic, p := range byTopic(s.Lags()) {
				processLag.with(out, float64(p.Records), group, string(topic))
				processAge.with(out, p.Age.Seconds(), group, string(topic))
			}
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
	m.of.MustRegister(collector(func(out chan<- prometheus.Metric) {
		s, all := follower.Stats()
		templatesInForce.with(out, float64(all.Names()))
		templateVersions.with(out, float64(all.Versions()))
		templatesRejected.with(out, float64(s.Bad))
		if !s.ContactAt.IsZero() {
			catalogueAge.with(out, max(time.Since(s.ContactAt), 0).Seconds())
		}
		if !s.ChangedAt.IsZero() {
			catalogueChanged.with(out, float64(s.ChangedAt.UnixMilli())/1000)
		}
	}))
}

// Delivery is what is to be shown of a channel.
type Delivery struct {
	Channel  topology.Channel
	Counters *deliver.Counters
	Route    *failover.Route // nil for a sandbox
}

// Deliveries shows what channels' deliverers and providers count.
func (m *Metrics) Deliveries(channels []Delivery) {
	m.of.MustRegister(collector(func(out chan<- prometheus.Metric) {
		for i := range channels {
			d := &channels[i]
			name := string(d.Channel)
			ambiguousSends.with(out, float64(d.Counters.Ambiguous.Load()), name)
			duplicateJobs.with(out, float64(d.Counters.Duplicates.Load()), name)
			if d.Route == nil {
				continue
			}
			for _, s := range d.Route.Stats() {
				for _, verdict := range provider.Verdicts() {
					providerSends.with(out, float64(s.Sends[verdict]), name, s.Provider, verdict.String())
				}
				providerTime.with(out, s.Sending.Seconds(), name, s.Provider)
				circuitOpen.with(out, truth(s.Open), name, s.Provider)
				circuitOpened.with(out, float64(s.Opened), name, s.Provider)
				limitWaits.with(out, float64(s.Waits), name, s.Provider)
				limitWaited.with(out, s.Waited.Seconds(), name, s.Provider)
			}
		}
	}))
}

// Notices shows what role notify counts.
func (m *Metrics) Notices(h *notify.Handler) {
	m.of.MustRegister(collector(func(out chan<- prometheus.Metric) {
		noticesToWebhooks.with(out, float64(h.Sent.Load()), "sent")
		noticesToWebhooks.with(out, float64(h.Retried.Load()), "retried")
		noticesToWebhooks.with(out, float64(h.Failed.Load()), "failed")
	}))
}

// pingTime is how long Redis may take to answer when Prometheus asks for it.
const pingTime = time.Second

// Redis shows whether the role reaches Redis, by asking it.
func (m *Metrics) Redis(client redis.UniversalClient) {
	m.of.MustRegister(collector(func(out chan<- prometheus.Metric) {
		ctx, cancel := context.WithTimeout(context.Background(), pingTime)
		defer cancel()
		redisUp.with(out, truth(client.Ping(ctx).Err() == nil))
	}))
}
