// Package metrics shows Prometheus what the roles count. Labels are bounded:
// lanes, roles, channels, statuses and reasons are closed lists, providers and
// templates are what operators have named, and there is a limit to those too.
package metrics

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/meddela/meddela/topology"
)

const namespace = "meddela"

// Metrics are those of one process, or of one of its roles. Nil ones take everything, and
// show nothing.
type Metrics struct {
	registry *prometheus.Registry
	lane     topology.Lane
	// of is where they are registered, those of a role with it and the lane as labels.
	of prometheus.Registerer
}

// New makes the metrics of a process that runs roles of one lane. The monitor, which
// runs none, has labels of its own instead.
func New(lane topology.Lane, roles []topology.Role, version string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), lane: lane}
	m.of = m.registry
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	info := collector(func(out chan<- prometheus.Metric) {
		show(out, "build_info", "Always 1; the labels say which program this is.", 1, "version", version)
	})
	for _, role := range roles {
		m.Of(role).register(info)
	}
	if len(roles) == 0 {
		m.register(info)
	}
	return m
}

// Of are those of a role. Of nil it is nil.
func (m *Metrics) Of(role topology.Role) *Metrics {
	if m == nil {
		return nil
	}
	labels := prometheus.Labels{"role": string(role), "lane": string(m.lane)}
	return &Metrics{registry: m.registry, of: prometheus.WrapRegistererWith(labels, m.registry)}
}

// Handler serves them.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		Registry: m.registry, EnableOpenMetrics: true,
		ErrorHandling: promhttp.ContinueOnError, // one figure that is wrong hides no other
	})
}

func (m *Metrics) register(c prometheus.Collector) {
	if m != nil {
		m.of.MustRegister(c)
	}
}

func (m *Metrics) counter(name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
	m.register(v)
	return v
}

func (m *Metrics) histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help,
		Buckets: buckets}, labels)
	m.register(v)
	return v
}

// A histogram of how long a person waits has the reference's thresholds among
// its bounds: 4, 6, 8, 10, 12 and 20 seconds.
var waitBuckets = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2, 4, 6, 8, 10, 12, 20, 60, 300, 1800}

// A histogram of how long a server takes to answer.
var answerBuckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}
