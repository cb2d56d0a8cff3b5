package consumer_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/test/fixtures"
	"github.com/meddela/meddela/topology"
)

// TestStoppedTogether stops the members of a group at the same time, in the
// midst of sharing partitions anew: each leaves at once, and none stays behind
// as a ghost that the others wait for.
func TestStoppedTogether(t *testing.T) {
	w := newWorld(t)
	for round := range 5 {
		stops := []func(){w.start(handlerFunc(toJobs)), w.start(handlerFunc(toJobs)), w.start(handlerFunc(toJobs))}
		fixtures.Await(w.t, "the group has its members", func() error { return w.members(round%len(stops) + 1) })

		began := time.Now()
		var all sync.WaitGroup
		for _, stop := range stops {
			all.Go(stop)
		}
		all.Wait()
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("round %d: stopping took %v", round, took)
		}
		if err := w.members(0); err != nil {
			t.Errorf("round %d: %v after all have stopped", round, err)
		}
	}
}

// members checks how many members the group has: n or more, or none if n is 0.
func (w *world) members(n int) error {
	response, err := w.Client.DescribeGroups(w.t.Context(), &kafka.DescribeGroupsRequest{
		GroupIDs: []string{names.Group(topology.RoleMatch, topology.Realtime)},
	})
	if err != nil {
		return err
	}
	if len(response.Groups) != 1 {
		return errors.New("the group is not known")
	}
	if got := len(response.Groups[0].Members); got < n || (n == 0 && got > 0) {
		return fmt.Errorf("the group has %d members", got)
	}
	return nil
}

// TestNoWaitForAnOldSession takes the coordinator away until the member has
// lost its place. When it is back, the member does not wait for the end of the
// session that it had.
func TestNoWaitForAnOldSession(t *testing.T) {
	w := newWorld(t)
	w.start(handlerFunc(toJobs), func(c *consumer.Config) { c.SessionTimeout = time.Minute })
	w.publish(0, 5)
	fixtures.Await(w.t, "before", func() error { return w.jobsAre(5, false) })

	w.Sleep()
	time.Sleep(2 * time.Second) // some heartbeats
	w.Wake()
	w.publish(5, 10)
	fixtures.Await(w.t, "after", func() error { return w.jobsAre(10, true) })
}
