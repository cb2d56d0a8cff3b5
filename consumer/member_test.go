package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/test/fixtures"
	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/wire"
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
	if got := len(w.memberIDs()); got < n || (n == 0 && got > 0) {
		return fmt.Errorf("the group has %d members", got)
	}
	return nil
}

// memberIDs are the names that the coordinator has for the group's members.
func (w *world) memberIDs() (ids []string) {
	w.t.Helper()
	response, err := w.Client.DescribeGroups(w.t.Context(), &kafka.DescribeGroupsRequest{
		GroupIDs: []string{names.Group(topology.RoleMatch, topology.Realtime)},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, m := range response.Groups[0].Members {
		ids = append(ids, m.MemberID)
	}
	return ids
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

// TestAMemberThatTalksNonsense gets nothing, costs the others nothing, and ends none.
func TestAMemberThatTalksNonsense(t *testing.T) {
	w := newWorld(t)
	w.start(handlerFunc(toJobs), func(c *consumer.Config) { c.SessionTimeout = time.Minute })
	w.publish(0, 5)
	fixtures.Await(w.t, "before", func() error { return w.jobsAre(5, false) })
	for _, says := range []string{
		"\x00\x00\x7f\xff\xff\xff\x00\x01t", // a count that the client's decoder would allocate
		"\x00\x00\x00\x00\x00\x01\x00\x01t\x00\x00\x00\x24" + `{"counts":{"t":2147483647,"u":1000}}`,
	} {
		ctx, transport := fixtures.Soon(t), w.Link.Transport()
		defer transport.CloseIdleConnections()
		other := wire.Group{
			Name: names.Group(topology.RoleMatch, topology.Realtime), Addr: w.Link.Addr(), Transport: transport,
		}
		joined, err := other.Join(ctx, "", time.Minute, time.Minute, []byte(says))
		if errors.Is(err, kafka.MemberIDRequired) {
			joined, err = other.Join(ctx, joined.Member, time.Minute, time.Minute, []byte(says))
		}
		if err != nil || joined.Leads {
			t.Fatalf("joined %+v, %v", joined, err)
		}
		if given, err := other.Sync(ctx, joined.Membership, nil); err != nil || len(given) > 10 {
			t.Errorf("it was given %q, %v", given, err)
		}
		if err := other.Leave(ctx, joined.Member); err != nil {
			t.Fatal(err)
		}
	}
	w.publish(5, 10)
	fixtures.Await(w.t, "after", func() error { return w.jobsAre(10, true) })
}

// workload is a handler that counts the batches that it has begun with, the records that it has
// handled, by partition, and how often it was called off.
type workload struct {
	took      time.Duration
	mu        sync.Mutex
	begun     int
	handled   map[int]int
	calledOff int
}

func (c *workload) Handle(ctx context.Context, b consumer.Batch) (consumer.Result, error) {
	c.mu.Lock()
	took := c.took
	c.begun++
	c.mu.Unlock()
	select {
	case <-ctx.Done():
	case <-time.After(took):
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if ctx.Err() != nil {
		c.calledOff++
		return consumer.Result{}, ctx.Err()
	}
	if c.handled == nil {
		c.handled = make(map[int]int)
	}
	c.handled[b.Partition] += len(b.Records)
	return toJobs(ctx, b)
}

// has returns the partitions of which records were handled, and how often the handler
// was called off.
func (c *workload) has() (partitions []int, calledOff int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.handled)), c.calledOff
}

// flow publishes for as long as the test wants it to, and then checks that all was
// handled once.
func (w *world) flow() (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	sent := 0
	go func() {
		defer close(done)
		for ; ; sent++ {
			select {
			case <-quit:
				return
			case <-time.After(20 * time.Millisecond):
				w.publish(sent, sent+1)
			}
		}
	}()
	return func() {
		close(quit)
		<-done
		fixtures.Await(w.t, "all is handled, in order and once", func() error { return w.jobsAre(sent, false) })
	}
}

// TestOthersGoOn: who comes and who goes is nothing to what stays, and what moves is
// finished first.
func TestOthersGoOn(t *testing.T) {
	w := newWorld(t)
	first := &workload{took: 200 * time.Millisecond}
	w.start(first, func(c *consumer.Config) { c.SessionTimeout = 30 * time.Second })
	finish := w.flow()
	fixtures.Eventually(t, "the first has all", func() bool { has, _ := first.has(); return len(has) == partitions })
	for round := range 4 {
		second := &workload{}
		stop := w.start(second)
		if round%2 == 0 {
			fixtures.Eventually(t, "the second has some", func() bool { has, _ := second.has(); return len(has) == 2 })
		} // or else it goes while it comes
		stop()
		if _, off := second.has(); off > 0 {
			t.Errorf("the second's work was called off %d times", off)
		}
	}
	finish()
	if _, off := first.has(); off > 0 {
		t.Errorf("work was called off %d times", off)
	}
}

// TestADrainLongerThanASession: what goes to another member is finished first, for some seconds at most, and who
// finishes it stays a member all the while.
func TestADrainLongerThanASession(t *testing.T) {
	for name, test := range map[string]struct {
		takes     time.Duration
		calledOff int
	}{
		"what ends in time": {4 * time.Second, 0},
		"what hangs":        {time.Minute, partitions / 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			short := func(c *consumer.Config) { c.SessionTimeout = 3 * time.Second }
			first, second := &workload{took: test.takes}, &workload{}
			w.start(first, short)
			w.publish(0, 1)
			fixtures.Eventually(t, "all is in work", func() bool {
				first.mu.Lock()
				defer first.mu.Unlock()
				return first.begun == partitions
			})
			before, began := w.memberIDs(), time.Now()
			w.start(second, short)
			if test.calledOff == 0 {
				fixtures.Eventually(t, "it is finished", func() bool { has, _ := first.has(); return len(has) == partitions })
				w.publish(1, 2)
			}
			fixtures.Eventually(t, "the second has its share", func() bool {
				has, _ := second.has()
				return len(has) == partitions/2
			})
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("that took %v", took)
			}
			if _, off := first.has(); off != test.calledOff {
				t.Errorf("work was called off %d times, want %d", off, test.calledOff)
			}
			if after := w.memberIDs(); len(after) != 2 || !slices.Contains(after, before[0]) {
				t.Errorf("the members were %v, and are %v", before, after)
			}
			if test.calledOff == 0 {
				fixtures.Await(t, "each is handled once", func() error { return w.jobsAre(2, false) })
			}
		})
	}
}

// TestTheCoordinatorMoves, and is not there for some time: the work goes on.
func TestTheCoordinatorMoves(t *testing.T) {
	w := newWorld(t)
	c := &workload{took: 100 * time.Millisecond}
	w.start(c, func(c *consumer.Config) { c.SessionTimeout = 30 * time.Second })
	finish := w.flow()
	fixtures.Eventually(t, "it has all", func() bool { has, _ := c.has(); return len(has) == partitions })
	for _, with := range []kafka.Error{kafka.NotCoordinatorForGroup, kafka.GroupLoadInProgress} {
		heal := w.Refuse(kmsg.Heartbeat, with)
		time.Sleep(1500 * time.Millisecond) // some heartbeats
		heal()
	}
	finish()
	if _, off := c.has(); off > 0 {
		t.Errorf("work was called off %d times", off)
	}
}

// TestLostPlace: who is told, or must take it, that it is no member any more stops at once, and
// joins anew.
func TestLostPlace(t *testing.T) {
	for _, with := range []kafka.Error{kafka.UnknownMemberId, kafka.IllegalGeneration, kafka.NotCoordinatorForGroup} {
		t.Run(with.Title(), func(t *testing.T) {
			w := newWorld(t)
			w.log = zerolog.Nop()
			c := &workload{}
			w.start(c, func(c *consumer.Config) { c.SessionTimeout = 2 * time.Second })
			w.publish(0, 5)
			fixtures.Await(t, "before", func() error { return w.jobsAre(5, true) })
			c.mu.Lock()
			c.took = time.Minute
			c.mu.Unlock()
			w.publish(5, 10)
			heal := w.Refuse(kmsg.Heartbeat, with)
			fixtures.Eventually(t, "work is called off", func() bool { _, off := c.has(); return off > 0 })
			c.mu.Lock()
			c.took = 0
			c.mu.Unlock()
			heal()
			fixtures.Await(t, "after", func() error { return w.jobsAre(10, true) })
		})
	}
}

// TestComesBackUnderItsName: a process that died and is started again has its partitions
// at once, and nobody else's move; two of one name are told so.
func TestComesBackUnderItsName(t *testing.T) {
	w := newWorld(t)
	named := func(name string) func(*consumer.Config) {
		return func(c *consumer.Config) { c.Instance, c.SessionTimeout = name, time.Minute }
	}
	stays, dies := &workload{}, &workload{}
	w.start(stays, named("pod-0"))
	finish := w.flow()
	fixtures.Eventually(t, "the first has all", func() bool { has, _ := stays.has(); return len(has) == partitions })
	kill := w.start(dies, named("pod-1"))
	fixtures.Eventually(t, "both work", func() bool { has, _ := dies.has(); return len(has) == 2 })
	w.log = zerolog.Nop()
	heal := w.Refuse(kmsg.LeaveGroup, kafka.NotCoordinatorForGroup)
	kill()
	heal()
	again := &workload{}
	began := time.Now()
	w.start(again, named("pod-1"))
	fixtures.Eventually(t, "it has the same", func() bool {
		before, _ := dies.has()
		now, _ := again.has()
		return slices.Equal(before, now)
	})
	if took := time.Since(began); took > 20*time.Second { // of a session of a minute
		t.Errorf("that took %v", took)
	}
	finish()
	if _, off := stays.has(); off > 0 {
		t.Errorf("the other's work was called off %d times", off)
	}
}
