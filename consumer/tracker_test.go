package consumer

import (
	"testing"
	"time"

	"github.com/meddela/meddela/topology"
)

// TestTracker: what waits is counted from when it was written, and what is to
// wait from when it is due.
func TestTracker(t *testing.T) {
	start := time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC)
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	batch := func(next int64, written int) *Fetched {
		return &Fetched{Records: []topology.Record{{Time: at(written)}}, Next: next, Moved: true, HighWatermark: 30}
	}
	tr := newTracker("t", 0, start)
	expect := func(now int, lag int64, age int) {
		t.Helper()
		if p := tr.lag(at(now)); p.Records != lag || p.Age != time.Duration(age)*time.Second {
			t.Errorf("at %d: lag %d, age %v; want %d and %d s", now, p.Records, p.Age, lag, age)
		}
	}
	expectStalled := func(now, seconds int) {
		t.Helper()
		if still := tr.stalled(at(now)); still != time.Duration(seconds)*time.Second {
			t.Errorf("at %d it has been still for %v, want %d s", now, still, seconds)
		}
	}
	expect(1, 0, 0)
	tr.fetched(&Fetched{Next: 10, HighWatermark: 10}, at(1)) // nothing there
	expect(5, 0, 0)
	tr.fetched(batch(20, 4), at(5))
	tr.fetched(batch(30, 6), at(7))
	expect(8, 20, 4)
	tr.reached(15, at(8)) // half of the first
	expect(9, 15, 5)
	tr.reached(20, at(9))
	expect(10, 10, 4)
	tr.wait(at(60))
	expect(20, 10, 0)
	expectStalled(59, 0)
	expect(70, 10, 10)
	expectStalled(80, 20)
	back := tr.awaitKafka()
	expectStalled(500, 0) // Kafka is away
	back()
	tr.reached(30, at(500))
	tr.fetched(&Fetched{Next: 30, HighWatermark: 30}, at(600))
	expect(600, 0, 0)
	// More is there than has been fetched: it came after the last fetch before.
	tr.fetched(&Fetched{Next: 40, Moved: true, HighWatermark: 50}, at(601))
	tr.reached(40, at(602))
	expect(610, 10, 10)
	// The topic was made anew: what is there counts, not how far the old one went.
	tr.fetched(&Fetched{Next: 0, Moved: true, HighWatermark: 0}, at(611))
	tr.reached(0, at(611))
	tr.fetched(&Fetched{Records: []topology.Record{{Time: at(600)}}, Next: 5, Moved: true, HighWatermark: 20}, at(612))
	expect(613, 20, 13)
}
