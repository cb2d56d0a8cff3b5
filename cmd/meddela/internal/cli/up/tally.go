package up

import (
	"context"
	"slices"
	"time"

	"github.com/meddela/meddela/consumer/status"
	"github.com/meddela/meddela/topology"
)

// tally knows of every event of a demonstration how it is now.
type tally struct {
	reader *status.Reader
	events map[topology.EventID]*tallied
	open   []topology.EventID // not at rest yet
}

type tallied struct {
	lane  topology.Lane
	want  topology.Status
	state topology.State
}

// refresh reads the statuses of all events that are not at rest: that have not
// come to their end, and do not wait for a scheduled time.
func (t *tally) refresh(ctx context.Context) error {
	answers, err := t.reader.GetMany(ctx, t.open)
	if err != nil {
		return err
	}
	var open []topology.EventID
	for i, id := range t.open {
		state := &answers[i].State
		if answers[i].Err != nil {
			return answers[i].Err
		}
		t.events[id].state = *state
		if !state.Status.Final() && state.Reason != topology.ReasonScheduled {
			open = append(open, id)
		}
	}
	t.open = open
	return nil
}

type laneCount struct {
	published int
	now, seen map[topology.Status]int
	// latencies from publication to the end, of the events that are sent and
	// did not have to wait for a scheduled time; sorted.
	latencies []time.Duration
}

// count counts the events of each lane. The times kept of each stage tell what an event has passed through.
func (t *tally) count() map[topology.Lane]*laneCount {
	counts := make(map[topology.Lane]*laneCount)
	for _, lane := range topology.Lanes() {
		counts[lane] = &laneCount{now: make(map[topology.Status]int), seen: make(map[topology.Status]int)}
	}
	for _, e := range t.events {
		c, s := counts[e.lane], &e.state
		c.published++
		c.now[s.Status]++
		c.seen[s.Status]++
		if s.Status != topology.Pending && !s.PendingAt.IsZero() {
			c.seen[topology.Pending]++
		}
		if s.Status != topology.PendingDelivery && !s.PendingDeliveryAt.IsZero() {
			c.seen[topology.PendingDelivery]++
		}
		if s.Status == topology.Sent && s.Scheduled.IsZero() {
			c.latencies = append(c.latencies, s.FinalAt().Sub(s.PendingAt))
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
func (t *tally) astray() (ids []topology.EventID) {
	for id, e := range t.events {
		if e.state.Status != e.want {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}
