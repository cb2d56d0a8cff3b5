package consumer

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/meddela/meddela/topology"
)

// Lag is how far a loop is behind in one partition that it reads.
type Lag struct {
	Topic     topology.Topic
	Partition int
	// Records is how many are not done with, those that are passed over
	// included.
	Records int64
	// Age is how long the oldest record that is not done with has been waiting:
	// since it was written, or since it was due where the handler asked to wait.
	Age time.Duration
}

// tracker follows one partition: from the fetch, where records come in, to the
// acknowledgement, where they are done with.
type tracker struct {
	topic     topology.Topic
	partition int

	mu      sync.Mutex
	end     int64     // of the partition, as the last fetch said
	next    int64     // everything below is done with
	flights []flight  // fetched and not done with, in order
	current time.Time // when nothing was left the last time
	until   time.Time // that the handler asked to wait for

	// moved is when something last happened; waits counts what waits for Kafka,
	// during which nothing stalls.
	moved time.Time
	waits int
}

// flight is a batch between its fetch and its acknowledgement.
type flight struct {
	next    int64     // what it reaches to
	written time.Time // its oldest record; zero if it has none
}

func newTracker(topic topology.Topic, partition int, now time.Time) *tracker {
	return &tracker{topic: topic, partition: partition, next: -1, current: now, moved: now}
}

func (t *tracker) fetched(got *Fetched, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.moved, t.end = now, got.HighWatermark
	if got.Moved {
		f := flight{next: got.Next}
		if len(got.Records) > 0 {
			f.written = got.Records[0].Time
		}
		t.flights = append(t.flights, f)
	}
	if t.next < 0 { // where a first fetch began, as far as it shows
		t.next = got.Next
		if len(got.Records) > 0 {
			t.next = got.Records[0].Offset
		}
	}
	t.settle(now)
}

// reached notes that everything below next is done with.
func (t *tracker) reached(next int64, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.moved, t.next, t.until = now, next, time.Time{} // which is less after a seek
	done := 0
	for done < len(t.flights) && t.flights[done].next <= t.next {
		done++
	}
	t.flights = slices.Delete(t.flights, 0, done)
	t.settle(now)
}

func (t *tracker) settle(now time.Time) {
	if len(t.flights) == 0 && t.next >= t.end {
		t.current = now
	}
}

// busy reports whether something is fetched and not done with.
func (t *tracker) busy() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.flights) > 0
}

// beat notes that the loop does not stall.
func (t *tracker) beat() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.moved = time.Now()
}

// wait notes that the handler's next record is not to be handled before then.
func (t *tracker) wait(until time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.until, t.moved = until, until
}

// awaitKafka notes that the loop waits for Kafka until back is called.
func (t *tracker) awaitKafka() (back func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waits++
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.waits--
		t.moved = time.Now()
	}
}

func (t *tracker) lag(now time.Time) Lag {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := Lag{Topic: t.topic, Partition: t.partition}
	if t.next >= 0 {
		p.Records = max(t.end-t.next, 0)
	}
	p.Age = max(now.Sub(t.oldest(now)), 0)
	return p
}

// oldest is when what is waited for was written or due; now if there is nothing.
func (t *tracker) oldest(now time.Time) time.Time {
	if !t.until.IsZero() {
		return t.until
	}
	for _, f := range t.flights {
		if !f.written.IsZero() {
			return f.written
		}
	}
	if t.next >= 0 && (len(t.flights) > 0 || t.next < t.end) {
		return t.current // what is there has come since
	}
	return now
}

// stalled is for how long nothing has happened that the loop itself is to do.
func (t *tracker) stalled(now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.waits > 0 {
		return 0
	}
	return max(now.Sub(t.moved), 0)
}

type trackerKey struct{}

func (t *tracker) in(ctx context.Context) context.Context {
	return context.WithValue(ctx, trackerKey{}, t)
}

// Alive is called by a Handler that waits for long for a server, with the context
// of Handle, each time that it tries again: it has not stalled.
func Alive(ctx context.Context) {
	if t, ok := ctx.Value(trackerKey{}).(*tracker); ok {
		t.beat()
	}
}
