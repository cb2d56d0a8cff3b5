package audit

import (
	"runtime"
	"testing"
	"time"

	"github.com/meddela/meddela/topology"
)

// BenchmarkEvent is what an event costs: its two entries are read, it is judged and forgotten; and how much memory
// those take that are open.
func BenchmarkEvent(b *testing.B) {
	const open = 1_000_000
	entries := func(offset int64) [2]topology.Record {
		e := topology.Entry{EventID: "01JD8Q3Z5X6P7R8S9T0V1W2X3Y", JobID: topology.JobIDOf("e", 0), Lane: lane, Attempt: 1,
			Status: topology.PendingDelivery, Type: "order_confirmation", Channel: topology.Email,
			Template: "order@0123456789ab",
			Source:   topology.SourceOf(names.Events(lane), 0, offset), ReceivedAt: time.Now(), At: time.Now()}
		job := topology.Record{Topic: names.DeliveryLog(lane), Value: e.Append(nil)}
		e.Status, e.Provider, e.ProviderMessageID = topology.Sent, "mail", "<0a1b@mta.example.com>"
		return [2]topology.Record{job, {Topic: names.DeliveryLog(lane), Value: e.Append(nil)}}
	}
	some := make([][2]topology.Record, 1<<16)
	for i := range some {
		some[i] = entries(int64(i))
	}
	b.Run("cpu", func(b *testing.B) {
		a, n := New(Config{Lane: lane, Names: names}), int64(0)
		for b.Loop() {
			at := n % int64(len(some))
			if at == 0 {
				a.events = []*window{newWindow(0)}
				a.events[0].end = int64(len(some))
			}
			a.take(&some[at][0])
			a.take(&some[at][1])
			if n++; n%1000 == 0 || at == int64(len(some))-1 {
				p := a.events[0]
				for ; p.matched <= at; p.matched++ {
					if !p.isTold(p.matched) {
						b.Fatal(p.matched)
					}
				}
				a.settle()
			}
		}
		if a.stats.Open != 0 {
			b.Fatalf("%d are open", a.stats.Open)
		}
	})
	memory := func(due int64) func(b *testing.B) {
		return func(b *testing.B) {
			var before, after runtime.MemStats
			for b.Loop() {
				runtime.GC()
				runtime.ReadMemStats(&before)
				p, n := newWindow(0), int64(open)
				if due > 0 {
					n = mostWaiting
				}
				p.end = n
				for o := range n {
					p.tell(o, 0, due)
				}
				p.matched = n
				if n, _ := p.settle(); n != open && due == 0 {
					b.Fatalf("%d are open", n)
				}
				runtime.GC()
				runtime.ReadMemStats(&after)
				runtime.KeepAlive(p)
				b.ReportMetric(8*(float64(after.HeapAlloc)-float64(before.HeapAlloc))/float64(n), "bits/event")
			}
		}
	}
	b.Run("memory", memory(0))
	b.Run("waiting", memory(never))
}
