package quota

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/meddela/meddela/test/fixtures"
	"github.com/meddela/meddela/topology"
)

func TestMain(m *testing.M) {
	redis.SetLogger(quiet{})
	goleak.VerifyTestMain(m)
}

type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

// process is a Limiter of a process of its own.
func process(t testing.TB, address string, c Config) *Limiter {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: address, MaxRetries: -1, DialerRetries: 1,
		DialTimeout: 200 * time.Millisecond})
	c.Client, c.Keys, c.Provider = client, topology.Keys{Prefix: "quota-test-" + t.Name() + ":"}, "ses"
	l, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(); _ = client.Close() })
	return l
}

// passing has n goroutines pass for as long as ctx lasts, each holding on to its
// slot for a while; counted is told how many passed.
func passing(ctx context.Context, all *sync.WaitGroup, l *Limiter, n int, hold time.Duration, counted *atomic.Int64) {
	for range n {
		all.Go(func() {
			for {
				done, err := l.Pass(ctx)
				if err != nil {
					return
				}
				counted.Add(1)
				_ = sleep(ctx, hold)
				done()
			}
		})
	}
}

// sleep waits, or returns ctx's error.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TestRate: several processes together keep a rate, and each has a part of it.
func TestRate(t *testing.T) {
	onServers(t, func(t *testing.T, address string) {
		const rate = 200
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		var all sync.WaitGroup
		counts := make([]atomic.Int64, 3)
		for i := range counts {
			passing(ctx, &all, process(t, address, Config{Lane: topology.Realtime, Rate: rate}), 8, 0, &counts[i])
		}
		for i := range counts {
			fixtures.Eventually(t, "every process passes", func() bool { return counts[i].Load() > rate/10 })
		}
		cancel()
		all.Wait()
		total := counts[0].Load() + counts[1].Load() + counts[2].Load()
		if took := time.Since(began); total > int64(rate*took.Seconds()*1.02+rate*burst.Seconds()+1) {
			t.Errorf("%d passed in %v at %d a second", total, took, rate)
		}
	})
}

// BenchmarkRate is how much of a rate several processes use.
func BenchmarkRate(b *testing.B) {
	const rate = 200
	address := miniredis.RunT(b).Addr()
	ctx, cancel := context.WithCancel(b.Context())
	var all sync.WaitGroup
	var passed atomic.Int64
	for range 3 {
		passing(ctx, &all, process(b, address, Config{Lane: topology.Realtime, Rate: rate}), 8, 0, &passed)
	}
	for b.Loop() {
		_ = sleep(ctx, 100*time.Millisecond)
	}
	b.ReportMetric(float64(passed.Load())/b.Elapsed().Seconds()/rate, "of-the-rate")
	cancel()
	all.Wait()
}

// TestRateReserve: beside batches that take all they can get, from several
// processes and however low the rate is, a real-time message gets its token at
// once; while none comes, the batch lane has the whole rate. The clock is the
// store's.
func TestRateReserve(t *testing.T) {
	for _, test := range []struct {
		rate, reserve float64
		batches       int
		every         time.Duration // that a real-time message comes
		bucket, left  int
	}{{100, 0.3, 1, 50 * time.Millisecond, 10, 3}, {10, 0.5, 4, 300 * time.Millisecond, 2, 1}} {
		store := miniredis.RunT(t)
		now := time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC)
		store.SetTime(now)
		lane := func(of topology.Lane) *Limiter {
			return process(t, store.Addr(), Config{Lane: of, Rate: test.rate, Reserve: test.reserve})
		}
		take := func(l *Limiter) int {
			got, _, err := l.tokens.fetch(t.Context(), 1)
			if err != nil {
				t.Fatal(err)
			}
			return len(got)
		}
		realtime, batches := lane(topology.Realtime), make([]*Limiter, test.batches)
		for i := range batches {
			batches[i] = lane(topology.Batch)
		}
		flood := func() (passed int) {
			for _, l := range batches {
				for n := take(l); n > 0; n = take(l) {
					passed += n
				}
			}
			return passed
		}
		if n := flood(); n != test.bucket-test.left {
			t.Errorf("at first the batch lane takes %d of %d, and is to leave %d", n, test.bucket, test.left)
		}
		passed, taken := 0, 0
		const step, seconds = 10 * time.Millisecond, 3
		for since := step; since <= seconds*time.Second; since += step {
			store.SetTime(now.Add(since))
			passed += flood()
			if since%test.every == 0 {
				n := take(realtime)
				if n == 0 {
					t.Errorf("at %v a message a second, a real-time message waits after %v", test.rate, since)
				}
				taken += n
			}
		}
		all := int(test.rate * seconds)
		if passed < all/4 || passed+taken > all+test.left || passed+taken < all-1 {
			t.Errorf("of %d tokens the batch lane has %d, the real-time lane %d", all, passed, taken)
		}
	}
}

// BenchmarkReserve is how long real-time messages wait beside a batch.
func BenchmarkReserve(b *testing.B) {
	address := miniredis.RunT(b).Addr()
	ctx, cancel := context.WithCancel(b.Context())
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	var flood atomic.Int64
	passing(ctx, &all, process(b, address, Config{Lane: topology.Batch, Rate: 100, Reserve: 0.3}), 50, 0, &flood)
	realtime := process(b, address, Config{Lane: topology.Realtime, Rate: 100, Reserve: 0.3})
	most := time.Duration(0)
	for b.Loop() {
		_ = sleep(ctx, 50*time.Millisecond)
		began := time.Now()
		done, err := realtime.Pass(ctx)
		if err != nil {
			b.Fatal(err)
		}
		done()
		most = max(most, time.Since(began))
	}
	b.ReportMetric(float64(most.Milliseconds()), "most-ms")
}

// TestAtOnce: never more at once than may be, over several processes, with what
// is reserved kept free, and nobody left out.
func TestAtOnce(t *testing.T) {
	onServers(t, func(t *testing.T, address string) {
		const limit = 8
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		var now, top [2]atomic.Int64 // of the batch lane, and of both
		counts := make([]atomic.Int64, 3)
		for i := range counts {
			lane, which := topology.Batch, 0
			if i == 2 {
				lane, which = topology.Realtime, 1
			}
			l := process(t, address, Config{Lane: lane, AtOnce: limit, Reserve: 0.5})
			for range 8 {
				all.Go(func() {
					for {
						done, err := l.Pass(ctx)
						if err != nil {
							return
						}
						for k := which; k < 2; k++ {
							n := now[k].Add(1)
							for was := top[k].Load(); n > was && !top[k].CompareAndSwap(was, n); was = top[k].Load() {
							}
						}
						counts[i].Add(1)
						_ = sleep(ctx, 20*time.Millisecond)
						for k := which; k < 2; k++ {
							now[k].Add(-1)
						}
						done()
					}
				})
			}
		}
		fixtures.Eventually(t, "the real-time lane passes", func() bool { return counts[2].Load() > 100 })
		cancel()
		all.Wait()
		if top[0].Load() > limit/2 || top[1].Load() > limit {
			t.Errorf("%d of the batch lane at once, %d in all: at most %d and %d may be", top[0].Load(), top[1].Load(),
				limit/2, limit)
		}
	})
}

// TestBatchLeavesTheReserve: alone, the batch lane has its share and no more.
func TestBatchLeavesTheReserve(t *testing.T) {
	onServers(t, func(t *testing.T, address string) {
		batch := process(t, address, Config{Lane: topology.Batch, AtOnce: 4, Reserve: 0.5})
		for range 2 {
			if _, err := batch.Pass(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := batch.Pass(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a third passed: %v", err)
		}
		realtime := process(t, address, Config{Lane: topology.Realtime, AtOnce: 4, Reserve: 0.5})
		for range 2 {
			if _, err := realtime.Pass(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestFairness: a process that never stops asking leaves something to others.
func TestFairness(t *testing.T) {
	onServers(t, func(t *testing.T, address string) {
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		var first, second atomic.Int64
		c := Config{Lane: topology.Realtime, AtOnce: 2}
		passing(ctx, &all, process(t, address, c), 8, time.Millisecond, &first)
		fixtures.Eventually(t, "the first passes", func() bool { return first.Load() > 10 })
		passing(ctx, &all, process(t, address, c), 8, time.Millisecond, &second)
		fixtures.Eventually(t, "the second passes too", func() bool { return second.Load() > 50 })
		was := first.Load()
		fixtures.Eventually(t, "the first still passes", func() bool { return first.Load() > was+50 })
		cancel()
		all.Wait()
	})
}

// TestRedisAway: nothing passes without Redis; everything does when it is back.
func TestRedisAway(t *testing.T) {
	store := miniredis.RunT(t)
	l := process(t, store.Addr(), Config{Lane: topology.Realtime, Rate: 100, AtOnce: 2})
	store.SetError("LOADING Redis is loading the dataset in memory")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := l.Pass(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("without Redis: %v", err)
	}
	store.SetError("")
	done, err := l.Pass(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	done()
	if n, total := l.Waits(); n < 1 || total < 300*time.Millisecond {
		t.Errorf("%d waited for %v", n, total)
	}
}

// TestDeath: the slots of a process that died are free when their lease ends.
func TestDeath(t *testing.T) {
	store := miniredis.RunT(t)
	c := Config{Lane: topology.Realtime, AtOnce: 1, SendTime: time.Second}
	if _, err := process(t, store.Addr(), c).Pass(t.Context()); err != nil {
		t.Fatal(err)
	}
	other := process(t, store.Addr(), c)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := other.Pass(ctx); err == nil {
		t.Fatal("a second passed")
	}
	store.SetTime(time.Now().Add(c.lease() + time.Second))
	if _, err := other.Pass(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestLimits(t *testing.T) {
	for _, c := range []Config{
		{Rate: -1}, {AtOnce: -1}, {Rate: 1, Reserve: 1}, {Rate: 1, Reserve: -0.1},
		{AtOnce: 1, Reserve: 0.5, Lane: topology.Batch},
	} {
		if _, err := New(c); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}

func BenchmarkPass(b *testing.B) {
	store := miniredis.RunT(b)
	l := process(b, store.Addr(), Config{Lane: topology.Realtime, Rate: 1e9, AtOnce: 100_000})
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			done, err := l.Pass(context.Background())
			if err != nil {
				b.Error(err)
				return
			}
			done()
		}
	})
}
