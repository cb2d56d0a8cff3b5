package quota

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/meddela/meddela/test/fixtures"
	"github.com/meddela/meddela/topology"
)

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
		done, err := other.Pass(ctx) // where they stayed with the busy one, it would wait for ever
		if err != nil {
			t.Fatal(err)
		}
		done()
	})
}

// TestWaits: every message that waited is counted, with its time, in vain or not.
func TestWaits(t *testing.T) {
	onServers(t, func(t *testing.T, address string) {
		l := process(t, address, Config{Lane: topology.Realtime, AtOnce: 1})
		done, err := l.Pass(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if n, total := l.Waits(); n != 0 || total != 0 {
			t.Errorf("%d waited for %v: want nobody", n, total)
		}
		began := time.Now()
		waiting := func(ctx context.Context) (passed chan error) {
			passed = make(chan error, 1)
			go func() { _, err := l.Pass(ctx); passed <- err }()
			fixtures.Eventually(t, "it waits", func() bool {
				l.slots.mu.Lock()
				defer l.slots.mu.Unlock()
				return len(l.slots.queue) > 0 && l.slots.queue[0].late
			})
			return passed
		}
		ctx, cancel := context.WithCancel(t.Context())
		passed := waiting(ctx)
		cancel()
		if err := <-passed; !errors.Is(err, context.Canceled) {
			t.Errorf("it passed: %v", err)
		}
		passed = waiting(t.Context())
		done()
		if err := <-passed; err != nil {
			t.Error(err)
		}
		if n, total := l.Waits(); n != 2 || total <= 0 || total > time.Since(began) {
			t.Errorf("%d waited for %v: want 2, in %v", n, total, time.Since(began))
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
				if number := passed.Add(1) - 1; number != i {
					t.Errorf("the waiter %d was number %d", i, number)
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

// BenchmarkContended is slots that many messages wait for.
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
