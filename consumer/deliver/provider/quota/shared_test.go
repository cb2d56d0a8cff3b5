package quota

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/meddela/meddela/topology"
)

// TestLowRateReserve: a reserve holds for a provider of few messages a second
// too, beside several processes that ask for all there is.
func TestLowRateReserve(t *testing.T) {
	onServers(t, func(t *testing.T, address string) {
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		defer all.Wait()
		defer cancel()
		var flood atomic.Int64
		for range 4 {
			passing(ctx, &all, process(t, address, Config{Lane: topology.Batch, Rate: 10, Reserve: 0.5}), 10, 0, &flood)
		}
		for flood.Load() < 2 {
			_ = sleep(ctx, minWait)
		}
		realtime := process(t, address, Config{Lane: topology.Realtime, Rate: 10, Reserve: 0.5})
		most, total := time.Duration(0), time.Duration(0)
		for range 8 {
			began := time.Now()
			done, err := realtime.Pass(ctx)
			if err != nil {
				t.Fatal(err)
			}
			done()
			took := time.Since(began)
			most, total = max(most, took), total+took
			_ = sleep(ctx, 300*time.Millisecond-took)
		}
		if most > 200*time.Millisecond {
			t.Errorf("a real-time message waited %v", most)
		}
		if flood.Load() < 8 {
			t.Errorf("the batch passed %d in 2.4 s at 10 a second", flood.Load())
		}
		t.Logf("real-time messages waited %v in the mean, %v at most; the batch passed %d", total/8, most, flood.Load())
	})
}

// TestUnusedSlots: what a busy process does not use any more is others' soon.
func TestUnusedSlots(t *testing.T) {
	onServers(t, func(t *testing.T, address string) {
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		defer all.Wait()
		defer cancel()
		c := Config{Lane: topology.Realtime, AtOnce: 8}
		busy, other := process(t, address, c), process(t, address, c)
		dones := make([]func(), 8)
		for i := range dones {
			var err error
			if dones[i], err = busy.Pass(ctx); err != nil {
				t.Fatal(err)
			}
		}
		for _, done := range dones {
			done()
		}
		var counted atomic.Int64
		passing(ctx, &all, busy, 1, 20*time.Millisecond, &counted)
		began := time.Now()
		done, err := other.Pass(ctx)
		if err != nil {
			t.Fatal(err)
		}
		done()
		if took := time.Since(began); took > slotHold/2 {
			t.Errorf("the other waited %v", took)
		}
	})
}

// TestWaits: every message that waited is counted, with its time, in vain or not.
func TestWaits(t *testing.T) {
	onServers(t, func(t *testing.T, address string) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var all sync.WaitGroup
		var passed atomic.Int64
		l := process(t, address, Config{Lane: topology.Realtime, Rate: 20})
		passing(ctx, &all, l, 20, 0, &passed)
		all.Wait()
		// All but the first few of those that passed, and the 20 in the end.
		if n, total := l.Waits(); n < passed.Load()+15 || total < 18*time.Second || total > 21*time.Second {
			t.Errorf("%d waited for %v: want about %d, for 20 s", n, total, passed.Load()+18)
		}
	})
}

// TestOrder: those that wait get what there is in the order in which they came.
func TestOrder(t *testing.T) {
	onServers(t, func(t *testing.T, address string) {
		l := process(t, address, Config{Lane: topology.Realtime, AtOnce: 1})
		done, err := l.Pass(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		const n = 20
		var all sync.WaitGroup
		var passed atomic.Int64
		for i := range int64(n) {
			all.Go(func() {
				done, err := l.Pass(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				if place := passed.Add(1) - 1; place != i {
					t.Errorf("the waiter %d was number %d", i, place)
				}
				done()
			})
			for queued := 0; queued <= int(i); {
				l.slots.mu.Lock()
				queued = len(l.slots.queue)
				l.slots.mu.Unlock()
			}
		}
		done()
		all.Wait()
	})
}

// TestFractions: a reserve in decimals leaves what it says.
func TestFractions(t *testing.T) {
	for reserve, want := range map[float64]int{0: 10, 0.1: 9, 0.3: 7, 0.42: 5, 0.7: 3, 0.8: 2, 0.9: 1, 0.91: 0} {
		if c := (Config{AtOnce: 10, Reserve: reserve, Lane: topology.Batch}); c.atOnce() != want {
			t.Errorf("%v of 10 leaves %d, want %d", reserve, c.atOnce(), want)
		}
	}
}

// BenchmarkContended is a place at once that many messages wait for.
func BenchmarkContended(b *testing.B) {
	l := process(b, miniredis.RunT(b).Addr(), Config{Lane: topology.Realtime, AtOnce: 16})
	b.SetParallelism(128)
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
