package metrics

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/meddela/meddela/consumer/deliver"
	"github.com/meddela/meddela/consumer/match"
	"github.com/meddela/meddela/consumer/status"
	"github.com/meddela/meddela/topology"
)

// Greatest numbers of different labels that are not of closed lists.
const (
	maxTemplates = 500
	maxProviders = 100
)

// decision is what an event was decided to be.
type decision struct {
	channel topology.Channel
	status  topology.Status
	reason  topology.Reason
}

// decisions counts events by what they were decided to be. The counters of these
// statuses begin at 0, so that the first of each is seen as an increase.
func (m *Metrics) decisions(name, help string, may ...topology.Status) *cache[decision, prometheus.Counter] {
	events := m.counter(name, help, "channel", "status", "reason")
	counters := newCache(func(d decision) prometheus.Counter {
		if !slices.Contains(topology.Channels(), d.channel) {
			d.channel = Other // an event may name any
		}
		return events.WithLabelValues(string(d.channel), string(d.status), string(d.reason))
	})
	for _, c := range append(topology.Channels(), Other) {
		for _, status := range may {
			for _, reason := range topology.ReasonsOf(status) {
				counters.get(decision{c, status, reason})
			}
		}
	}
	return counters
}

type matchMeter struct {
	events *cache[decision, prometheus.Counter]
}

// Match is what role match tells.
func (m *Metrics) Match() match.Meter {
	return &matchMeter{m.decisions("events_total", "Events that were read and decided on: what came in.",
		topology.PendingDelivery, topology.Expired, topology.NotCovered)}
}

func (m *matchMeter) Decided(c topology.Channel, s topology.Status, r topology.Reason) {
	m.events.get(decision{c, s, r}).Inc()
}

type deliverMeter struct {
	attempts                  *cache[attempt, prometheus.Counter]
	queued, sending, complete prometheus.Observer
	providers                 *cache[string, string]
}

type attempt struct {
	provider string
	status   topology.Status
	reason   topology.Reason
	retry    bool
}

// Deliver is what role deliver tells about each channel.
func (m *Metrics) Deliver() func(topology.Channel) deliver.Meter {
	attempts := m.counter("attempts_total", "Attempts at a delivery, by what they came to.", "channel", "provider",
		"status", "reason", "will_retry")
	queued := m.histogram("queue_seconds", "From when a message was wanted to when its first attempt began.", waitBuckets,
		"channel")
	sending := m.histogram("attempt_seconds",
		"From when an attempt began to its outcome, waiting for a provider's limits included.", waitBuckets, "channel")
	complete := m.histogram("processing_seconds", "From when a message was wanted to when a provider had accepted it.",
		waitBuckets, "channel")
	providers := newNames(maxProviders)
	return func(c topology.Channel) deliver.Meter {
		channel := string(c)
		return &deliverMeter{
			attempts: newCache(func(a attempt) prometheus.Counter {
				retry := map[bool]string{false: "no", true: "yes"}[a.retry]
				return attempts.WithLabelValues(channel, a.provider, string(a.status), string(a.reason), retry)
			}),
			queued: queued.WithLabelValues(channel), sending: sending.WithLabelValues(channel),
			complete: complete.WithLabelValues(channel), providers: providers,
		}
	}
}

func (m *deliverMeter) Attempted(a *deliver.Attempt) {
	m.attempts.get(attempt{m.providers.get(a.Provider), a.Status, a.Reason, a.WillRetry}).Inc()
	if a.Number == 1 {
		m.queued.Observe(a.Queued.Seconds())
	}
	if a.Provider != "" {
		m.sending.Observe(a.Sending.Seconds())
	}
	if a.Status == topology.Sent {
		m.complete.Observe((a.Queued + a.Sending).Seconds())
	}
}

type statusMeter struct {
	statuses  *cache[decision, prometheus.Counter]
	templates *cache[ofTemplate, prometheus.Counter]
	names     *cache[string, string]
	writes    prometheus.Observer
	folded    prometheus.Counter
	faults    prometheus.Counter
}

type ofTemplate struct {
	name   string
	status topology.Status
}

// Status is what role status tells: every change of an event's status, once.
func (m *Metrics) Status() status.Meter {
	templates := m.counter("template_statuses_total",
		"Events by the template that they were linked to and the final status that they came to.", "template", "status")
	return &statusMeter{
		statuses: m.decisions("statuses_total", "Events by the status that they came to.", topology.Statuses()...),
		templates: newCache(func(t ofTemplate) prometheus.Counter {
			return templates.WithLabelValues(t.name, string(t.status))
		}),
		names: newNames(maxTemplates),
		writes: m.histogram("status_write_seconds", "How long Redis took to merge up to 2,000 events' statuses.",
			answerBuckets).WithLabelValues(),
		folded: m.counter("statuses_folded_total",
			"Statuses that were written as part of a later one of their event.").WithLabelValues(),
		faults: m.counter("status_write_errors_total",
			"Writes of statuses that failed, and were tried again.").WithLabelValues(),
	}
}

func (m *statusMeter) Changed(s *topology.State) {
	m.statuses.get(decision{s.Channel, s.Status, s.Reason}).Inc()
	if s.Status.Final() && s.Template != "" {
		name, _, _ := strings.Cut(string(s.Template), "@")
		m.templates.get(ofTemplate{m.names.get(name), s.Status}).Inc()
	}
}

func (m *statusMeter) Written(_, folded int, took time.Duration, err error) {
	if err != nil {
		m.faults.Inc()
		return
	}
	m.folded.Add(float64(folded))
	m.writes.Observe(took.Seconds())
}

// Other is the label of what is beyond a limit.
const Other = "other"

// newNames bounds how many different labels there are: what is beyond is Other.
func newNames(most int) *cache[string, string] {
	names := newCache(func(name string) string { return name })
	names.most, names.beyond = most, Other
	return names
}

// cache keeps what has been looked up by labels, which is several times as fast
// as to look it up again.
type cache[K comparable, V any] struct {
	make   func(K) V
	most   int // how many it keeps, if not 0
	beyond V   // what there is for all others

	mu sync.RWMutex
	of map[K]V
}

func newCache[K comparable, V any](makes func(K) V) *cache[K, V] {
	return &cache[K, V]{of: make(map[K]V), make: makes}
}

func (c *cache[K, V]) get(key K) V {
	c.mu.RLock()
	v, ok := c.of[key]
	c.mu.RUnlock()
	if ok {
		return v
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if v, ok = c.of[key]; ok {
		return v
	}
	if c.most > 0 && len(c.of) >= c.most {
		return c.beyond
	}
	v = c.make(key)
	c.of[key] = v
	return v
}
