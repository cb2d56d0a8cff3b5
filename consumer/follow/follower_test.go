package follow_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/meddela/meddela/consumer/follow"
	"github.com/meddela/meddela/producer/embedded"
	"github.com/meddela/meddela/test/fixtures"
	"github.com/meddela/meddela/topology"
)

func TestAFollowerIsReadyWithAllOrNothing(t *testing.T) {
	for _, test := range []struct {
		name string
		tape *tape
		want map[string]string
	}{
		{"an empty topic", newTape(), nil},
		{"one record", newTape("a", "1"), map[string]string{"a": "1"}},
		{"several fetches", newTape("a", "1", "b", "1", "a", "2", "c", "1", "b", ""), map[string]string{"a": "2", "c": "1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var loaded []map[string]string
			f := start(t, test.tape, func(p *pairs) { loaded = append(loaded, p.of) })
			if err := f.AwaitReady(fixtures.Soon(t)); err != nil {
				t.Fatal(err)
			}
			if got := f.Snapshot().of; !maps.Equal(got, test.want) {
				t.Errorf("ready with %v, want %v", got, test.want)
			}
			if len(loaded) != 1 || !maps.Equal(loaded[0], test.want) {
				t.Errorf("loaded %v, want once %v", loaded, test.want)
			}
		})
	}
}

func TestAFollowerLives(t *testing.T) {
	source := newTape("a", "1")
	f := start(t, source, nil)
	before := caughtUp(t, f)
	source.put("a", "2", "b", "bad", "c", "3")
	if after := caughtUp(t, f); !maps.Equal(after, map[string]string{"a": "2", "c": "3"}) {
		t.Errorf("after the news: %v", after)
	}
	if !maps.Equal(before, map[string]string{"a": "1"}) {
		t.Errorf("the old snapshot has changed: %v", before)
	}
	stats, snapshot := f.Stats()
	if !stats.Ready || stats.Failing || stats.Applied != 4 || stats.Bad != 1 || stats.ChangedAt.IsZero() ||
		stats.ContactAt.IsZero() || snapshot.of["c"] != "3" {
		t.Errorf("stats %+v of %v", stats, snapshot.of)
	}
}

// TestBadRecords: each is logged with its place and its key, and changes nothing.
func TestBadRecords(t *testing.T) {
	source := newTape("a", "1", "b", "1", "a", "bad", "not b", "2", "", "3", "b", "")
	var log bytes.Buffer
	f := startWith(t, source, nil, zerolog.New(&log))
	if got := caughtUp(t, f); !maps.Equal(got, map[string]string{"a": "1"}) {
		t.Errorf("the pairs are %v", got)
	}
	for _, want := range []string{
		`"error":"it is bad","offset":2,"key":"a","message":"one of the pairs is not taken; what was there before it stays"`,
		`"error":"the record's key is another than its own first half","offset":3,"key":"not b"`,
		`"error":"the record has no key: it must be its first half","offset":4,"key":""`,
	} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not have %s:\n%s", want, &log)
		}
	}
	if stats, _ := f.Stats(); stats.Bad != 3 {
		t.Errorf("%d bad records", stats.Bad)
	}
	if !f.Unreadable("a") || f.Unreadable("b") || f.Unreadable("c") {
		t.Errorf("a is unreadable: %v; want it alone", f.Unreadable("a"))
	}
	source.put("a", "2")
	if caughtUp(t, f); f.Unreadable("a") {
		t.Error("a is unreadable though its last record is not")
	}
}

func TestOutages(t *testing.T) {
	gone := errors.New("the broker is away")
	source := newTape("a", "1")
	source.outage = gone
	f := start(t, source, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	err := f.AwaitReady(ctx)
	if !errors.Is(err, gone) || !errors.Is(err, context.DeadlineExceeded) ||
		!strings.HasPrefix(err.Error(), "the pairs are not loaded: ") {
		t.Errorf("not ready: %v; want the outage", err)
	}
	if err := f.CatchUp(ctx); !errors.Is(err, gone) || !strings.HasPrefix(err.Error(), "catching up with the pairs: ") {
		t.Errorf("CatchUp said %v; want the outage", err)
	}
	source.change(func() { source.outage = nil })
	caughtUp(t, f)
	source.change(func() { source.outage = gone })
	source.put("a", "2")
	if got := f.Snapshot().of["a"]; got != "1" {
		t.Errorf("in an outage a is %s; want the last known", got)
	}
	source.change(func() { source.outage = nil })
	if got := caughtUp(t, f)["a"]; got != "2" {
		t.Errorf("after the outage a is %s", got)
	}
}

// TestATopicThatWasMadeAnewUnseen: also one that has more records than the old one when the follower sees it again.
func TestATopicThatWasMadeAnewUnseen(t *testing.T) {
	const topic = "test.pairs"
	broker := fixtures.StartKafka(t, embedded.BrokerConfig{})
	put := func(keys ...string) {
		t.Helper()
		for _, key := range keys {
			broker.Publish(t, topic, 0, topology.Record{Key: []byte(key), Value: []byte("1")})
		}
	}
	broker.CreateTopic(t, topic, 1, nil)
	put("a", "b")
	f := startWith(t, follow.FromTopic(broker.Link.Addr(), broker.Transport, topic, zerolog.Nop()), nil, zerolog.Nop())
	caughtUp(t, f)
	heal := broker.Refuse(kmsg.Fetch, kafka.NotLeaderForPartition)
	put("c") // which answers the fetch that is under way
	fixtures.Eventually(t, "it cannot read", func() bool { stats, _ := f.Stats(); return stats.Failing })
	answer, err := broker.Client.DeleteTopics(fixtures.Soon(t), &kafka.DeleteTopicsRequest{Topics: []string{topic}})
	if err != nil || answer.Errors[topic] != nil {
		t.Fatal(answer, err)
	}
	broker.CreateTopic(t, topic, 1, nil)
	put("d", "e", "f", "g", "h")
	heal()
	fixtures.Eventually(t, "the new topic is followed", func() bool {
		return slices.Equal(slices.Sorted(maps.Keys(f.Snapshot().of)), []string{"d", "e", "f", "g", "h"})
	})
}

// TestATopicThatWasMadeAnew: what the new topic has counts, and until that is
// read, the last snapshot stays.
func TestATopicThatWasMadeAnew(t *testing.T) {
	source := newTape("a", "1", "b", "1", "c", "1")
	f := start(t, source, nil)
	caughtUp(t, f)
	source.change(func() { source.records, source.outage = nil, &topology.NoTopicError{Topic: "pairs"} })
	fixtures.Eventually(t, "the topic is followed", func() bool { stats, _ := f.Stats(); return stats.Failing })
	if got := len(f.Snapshot().of); got != 3 {
		t.Errorf("%d pairs while the topic is gone; want those that were", got)
	}
	var missing *topology.NoTopicError
	if err := f.CatchUp(fixtures.Soon(t)); !errors.As(err, &missing) || missing.Topic != "pairs" {
		t.Errorf("CatchUp said %v; want the missing topic", err)
	}
	source.change(func() { source.outage = nil }) // it is there again, and empty
	if err := f.CatchUp(fixtures.Soon(t)); err == nil || !strings.Contains(err.Error(), "publish again what was on it") {
		t.Errorf("CatchUp said %v; want the empty topic", err)
	}
	if stats, now := f.Stats(); !stats.Failing || len(now.of) != 3 {
		t.Errorf("%d pairs while the topic is empty; want those that were: %+v", len(now.of), stats)
	}
	source.put("d", "1", "d", "2", "e", "1")
	fixtures.Eventually(t, "the topic is followed", func() bool { return f.Snapshot().of["e"] == "1" })
	if got := caughtUp(t, f); !maps.Equal(got, map[string]string{"d": "2", "e": "1"}) {
		t.Errorf("the new topic is %v", got)
	}
}

// TestWhatCanNeverBeRead stops no follower: it is passed over, and told of.
func TestWhatCanNeverBeRead(t *testing.T) {
	broker := fixtures.StartKafka(t, embedded.BrokerConfig{})
	broker.CreateTopic(t, "test.pairs", 1, nil)
	broker.Publisher.Compression = kafka.Zstd
	for _, r := range []topology.Record{
		{Key: []byte("a"), Value: []byte("1")}, {Key: []byte("b"), Value: make([]byte, 40<<20)},
		{Key: []byte("b"), Value: make([]byte, 40<<20)}, {Key: []byte("c"), Value: []byte("1")},
	} {
		broker.Publish(t, "test.pairs", 0, r)
	}
	var log bytes.Buffer
	f := startWith(t, follow.FromTopic(broker.Link.Addr(), broker.Transport, "test.pairs", zerolog.New(&log)), nil,
		zerolog.Nop())
	if got := caughtUp(t, f); !maps.Equal(got, map[string]string{"a": "1", "c": "1"}) {
		t.Errorf("%v", got)
	}
	if n := strings.Count(log.String(), "this can never be read"); n != 2 {
		t.Errorf("told of %d:\n%s", n, &log)
	}
}
