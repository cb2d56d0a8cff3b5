package deliver

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/deliver/provider/sandbox"
	"github.com/meddela/meddela/topology"
)

// BenchmarkHandle delivers batches of 500 jobs to a sandbox. It uses the Redis
// at MEDDELA_BENCH_REDIS (an address, or those of a cluster) if that is set, or else one in this process, whose
// work then counts too. MEDDELA_BENCH_REPLICAS is on how many replicas claims must be.
func BenchmarkHandle(b *testing.B) {
	const batchJobs = 500
	w := newWorld(b)
	box, err := sandbox.New(sandbox.Config{})
	if err != nil {
		b.Fatal(err)
	}
	h := w.handler(b, func(c *Config) {
		if address := os.Getenv("MEDDELA_BENCH_REDIS"); address != "" {
			client := redis.NewUniversalClient(&redis.UniversalOptions{Addrs: strings.Split(address, ",")})
			b.Cleanup(func() { _ = client.Close() })
			c.Redis = client
			c.ClaimReplicas, _ = strconv.Atoi(os.Getenv("MEDDELA_BENCH_REPLICAS"))
			c.KeepClaims = 11 * time.Minute
			c.Keys = topology.Keys{Prefix: fmt.Sprintf("bench-%d:", time.Now().UnixNano())}
		}
		c.Providers = map[topology.Channel]provider.Provider{topology.Email: box}
	})
	round := 0
	next := func() consumer.Batch {
		round++
		jobs := make([]topology.Job, batchJobs)
		for i := range jobs {
			jobs[i] = aJob(fmt.Sprintf("event-%d-%d", round, i))
		}
		return batchOf(jobs...)
	}
	b.ReportAllocs()
	var cpu time.Duration
	for b.Loop() {
		b.StopTimer()
		batch := next()
		before := cpuTime(b)
		b.StartTimer()
		if result, err := h.Handle(b.Context(), batch); err != nil || result.Handled != batchJobs {
			b.Fatal(result.Handled, err)
		}
		b.StopTimer()
		cpu += cpuTime(b) - before
		b.StartTimer()
	}
	jobs := float64(b.N * batchJobs)
	b.ReportMetric(jobs/b.Elapsed().Seconds(), "jobs/s")
	b.ReportMetric(float64(cpu.Nanoseconds())/jobs, "cpu-ns/job")
}

// cpuTime is what this process has used.
func cpuTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
