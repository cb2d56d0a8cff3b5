package control_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/consumer/control"
	"github.com/meddela/meddela/consumer/follow"
	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/producer/embedded"
	"github.com/meddela/meddela/topology"
)

const topic topology.Topic = "test.control"

// world is a broker with a control topic, and who writes to it.
type world struct {
	broker    *embedded.Broker
	link      producer.Connection
	publisher *producer.Publisher
}

func newWorld(t *testing.T) *world {
	t.Helper()
	broker, err := embedded.StartBroker(embedded.BrokerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	link := producer.Connection{Brokers: []string{broker.Addr()}}
	transport := link.Transport()
	t.Cleanup(func() { transport.CloseIdleConnections(); broker.Close() })
	client := kafka.Client{Addr: link.Addr(), Transport: transport}
	response, err := client.CreateTopics(t.Context(), &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{{
		Topic: string(topic), NumPartitions: 1, ReplicationFactor: 1,
		ConfigEntries: []kafka.ConfigEntry{{ConfigName: "cleanup.policy", ConfigValue: "compact"}},
	}}})
	if err == nil {
		err = response.Errors[string(topic)]
	}
	if err != nil {
		t.Fatal(err)
	}
	return &world{broker: broker, link: link, publisher: &producer.Publisher{Addr: link.Addr(), Transport: transport}}
}

func (w *world) give(t *testing.T, orders ...topology.ControlRecord) {
	t.Helper()
	records := make([]topology.Record, len(orders))
	for i := range orders {
		records[i] = topology.Record{Key: []byte(orders[i].Subject), Value: orders[i].Append(nil)}
	}
	w.write(t, records...)
}

func (w *world) write(t *testing.T, records ...topology.Record) {
	t.Helper()
	if refused, err := w.publisher.Publish(t.Context(), topic, 0, records); err != nil || refused != nil {
		t.Fatal(refused, err)
	}
}

// follow runs a follower for as long as the test, and returns when it is ready.
func (w *world) follow(t *testing.T) *control.Follower {
	t.Helper()
	transport := w.link.Transport()
	f := control.NewFollower(follow.FromTopic(w.link.Addr(), transport, topic), zerolog.Nop())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); f.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done; transport.CloseIdleConnections() })
	if err := f.AwaitReady(soon(t)); err != nil {
		t.Fatal(err)
	}
	return f
}

// soon is a context that ends long after what is waited for should have come.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func caughtUp(t *testing.T, f *control.Follower) *control.Orders {
	t.Helper()
	if err := f.CatchUp(soon(t)); err != nil {
		t.Fatal(err)
	}
	return f.Snapshot()
}

func subjects(orders []topology.ControlRecord) (all []topology.Subject) {
	for i := range orders {
		all = append(all, orders[i].Subject)
	}
	return all
}

func TestFollowingOrders(t *testing.T) {
	w := newWorld(t)
	w.give(t, order(topology.Pause, "type:sale", 0), order(topology.Kill, "lane:batch", -time.Minute), order(topology.Pause, "channel:sms", time.Hour))
	f := w.follow(t)
	before := f.Snapshot()
	if got := subjects(before.InForce(now)); !slices.Equal(got, []topology.Subject{"channel:sms", "type:sale"}) {
		t.Errorf("in force are %v", got)
	}
	bad := order(topology.Kill, "type:sale", 0)
	w.write(t,
		topology.Record{Key: []byte("type:other"), Value: bad.Append(nil)},
		topology.Record{Value: bad.Append(nil)},
		topology.Record{Key: []byte("type:sale"), Value: []byte("{")},
		topology.Record{Key: []byte("channel:sms")},
	)
	w.give(t, order(topology.Resume, "lane:batch", 0))
	after := caughtUp(t, f)
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
		for f.Snapshot().Verdict(&aJob, now).Paused() != (action == topology.Pause) {
			if time.Since(from) > 20*time.Second {
				t.Fatal("the order does not come")
			}
			time.Sleep(100 * time.Microsecond)
		}
		waits = append(waits, time.Since(from))
	}
	slices.Sort(waits)
	t.Logf("after its acknowledgement an order is effective after %v (median), %v (at most)", waits[len(waits)/2], waits[len(waits)-1])
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
	w.broker.Sleep()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := f.CatchUp(ctx); err == nil {
		t.Error("CatchUp succeeded without a broker")
	}
	if !f.Snapshot().Verdict(&aJob, now).Killed() {
		t.Error("the orders went with the broker")
	}
	w.broker.Wake()
	w.give(t, order(topology.Resume, "type:sale", 0))
	for ctx := soon(t); f.Snapshot().Verdict(&aJob, now).Killed(); time.Sleep(time.Millisecond) {
		if ctx.Err() != nil {
			t.Fatal("the order of after the outage does not come")
		}
	}
}
