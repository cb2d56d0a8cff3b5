package metrics

import (
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/meddela/meddela/consumer/lag"
)

// Lag shows what the monitor has measured last.
type Lag struct {
	mu     sync.Mutex
	report *lag.Report
	faults int64
}

// Lag makes the metrics of a monitor.
func (m *Metrics) Lag() *Lag {
	l, c := new(Lag), new(collector)
	labels := []string{"lane", "role", "channel", "group"}
	members := c.gauge("group_members", "Processes that share a role's work; 0 where it does not run.", labels...)
	records := c.gauge("lag_records", "Records that a role has not done with.", append(labels, "topic", "partition")...)
	oldest := c.gauge("lag_seconds",
		"How long the oldest record that a role has not done with has waited, since it was written or due.",
		append(labels, "topic", "partition")...)
	brokers := c.gauge("kafka_brokers", "Brokers that are there.")
	underReplicated := c.gauge("kafka_partitions_under_replicated",
		"Partitions with fewer replicas in sync than they should have.")
	offline := c.gauge("kafka_partitions_offline", "Partitions without a leader, which cannot be read or written.")
	at := c.gauge("lag_measured_timestamp_seconds", "When the lag was last measured.")
	faults := c.counter("lag_errors_total", "Measurements of the lag that failed.")
	c.read = func(out chan<- prometheus.Metric) {
		l.mu.Lock()
		report, failed := l.report, l.faults
		l.mu.Unlock()
		faults.with(out, float64(failed))
		if report == nil {
			return
		}
		at.with(out, float64(report.At.UnixMilli())/1000)
		brokers.with(out, float64(report.Brokers))
		underReplicated.with(out, float64(report.UnderReplicated))
		offline.with(out, float64(report.Offline))
		for i := range report.Groups {
			g := &report.Groups[i]
			if g.Err != nil {
				continue
			}
			of := []string{string(g.Lane), string(g.Role), string(g.Channel), g.Name}
			members.with(out, float64(g.Members), of...)
			for _, p := range g.Partitions {
				where := append(of[:4:4], string(p.Topic), strconv.Itoa(p.ID))
				age := time.Duration(0)
				if !p.Oldest.IsZero() {
					age = report.At.Sub(p.Oldest)
				}
				records.with(out, float64(p.Lag), where...)
				oldest.with(out, age.Seconds(), where...)
			}
		}
	}
	m.of.MustRegister(c)
	return l
}

// Measured takes a measurement; nil is one that failed, after which the last
// one stays.
func (l *Lag) Measured(report *lag.Report) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if report == nil {
		l.faults++
		return
	}
	for i := range report.Groups {
		if report.Groups[i].Err != nil {
			l.faults++
		}
	}
	l.report = report
}
