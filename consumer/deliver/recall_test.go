package deliver

import (
	"cmp"
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/meddela/meddela/topology"
)

// aLog is a delivery log that counts how often it is read, or cannot be.
type aLog struct {
	records []topology.Record
	reads   atomic.Int64
	since   atomic.Pointer[time.Time]
	err     error
}

func (l *aLog) read(_ context.Context, _ int, since time.Time, handle func([]topology.Record) error) error {
	l.reads.Add(1)
	l.since.Store(&since)
	if l.err != nil {
		return l.err
	}
	return handle(l.records)
}

func memoryOf(c *Config, log *aLog) *Memory {
	return &Memory{Redis: c.Redis, Keys: c.Keys, KeepClaims: cmp.Or(c.KeepClaims, time.Hour), Log: log.read}
}

func wanted(at time.Time) func(*topology.Job) {
	return func(j *topology.Job) { j.ReceivedAt = at }
}

// TestAnEmptiedRedis: jobs that are read again after Redis was emptied are looked up in the
// log, once for all of a partition, and those that it knows are not sent again.
func TestAnEmptiedRedis(t *testing.T) {
	w, log := newWorld(t), new(aLog)
	memory := func(c *Config) { c.Memory = memoryOf(c, log) }
	late := time.Now().Add(-10 * time.Minute).Truncate(time.Millisecond)
	deliverOne(t, w.handler(t, memory), aJob("first", wanted(time.Now().Add(time.Hour))))
	if n := log.reads.Load(); n != 0 {
		t.Fatalf("the log was read %d times, for a job that is younger than what Redis knows", n)
	}
	known, resent := manyJobs(20, wanted(late)), aJob("resent", retried, wanted(late))
	known = append(known, resent)
	log.records = handleAll(t.Context(), t, w.handler(t, memory), batchOf(known...))
	w.store.FlushAll()

	log.reads.Store(0)
	log.err = errors.New("no broker")
	unknown := aJob("unknown", wanted(late.Add(time.Minute)))
	batch := batchOf(append([]topology.Job{unknown}, known...)...)
	other := w.handler(t, memory)
	sent := w.provider.sent()
	if result, err := other.Handle(t.Context(), batch); !errors.Is(err, log.err) || result.Handled > 0 {
		t.Errorf("while the log cannot be read: %d handled, %v", result.Handled, err)
	}
	if w.provider.sent() != sent || len(w.store.Keys()) > 1 {
		t.Errorf("while the log cannot be read: %d sent, and Redis has %v", w.provider.sent()-sent, w.store.Keys())
	}
	log.err = nil
	again := handleAll(t.Context(), t, other, batch)
	w.provider.once(t, len(known)+2)
	for i := range known {
		if got, want := again[1+i].Value, log.records[i].Value; string(got) != string(want) {
			t.Errorf("entry %d is\n%s, and was\n%s", i, got, want)
		}
	}
	if n := other.Counters.Ambiguous.Load(); n != 0 {
		t.Errorf("%d are counted as ambiguous", n)
	}
	if n, since := log.reads.Load(), log.since.Load(); n != 2 || late.Sub(*since) != 2*clocksApart {
		t.Errorf("the log was read %d times, the last time from %v on", n, since)
	}
	handleAll(t.Context(), t, other, batchOf(aJob("younger", wanted(late.Add(2*time.Minute)))))
	handleAll(t.Context(), t, other, batchOf(aJob("little-older", wanted(late.Add(-time.Minute)))))
	if n := log.reads.Load(); n != 2 {
		t.Errorf("the log was read %d times", n)
	}
	handleAll(t.Context(), t, other, batchOf(aJob("older", wanted(late.Add(-2*time.Minute)))))
	if n := log.reads.Load(); n != 3 {
		t.Errorf("the log was read %d times for an older job", n)
	}

	w.store.Del(keys.Claim(known[0].JobID)) // as after a failover
	if err := other.config.Memory.Lost(t.Context()); err != nil {
		t.Fatal(err)
	}
	handleAll(t.Context(), t, w.handler(t, memory), batchOf(known[0]))
	w.provider.once(t, len(known)+5)

	w.store.Del(keys.Claim(known[1].JobID))
	if err := w.store.Set(keys.ClaimsSince(0), "a while ago"); err != nil { // by somebody else
		t.Fatal(err)
	}
	handleAll(t.Context(), t, w.handler(t, memory), batchOf(known[1]))
	w.provider.once(t, len(known)+5)
}
