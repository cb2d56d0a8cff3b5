package catalogue_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/meddela/meddela/consumer/catalogue"
	topicfollow "github.com/meddela/meddela/consumer/follow"
	"github.com/meddela/meddela/producer/embedded"
	"github.com/meddela/meddela/test/fixtures"
	"github.com/meddela/meddela/topology"
)

const topic topology.Topic = "test.templates"

// world is a broker, and who writes to it.
type world struct {
	*fixtures.Kafka
	t *testing.T
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return &world{fixtures.StartKafka(t, embedded.BrokerConfig{}), t}
}

func (w *world) createTopic() { w.CreateTopic(w.t, topic, 1, fixtures.Compacted) }

func (w *world) publish(records ...topology.TemplateRecord) {
	w.t.Helper()
	var out []topology.Record
	for _, r := range records {
		out = append(out, topology.Record{Key: []byte(r.Ref()), Value: r.Append(nil)})
	}
	w.Publish(w.t, topic, 0, out...)
}

func (w *world) follow() *catalogue.Follower {
	w.t.Helper()
	transport := w.Link.Transport()
	w.t.Cleanup(transport.CloseIdleConnections) // once the follower has stopped
	return followWith(w.t, topicfollow.FromTopic(w.Link.Addr(), transport, topic, zerolog.Nop()), zerolog.Nop())
}

func TestFollowingATopic(t *testing.T) {
	w := newWorld(t)
	w.createTopic()
	for i := range 300 {
		w.publish(sms(fmt.Sprint("t", i), "1", i, "x"))
	}
	f := w.follow()
	if err := f.AwaitReady(fixtures.Soon(t)); err != nil {
		t.Fatal(err)
	}
	if n := f.Snapshot().Names(); n != 300 {
		t.Fatalf("ready with %d templates of 300", n)
	}
	w.publish(sms("new", "1", 999, "x"))
	if got := fixtures.CaughtUp(t, f).Candidates("x", topology.SMS)[0].Ref(); got != "new@1" {
		t.Errorf("the first candidate is %s", got)
	}
	w.Publish(t, topic, 0, topology.Record{Key: []byte("new@1")})
	if _, ok := fixtures.CaughtUp(t, f).ByRef("new@1"); ok {
		t.Error("a version is still there after its tombstone")
	}
}

func TestNewsComeAtOnce(t *testing.T) {
	w := newWorld(t)
	w.createTopic()
	f := w.follow()
	if err := f.AwaitReady(fixtures.Soon(t)); err != nil {
		t.Fatal(err)
	}
	var waits []time.Duration
	for i := range 9 {
		w.publish(sms("a", fmt.Sprint(i), i, "x"))
		from := time.Now()
		fixtures.Eventually(t, "a new version comes", func() bool { return f.Snapshot().Versions() == i+1 })
		waits = append(waits, time.Since(from))
	}
	slices.Sort(waits)
	t.Logf("after its acknowledgement a version comes after %v (median), %v (at most)", waits[len(waits)/2],
		waits[len(waits)-1])
	if waits[len(waits)/2] > time.Second {
		t.Errorf("news take %v", waits[len(waits)/2])
	}
}

func TestAMissingTopic(t *testing.T) {
	w := newWorld(t)
	f := w.follow()
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	err := f.AwaitReady(ctx)
	var missing *topology.NoTopicError
	if !errors.As(err, &missing) || missing.Topic != topic {
		t.Fatalf("not ready because of %v; want the missing topic", err)
	}
	if err := f.CatchUp(fixtures.Soon(t)); !errors.As(err, &missing) {
		t.Errorf("CatchUp said %v; want the missing topic", err)
	}
	w.createTopic()
	w.publish(sms("a", "1", 1, "x"))
	if err := f.AwaitReady(fixtures.Soon(t)); err != nil {
		t.Fatal(err)
	}
	if c := fixtures.CaughtUp(t, f); !c.HasType("x") {
		t.Error("the topic that came later was not read")
	}
}

func TestABrokerThatGoesAndComes(t *testing.T) {
	w := newWorld(t)
	w.createTopic()
	w.publish(sms("a", "1", 1, "x"))
	f := w.follow()
	fixtures.CaughtUp(t, f)
	w.Sleep()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := f.CatchUp(ctx); err == nil {
		t.Error("CatchUp succeeded without a broker")
	}
	if !f.Snapshot().HasType("x") {
		t.Error("the templates went with the broker")
	}
	w.Wake()
	w.publish(sms("a", "2", 2, "x"))
	for ctx := fixtures.Soon(t); ; {
		err := f.CatchUp(ctx)
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
	if c := f.Snapshot(); c.Versions() != 2 {
		t.Errorf("%d versions after the outage", c.Versions())
	}
}
