package metrics

import (
	"context"
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

// collector reads what somebody counts when Prometheus asks.
type collector struct {
	all  []*prometheus.Desc
	read func(chan<- prometheus.Metric)
}

func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range c.all {
		out <- d
	}
}

func (c *collector) Collect(out chan<- prometheus.Metric) { c.read(out) }

// family is a metric of a collector.
type family struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
}

func (c *collector) counter(name, help string, labels ...string) family {
	return c.family(prometheus.CounterValue, name, help, labels)
}

func (c *collector) gauge(name, help string, labels ...string) family {
	return c.family(prometheus.GaugeValue, name, help, labels)
}

func (c *collector) family(kind prometheus.ValueType, name, help string, labels []string) family {
	f := family{prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil), kind}
	c.all = append(c.all, f.desc)
	return f
}

func (f family) with(out chan<- prometheus.Metric, value float64, labels ...string) {
	out <- prometheus.MustNewConstMetric(f.desc, f.kind, value, labels...)
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Loops shows what loops count. There may be more each time that it is asked.
func (m *Metrics) Loops(loops func() []*consumer.Loop) {
	c := new(collector)
	records := c.counter("records_read_total", "Records that the role has read.", "group")
	published := c.counter("records_written_total", "Records that the role has written, and Kafka acknowledged.", "group")
	letters := c.counter("dead_letters_total",
		"Records that could not be handled, and are kept on the dead letters topic.", "group")
	retries := c.counter("retries_total", "How often handling waited for a server, and was tried again.", "group")
	skipped := c.counter("records_lost_total", "Records that retention deleted before they were read.", "group")
	faults := c.counter("kafka_errors_total", "Requests that Kafka did not answer as wanted, and that were tried again.",
		"group", "request")
	joined := c.gauge("group_joined", "1 while the process is a member of its consumer group.", "group")
	lag := c.gauge("process_lag_records", "Records of this process's partitions that are not done with.", "group", "topic")
	age := c.gauge("process_lag_seconds", "How long the oldest record of this process's partitions has been waiting.",
		"group", "topic")
	c.read = func(out chan<- prometheus.Metric) {
		for _, loop := range loops() {
			s, group := loop.Stats(), loop.Group()
			records.with(out, float64(s.Fetched()), group)
			published.with(out, float64(s.Published()), group)
			letters.with(out, float64(s.DeadLetters()), group)
			retries.with(out, float64(s.Retries()), group)
			skipped.with(out, float64(s.Skipped()), group)
			fetches, joins, commits := s.Faults()
			faults.with(out, float64(fetches), group, "fetch")
			faults.with(out, float64(joins), group, "join")
			faults.with(out, float64(commits), group, "commit")
			joined.with(out, truth(s.Joined()), group)
			for topic, p := range byTopic(s.Lags()) {
				lag.with(out, float64(p.Records), group, string(topic))
				age.with(out, p.Age.Seconds(), group, string(topic))
			}
		}
	}
	m.of.MustRegister(c)
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
	c := new(collector)
	names := c.gauge("templates", "Templates that are in force.")
	versions := c.gauge("template_versions", "Versions of templates that are known, those that were replaced included.")
	age := c.gauge("catalogue_age_seconds",
		"How long ago the templates topic last answered: templates are no older than that.")
	changed := c.gauge("catalogue_changed_timestamp_seconds", "When the templates last changed.")
	bad := c.counter("template_records_rejected_total", "Records of the templates topic that were not taken.")
	c.read = func(out chan<- prometheus.Metric) {
		s := follower.Stats()
		names.with(out, float64(s.Names))
		versions.with(out, float64(s.Versions))
		bad.with(out, float64(s.Bad))
		if !s.ContactAt.IsZero() {
			age.with(out, max(time.Since(s.ContactAt), 0).Seconds())
		}
		if !s.ChangedAt.IsZero() {
			changed.with(out, float64(s.ChangedAt.UnixMilli())/1000)
		}
	}
	m.of.MustRegister(c)
}

// Delivery is what is to be shown of a channel.
type Delivery struct {
	Channel  topology.Channel
	Counters *deliver.Counters
	Route    *failover.Route // nil for a sandbox
}

// Deliveries shows what channels' deliverers and providers count.
func (m *Metrics) Deliveries(channels []Delivery) {
	c := new(collector)
	ambiguous := c.counter("ambiguous_sends_total",
		"Messages that may have been sent without our knowing, whether they were then sent again or held.", "channel")
	repeated := c.counter("duplicate_jobs_total", "Jobs that had an outcome already, and were not sent again.", "channel")
	sends := c.counter("provider_sends_total", "What providers answered.", "channel", "provider", "verdict")
	sending := c.counter("provider_seconds_total", "How long providers took to answer, in all.", "channel", "provider")
	open := c.gauge("provider_circuit_open",
		"1 while a provider is asked nothing because it was down: its circuit is open.", "channel", "provider")
	opened := c.counter("provider_circuit_opened_total", "How often a provider's circuit opened, because it was down.",
		"channel", "provider")
	waits := c.counter("provider_limit_waits_total", "Messages that had to wait for a provider's limit.", "channel",
		"provider")
	waited := c.counter("provider_limit_wait_seconds_total", "How long messages waited for a provider's limit, in all.",
		"channel", "provider")
	c.read = func(out chan<- prometheus.Metric) {
		for i := range channels {
			d := &channels[i]
			name := string(d.Channel)
			ambiguous.with(out, float64(d.Counters.Ambiguous.Load()), name)
			repeated.with(out, float64(d.Counters.Duplicates.Load()), name)
			if d.Route == nil {
				continue
			}
			for _, s := range d.Route.Stats() {
				for _, verdict := range provider.Verdicts() {
					sends.with(out, float64(s.Sends[verdict]), name, s.Provider, verdict.String())
				}
				sending.with(out, s.Sending.Seconds(), name, s.Provider)
				open.with(out, truth(s.Open), name, s.Provider)
				opened.with(out, float64(s.Opened), name, s.Provider)
				waits.with(out, float64(s.Waits), name, s.Provider)
				waited.with(out, s.Waited.Seconds(), name, s.Provider)
			}
		}
	}
	m.of.MustRegister(c)
}

// Notices shows what role notify counts.
func (m *Metrics) Notices(h *notify.Handler) {
	c := new(collector)
	notices := c.counter("notices_total", "Notices to webhooks, by what became of them.", "outcome")
	c.read = func(out chan<- prometheus.Metric) {
		notices.with(out, float64(h.Sent.Load()), "sent")
		notices.with(out, float64(h.Retried.Load()), "retried")
		notices.with(out, float64(h.Failed.Load()), "failed")
	}
	m.of.MustRegister(c)
}

// pingTime is how long Redis may take to answer when Prometheus asks for it.
const pingTime = time.Second

// Redis shows whether the role reaches Redis, by asking it.
func (m *Metrics) Redis(client redis.UniversalClient) {
	c := new(collector)
	up := c.gauge("redis_up", "1 if Redis answered when the metrics were asked for.")
	c.read = func(out chan<- prometheus.Metric) {
		ctx, cancel := context.WithTimeout(context.Background(), pingTime)
		defer cancel()
		up.with(out, truth(client.Ping(ctx).Err() == nil))
	}
	m.of.MustRegister(c)
}
