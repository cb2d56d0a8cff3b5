package scan_test

import (
	"bytes"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/topology"
)

// BenchmarkScan compares a scan with nothing but fetches of one partition after
// the other.
func BenchmarkScan(b *testing.B) {
	const perPartition = 50_000
	w := newWorld(b, 1)
	value := bytes.Repeat([]byte("x"), 600)
	for p := range partitions {
		for range perPartition / 500 {
			var records []*kgo.Record
			for range 500 {
				records = append(records, &kgo.Record{Value: value})
			}
			w.write(p, records...)
		}
	}
	ranges := w.ranges()
	const want = partitions * perPartition
	b.Run("fetches", func(b *testing.B) {
		for b.Loop() {
			n := 0
			for _, r := range ranges {
				f := consumer.Fetcher{
					Addr: w.topics.Addr, Transport: w.topics.Transport, Topic: r.Topic, Partition: r.Partition,
					MaxBytes: 1 << 20, MaxWait: 500 * time.Millisecond,
				}
				for next := r.From; next < r.To; {
					fetched, err := f.Fetch(b.Context())
					if err != nil {
						b.Fatal(err)
					}
					n, next = n+len(fetched.Records), fetched.Next
				}
			}
			if n != want {
				b.Fatalf("%d records, want %d", n, want)
			}
		}
		reportRate(b, want)
	})
	b.Run("scan", func(b *testing.B) {
		for b.Loop() {
			var n atomic.Int64
			err := w.topics.Scan(b.Context(), ranges, nil, func(records []topology.Record) error {
				n.Add(int64(len(records)))
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
			if n.Load() != want {
				b.Fatalf("%d records, want %d", n.Load(), want)
			}
		}
		reportRate(b, want)
	})
}

func reportRate(b *testing.B, records int) {
	b.ReportMetric(float64(records)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
