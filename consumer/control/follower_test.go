package control_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/meddela/meddela/consumer/control"
	"github.com/meddela/meddela/consumer/follow"
	"github.com/meddela/meddela/producer/embedded"
	"github.com/meddela/meddela/test/fixtures"
	"github.com/meddela/meddela/topology"
)

const topic topology.Topic = "test.control"

// world is a broker with a control topic, and who writes to it.
type world struct{ *fixtures.Kafka }

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{fixtures.StartKafka(t, embedded.BrokerConfig{})}
	w.CreateTopic(t, topic, 1, fixtures.Compacted)
	return w
}

func (w *world) give(t *testing.T, orders ...topology.ControlRecord) {
	t.Helper()
	records := make([]topology.Record, len(orders))
	for i := range orders {
		records[i] = topology.Record{Key: []byte(orders[i].Subject), Value: orders[i].Append(nil)}
	}
	w.Publish(t, topic, 0, records...)
}

// follow runs a follower for as long as the test, and returns when it is ready.
func (w *world) follow(t *testing.T) *control.Follower {
	t.Helper()
	transport := w.Link.Transport()
	f := control.NewFollower(follow.FromTopic(w.Link.Addr(), transport, topic, zerolog.Nop()), zerolog.Nop())
	t.Cleanup(transport.CloseIdleConnections) // once the follower has stopped
	fixtures.Run(t, f.Run)
	if err := f.AwaitReady(fixtures.Soon(t)); err != nil {
		t.Fatal(err)
	}
	return f
}

func subjects(orders []topology.ControlRecord) (all []topology.Subject) {
	for i := range orders {
		all = append(all, orders[i].Subject)
	}
	return all
}

func TestFollowingOrders(t *testing.T) {
	w := newWorld(t)
	w.give(t, order(topology.Pause, "type:sale", 0), order(topology.Kill, "lane:batch", -time.Minute),
		order(topology.Pause, "channel:sms", time.Hour))
	f := w.follow(t)
	before := f.Snapshot()
	if got := subjects(before.InForce(now)); !slices.Equal(got, []topology.Subject{"channel:sms", "type:sale"}) {
		t.Errorf("in force are %v", got)
	}
	bad := order(topology.Kill, "type:sale", 0)
	w.Publish(t, topic, 0,
		topology.Record{Key: []byte("type:other"), Value: bad.Append(nil)},
		topology.Record{Value: bad.Append(nil)},
		topology.Record{Key: []byte("type:sale"), Value: []byte("{")},
		topology.Record{Key: []byte("channel:sms")},
	)
	w.give(t, order(topology.Resume, "lane:batch", 0))
	after := fixtures.CaughtUp(t, f)
	if got := subjects(after.InForce(now)); !slices.Equal(got, []topology.Subject{"type:sale"}) {
		t.Errorf("in force are then %v", got)
	}
	if got := subjects(after.All()); !slices.Equal(got, []topology.Subject{"lane:batch", "type:sale"}) {
		t.Errorf("all are %v", got)
	}
	if last, ok := after.Last("lane:batch"); !ok || last.Action != topology.Resume {
		t.Errorf("the last about the lane is %+v, %v", last, ok)
	}
	if _, ok := after.Last("channel:sms"); ok {
		t.Error("an order is still there after its tombstone")
	}
	if stats, _ := f.Stats(); stats.Bad != 3 {
		t.Errorf("%d bad records", stats.Bad)
	}
	if len(before.InForce(now)) != 2 {
		t.Error("the old snapshot has changed")
	}
}

// TestOrdersAreEffectiveAtOnce: far sooner than the second that they may take.
func TestOrdersAreEffectiveAtOnce(t *testing.T) {
	w := newWorld(t)
	f := w.follow(t)
	var waits []time.Duration
	for i := range 15 {
		action := topology.Pause
		if i%2 == 1 {
			action = topology.Resume
		}
		w.give(t, order(action, "template:spring@1", 0))
		from := time.Now()
		fixtures.Eventually(t, "the order comes", func() bool {
			return f.Snapshot().Verdict(&aJob, now).Paused() == (action == topology.Pause)
		})
		waits = append(waits, time.Since(from))
	}
	slices.Sort(waits)
	t.Logf("after its acknowledgement an order is effective after %v (median), %v (at most)", waits[len(waits)/2],
		waits[len(waits)-1])
	if waits[len(waits)/2] > time.Second {
		t.Errorf("orders take %v", waits[len(waits)/2])
	}
}

// TestOrdersOutliveTheBroker: what was ordered holds while the broker is away,
// and what is ordered later comes by itself.
func TestOrdersOutliveTheBroker(t *testing.T) {
	w := newWorld(t)
	w.give(t, order(topology.Kill, "type:sale", 0))
	f := w.follow(t)
	w.Sleep()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := f.CatchUp(ctx); err == nil {
		t.Error("CatchUp succeeded without a broker")
	}
	if !f.Snapshot().Verdict(&aJob, now).Killed() {
		t.Error("the orders went with the broker")
	}
	w.Wake()
	w.give(t, order(topology.Resume, "type:sale", 0))
	fixtures.Eventually(t, "the order of after the outage comes", func() bool {
		return !f.Snapshot().Verdict(&aJob, now).Killed()
	})
}
