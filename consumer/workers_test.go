package consumer_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/rs/zerolog"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/test/fixtures"
	"github.com/meddela/meddela/topology"
)

// parallel lets batches of one partition be handled side by side.
func parallel(c *consumer.Config) { c.Parallel, c.FetchBytes = 8, 4000 }

// TestOneThatWaits: a batch that waits holds up no other of its partition, and
// nothing behind it is committed before it is done.
func TestOneThatWaits(t *testing.T) {
	w := newWorld(t)
	w.publish(0, 1)
	waits, goOn := make(chan struct{}), make(chan struct{})
	var released sync.Once
	release := func() { released.Do(func() { close(goOn) }) }
	var once sync.Once
	stop := w.start(handlerFunc(func(ctx context.Context, b consumer.Batch) (consumer.Result, error) {
		if b.Partition == 2 && slices.ContainsFunc(b.Records,
			func(r topology.Record) bool { return string(r.Value) == "2/0" }) {
			once.Do(func() { close(waits) })
			<-goOn
		}
		return toJobs(ctx, b)
	}), parallel)
	t.Cleanup(release) // before the loop is stopped, which waits for it
	<-waits
	w.publish(1, 60)
	fixtures.Await(w.t, "all but the one that waits", func() error {
		jobs, err := w.read(names.Jobs(topology.Realtime))
		for p := range partitions {
			want := 60
			if p == 2 {
				want = 59
			}
			if err == nil && len(jobs[p]) != want {
				err = fmt.Errorf("partition %d has %d jobs, want %d", p, len(jobs[p]), want)
			}
		}
		return err
	})
	fixtures.Await(w.t, "the others' commits", func() error {
		if got := w.committed(); got[0] != 60 || got[2] > 0 {
			return fmt.Errorf("committed %v", got)
		}
		return nil
	})
	release()
	stop()
	if got, want := w.committed(), map[int]int64{0: 60, 1: 60, 2: 60, 3: 60}; !maps.Equal(got, want) {
		t.Errorf("committed %v, want %v", got, want)
	}
	jobs, err := w.read(names.Jobs(topology.Realtime))
	if err != nil || len(jobs[2]) != 60 || len(firsts(jobs[2])) != 60 {
		t.Errorf("partition 2 has %d jobs, %v", len(jobs[2]), err)
	}
}

// TestStrandsAreTheirOwn: no two batches of a partition are handled on one
// worker at the same time, and a crash on one costs the others nothing.
func TestStrandsAreTheirOwn(t *testing.T) {
	w := newWorld(t)
	w.log = zerolog.Nop()
	w.publish(0, 200)
	var mu sync.Mutex
	busy := make(map[[2]int]bool)
	w.start(handlerFunc(func(ctx context.Context, b consumer.Batch) (consumer.Result, error) {
		place := [2]int{b.Partition, b.Worker}
		mu.Lock()
		if busy[place] {
			t.Errorf("partition %d: two batches on worker %d", b.Partition, b.Worker)
		}
		busy[place] = true
		mu.Unlock()
		defer func() {
			mu.Lock()
			defer mu.Unlock()
			busy[place] = false
		}()
		for _, r := range b.Records {
			if string(r.Value) == "1/42" {
				panic("cannot bear this one")
			}
		}
		return toJobs(ctx, b)
	}), parallel)
	fixtures.Await(w.t, "everything has its place", func() error {
		jobs, err := w.read(names.Jobs(topology.Realtime))
		if err == nil && (len(jobs[0]) != 200 || len(jobs[1]) != 199 || slices.Contains(jobs[1], "1/42")) {
			err = fmt.Errorf("partition 0 has %d jobs, partition 1 %d", len(jobs[0]), len(jobs[1]))
		}
		return err
	})
	fixtures.Await(w.t, "the dead letter", func() error {
		letters, err := w.read(names.DeadLetters(topology.Realtime))
		if err == nil && !slices.Equal(letters[1], []string{"1/42"}) {
			err = fmt.Errorf("dead letters %v", letters)
		}
		return err
	})
}
