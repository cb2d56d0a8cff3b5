package suppress_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/meddela/meddela/consumer/deliver/recipient/address"
	"github.com/meddela/meddela/consumer/deliver/recipient/suppress"
	"github.com/meddela/meddela/topology"
)

func miniAddr(t testing.TB) string { return miniredis.RunT(t).Addr() }

// benchServers are the embedded store and, if it is there, the real one.
func benchServers(b *testing.B, bench func(*testing.B, store)) {
	b.Run("embedded", func(b *testing.B) { bench(b, storeAt(b, miniAddr(b))) })
	if addresses := os.Getenv("MEDDELA_TEST_REDIS"); addresses != "" {
		b.Run("real", func(b *testing.B) { bench(b, storeAt(b, addresses)) })
	}
}

const benchJobs = 500

// BenchmarkCheck asks about 500 jobs, a tenth of whose addresses are suppressed.
func BenchmarkCheck(b *testing.B) {
	for _, capped := range []bool{false, true} {
		b.Run(fmt.Sprintf("capped=%v", capped), func(b *testing.B) {
			benchServers(b, func(b *testing.B, s store) {
				gate := gateOf(s.list())
				if capped {
					gate = s.caps(map[topology.Channel]suppress.Cap{topology.Email: {Most: 3, Window: time.Hour}})
				}
				queries := make([]suppress.Query, benchJobs)
				for i := range queries {
					queries[i] = suppress.Query{Channel: topology.Email, Address: fmt.Sprintf("kim.%d@example.com", i),
						Job: topology.JobID(fmt.Sprint("j", i))}
					if i%10 == 0 {
						mustAdd(b, s.list(), topology.Bounced, time.Now().Add(time.Hour), emails(queries[i].Address)...)
					}
				}
				b.ReportAllocs()
				for b.Loop() {
					if _, err := check(b.Context(), gate, queries...); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchJobs, "ns/job")
			})
		})
	}
}

func BenchmarkHash(b *testing.B) {
	h := suppress.NewHasher("pepper")
	b.ReportAllocs()
	for b.Loop() {
		normal, _ := address.Normalize(topology.Email, "kim.berg@example.com", "")
		h.Hash(normal)
	}
}

// BenchmarkImport reads a file of 100,000 lines.
func BenchmarkImport(b *testing.B) {
	benchServers(b, func(b *testing.B, s store) {
		const lines = 100_000
		var file strings.Builder
		file.WriteString("email,reason,until\n")
		for i := range lines {
			fmt.Fprintf(&file, "kim.%d@example.com,unsubscribed,\n", i)
		}
		for b.Loop() {
			done, err := s.list().Import(b.Context(), strings.NewReader(file.String()), suppress.Import{})
			if err != nil || done.Read != lines || done.Bad > 0 {
				b.Fatal(done, err)
			}
		}
		b.ReportMetric(lines*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
	})
}
