package up

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/meddela/meddela/consumer/status"
	"github.com/meddela/meddela/topology"
)

// tally knows of every event of a demonstration how it should end, and how it
// is now.
type tally struct {
	reader *status.Reader
	start  time.Time

	mu     sync.Mutex
	events map[topology.EventID]*tallied
	open   []topology.EventID // not at rest yet
}

// tallied is one event of a tally.
type tallied struct {
	lane  topology.Lane
	want  topology.Status
	state topology.State
	seen  map[topology.Status]bool
}

func newTally(reader *status.Reader) *tally {
	return &tally{reader: reader, start: time.Now(), events: make(map[topology.EventID]*tallied)}
}

// expect says that an event is about to be published, and how it should end.
func (t *tally) expect(id topology.EventID, lane topology.Lane, want topology.Status) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.events[id] = &tallied{lane: lane, want: want, seen: make(map[topology.Status]bool)}
	t.open = append(t.open, id)
}

// refresh reads the statuses of all events that are not at rest.
func (t *tally) refresh(ctx context.Context) error {
	t.mu.Lock()
	open := slices.Clone(t.open)
	t.mu.Unlock()
	answers, err := t.reader.GetMany(ctx, open)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, id := range open {
		if answers[i].Err != nil {
			return answers[i].Err
		}
		if answers[i].Found {
			t.events[id].update(&answers[i].State)
		}
	}
	t.open = slices.DeleteFunc(t.open, func(id topology.EventID) bool { return t.events[id].atRest() })
	return nil
}

// atRest reports whether nothing more is to be expected in a demonstration: the
// event has come to its end, or waits for a scheduled time.
func (e *tallied) atRest() bool {
	return e.state.Status.Final() || e.state.Reason == topology.ReasonScheduled
}

// update notes a state, and which statuses the event has passed through: the
// times kept of each stage tell of those that nobody looked at.
func (e *tallied) update(s *topology.State) {
	e.state = *s
	e.seen[s.Status] = true
	if !s.PendingAt.IsZero() {
		e.seen[topology.Pending] = true
	}
	if !s.PendingDeliveryAt.IsZero() {
		e.seen[topology.PendingDelivery] = true
	}
}

// settled reports whether all events are at rest.
func (t *tally) settled() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.open) == 0
}

// laneCount is what a tally says of one lane.
type laneCount struct {
	published int
	now, seen map[topology.Status]int
	// latencies from publication to the end, of the events that are sent and
	// did not have to wait for a scheduled time; sorted.
	latencies []time.Duration
}

// count counts the events of each lane.
func (t *tally) count() map[topology.Lane]*laneCount {
	t.mu.Lock()
	defer t.mu.Unlock()
	counts := make(map[topology.Lane]*laneCount)
	for _, lane := range topology.Lanes() {
		counts[lane] = &laneCount{now: make(map[topology.Status]int), seen: make(map[topology.Status]int)}
	}
	for _, e := range t.events {
		c := counts[e.lane]
		c.published++
		for s := range e.seen {
			c.seen[s]++
		}
		if e.state.Status == "" {
			continue
		}
		c.now[e.state.Status]++
		if e.state.Status == topology.Sent && e.state.Scheduled.IsZero() {
			c.latencies = append(c.latencies, e.state.FinalAt().Sub(e.state.PendingAt))
		}
	}
	for _, c := range counts {
		slices.Sort(c.latencies)
	}
	return counts
}

// quantile is the latency that the share q of the events does not exceed.
func (c *laneCount) quantile(q float64) time.Duration {
	if len(c.latencies) == 0 {
		return 0
	}
	return c.latencies[min(int(q*float64(len(c.latencies))), len(c.latencies)-1)]
}

// astray lists the events that are not as they should be at the end.
func (t *tally) astray() []topology.EventID {
	t.mu.Lock()
	defer t.mu.Unlock()
	var ids []topology.EventID
	for id, e := range t.events {
		if e.state.Status != e.want {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// wanted is how an event should end.
func (t *tally) wanted(id topology.EventID) topology.Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.events[id].want
}

// state is what is known of an event.
func (t *tally) state(id topology.EventID) (topology.State, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e, ok := t.events[id]
	if !ok {
		return topology.State{}, false
	}
	return e.state, true
}
