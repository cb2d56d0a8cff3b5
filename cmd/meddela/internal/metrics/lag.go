package metrics

import (
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/meddela/meddela/consumer/lag"
)

// Lag shows what the monitor has measured last.
type Lag struct {
	report atomic.Pointer[lag.Report]
	faults atomic.Int64
}

// Lag makes the metrics of a monitor.
func (m *Metrics) Lag() *Lag {
	l := new(Lag)
	m.register(collector(func(out chan<- prometheus.Metric) {
		show(out, "lag_errors_total", "Measurements of the lag that failed.", l.faults.Load())
		report := l.report.Load()
		if report == nil {
			return
		}
		show(out, "lag_measured_timestamp_seconds", "When the lag was last measured.", unix(report.At))
		show(out, "kafka_brokers", "Brokers that are there.", report.Brokers)
		show(out, "kafka_partitions_under_replicated",
			"Partitions with fewer replicas in sync than they should have.", report.UnderReplicated)
		show(out, "kafka_partitions_offline", "Partitions without a leader, which cannot be read or written.",
			report.Offline)
		for i := range report.Groups {
			g := &report.Groups[i]
			if g.Err != nil {
				continue
			}
			of := []string{"lane", string(g.Lane), "role", string(g.Role), "channel", string(g.Channel), "group", g.Name}
			show(out, "group_members", "Processes that share a role's work; 0 where it does not run.", g.Members, of...)
			for _, p := range g.Partitions {
				of := append(of, "topic", string(p.Topic), "partition", strconv.Itoa(p.ID))
				age := time.Duration(0)
				if !p.Oldest.IsZero() {
					age = report.At.Sub(p.Oldest)
				}
				show(out, "lag_records", "Records that a role has not done with.", p.Lag, of...)
				show(out, "lag_seconds",
					"How long the oldest record that a role has not done with has waited, since it was written or due.",
					age.Seconds(), of...)
			}
		}
	}))
	return l
}

// Measured takes a measurement; nil is one that failed, after which the last
// one stays.
func (l *Lag) Measured(report *lag.Report) {
	if report == nil {
		l.faults.Add(1)
		return
	}
	for i := range report.Groups {
		if report.Groups[i].Err != nil {
			l.faults.Add(1)
		}
	}
	l.report.Store(report)
}
