package scenario

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/meddela/meddela/topology"
)

// stream is an upstream system that publishes event after event while other
// things happen.
type stream struct {
	*site
	lane topology.Lane
	// make makes the event of a number, and says what is to come of it.
	make func(i int) (r record, outcome string)

	stop       func()
	publishing sync.WaitGroup

	mu   sync.Mutex
	next int               // the number of the next event
	want map[string]string // of what is published
	err  error
}

// Every tick of a stream, so many events are published.
const streamTick = 200 * time.Millisecond

func perTick() int {
	if testing.Short() {
		return 10
	}
	return 50
}

// orders makes events that are sent.
func orders(i int) (record, string) { return order(fmt.Sprintf("order-%d", i), "mail"), "sent" }

// stream begins to publish in the background.
func (s *site) stream(lane topology.Lane, makeEvent func(int) (record, string)) *stream {
	ctx, cancel := context.WithCancel(context.Background())
	st := &stream{
		site: s, lane: lane, make: makeEvent,
		stop: cancel,
		want: make(map[string]string),
	}
	st.publishing.Go(func() { st.run(ctx) })
	s.t.Cleanup(func() { cancel(); st.publishing.Wait() })
	return st
}

func (st *stream) run(ctx context.Context) {
	ticker := time.NewTicker(streamTick)
	defer ticker.Stop()
	for {
		st.publishNext(perTick())
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// burst publishes events besides, in the background.
func (st *stream) burst(n int) { st.publishing.Go(func() { st.publishNext(n) }) }

// publishNext publishes the next events of the stream.
func (st *stream) publishNext(n int) {
	records := make([]record, n)
	want := make(map[string]string, n)
	st.mu.Lock()
	for i := range records {
		var outcome string
		records[i], outcome = st.make(st.next + i)
		want[records[i].key] = outcome
	}
	st.next += n
	st.mu.Unlock()
	err := st.upstream.publish(string(st.topics.Events(st.lane)), records)
	st.mu.Lock()
	defer st.mu.Unlock()
	maps.Copy(st.want, want)
	st.err = errors.Join(st.err, err)
}

// published is what has been published until now, and what is to come of it.
func (st *stream) published() map[string]string {
	st.t.Helper()
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.err != nil {
		st.t.Fatal(st.err)
	}
	return maps.Clone(st.want)
}

// awaitPublished waits until so many events more than now are published.
func (st *stream) awaitPublished(more int) {
	st.t.Helper()
	goal := len(st.published()) + more
	st.eventually(time.Minute, fmt.Sprintf("%d events are published", goal), func() error {
		if n := len(st.published()); n < goal {
			return fmt.Errorf("%d are", n)
		}
		return nil
	})
}

// end ends the publishing, and returns all that was published.
func (st *stream) end() map[string]string {
	st.t.Helper()
	st.stop()
	st.publishing.Wait()
	return st.published()
}
