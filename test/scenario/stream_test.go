package scenario

import (
	"context"
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

	stop func()
	done chan struct{}

	mu   sync.Mutex
	want map[string]string // of what is published
	err  error
}

// Every tick of a stream, so many events are published.
const streamTick = 200 * time.Millisecond

func perTick() int {
	if testing.Short() {
		return 20
	}
	return 100
}

// orders makes events that are sent.
func orders(i int) (record, string) { return order(fmt.Sprintf("order-%d", i), "mail"), "sent" }

// stream begins to publish in the background.
func (s *site) stream(lane topology.Lane, makeEvent func(int) (record, string)) *stream {
	ctx, cancel := context.WithCancel(context.Background())
	st := &stream{
		site: s, lane: lane, make: makeEvent,
		stop: cancel, done: make(chan struct{}),
		want: make(map[string]string),
	}
	go st.run(ctx)
	s.t.Cleanup(func() { cancel(); <-st.done })
	return st
}

func (st *stream) run(ctx context.Context) {
	defer close(st.done)
	ticker := time.NewTicker(streamTick)
	defer ticker.Stop()
	for i := 0; ; i += perTick() {
		if err := st.publishFrom(i, perTick()); err != nil {
			st.mu.Lock()
			st.err = err
			st.mu.Unlock()
			return
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func (st *stream) publishFrom(first, n int) error {
	records := make([]record, n)
	want := make(map[string]string, n)
	for i := range records {
		var outcome string
		records[i], outcome = st.make(first + i)
		want[records[i].key] = outcome
	}
	if err := st.upstream.publish(string(st.topics.Events(st.lane)), records); err != nil {
		return err
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	maps.Copy(st.want, want)
	return nil
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
	<-st.done
	return st.published()
}
