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
	m.of.MustRegister(collector(func(out chan<- prometheus.Metric) {
		lagErrors.with(out, float64(l.faults.Load()))
		report := l.report.Load()
		if report == nil {
			return
		}
		lagMeasured.with(out, float64(report.At.UnixMilli())/1000)
		kafkaBrokers.with(out, float64(report.Brokers))
		underReplicated.with(out, float64(report.UnderReplicated))
		offline.with(out, float64(report.Offline))
		for i := range report.Groups {
			g := &report.Groups[i]
			if g.Err != nil {
				continue
			}
			of := []string{string(g.Lane), string(g.Role), string(g.Channel), g.Name}
			groupMembers.with(out, float64(g.Members), of...)
			for _, p := range g.Partitions {
				where := append(of[:4:4], string(p.Topic), strconv.Itoa(p.ID))
				age := time.Duration(0)
				if !p.Oldest.IsZero() {
					age = report.At.Sub(p.Oldest)
				}
				lagRecords.with(out, float64(p.Lag), where...)
				lagAge.with(out, age.Seconds(), where...)
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
