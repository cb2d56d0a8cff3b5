package consumer_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/test/fixtures"
	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/wire"
)

// TestTopicDeleted: nobody asks the broker to make a topic again that was deleted under a loop, which keeps its
// place in the group and does not join again and again; what is published when it is back is handled, from its first
// record on, also where that is at once more than there was before.
func TestTopicDeleted(t *testing.T) {
	const before, after = 5, 8
	w, topic := newWorld(t), string(names.Events(topology.Realtime))
	var creating, joins atomic.Int64
	w.Cluster.ControlKey(int16(kmsg.Metadata), func(request kmsg.Request) (kmsg.Response, error, bool) {
		w.Cluster.KeepControl()
		r := request.(*kmsg.MetadataRequest)
		if r.AllowAutoTopicCreation && slices.ContainsFunc(r.Topics, func(t kmsg.MetadataRequestTopic) bool {
			return t.Topic != nil && *t.Topic == topic
		}) {
			creating.Add(1)
		}
		return nil, nil, false
	})
	w.Cluster.ControlKey(int16(kmsg.JoinGroup), func(kmsg.Request) (kmsg.Response, error, bool) {
		w.Cluster.KeepControl()
		joins.Add(1)
		return nil, nil, false
	})
	loops := make(chan *consumer.Loop, 1)
	w.startLoop(loops, handlerFunc(func(_ context.Context, b consumer.Batch) (consumer.Result, error) {
		return consumer.Result{Handled: len(b.Records)}, nil
	}))
	loop := <-loops
	fixtures.Eventually(t, "the loop has joined", loop.Stats().Joined)
	w.publish(0, before)
	fixtures.Eventually(t, "what is there is committed", func() bool { return w.allCommitted(before) })
	creating.Store(0) // as it joins, the client asks so, when the topic is known to be there
	joined := joins.Load()
	answer, err := w.Client.DeleteTopics(fixtures.Soon(t), &kafka.DeleteTopicsRequest{Topics: []string{topic}})
	if err != nil || answer.Errors[topic] != nil {
		t.Fatal(answer, err)
	}
	fixtures.Eventually(t, "it has looked for its topic many times", func() bool {
		fetches, _, _ := loop.Stats().Faults()
		return fetches >= 8*partitions
	})
	if creating.Load() > 0 || joins.Load() > joined {
		t.Errorf("%d requests that create the topic, %d joins", creating.Load(), joins.Load()-joined)
	}
	w.CreateTopic(t, topology.Topic(topic), partitions, nil)
	w.publish(0, after)
	fixtures.Eventually(t, "what is published then is committed", func() bool { return w.allCommitted(after) })
	if n := loop.Stats().Fetched(); n != (before+after)*partitions {
		t.Errorf("%d were handled, want %d", n, (before+after)*partitions)
	}
}

// allCommitted reports whether so much is committed of each partition.
func (w *world) allCommitted(offset int64) bool {
	w.t.Helper()
	of := w.committed()
	for p := range partitions {
		if of[p] != offset {
			return false
		}
	}
	return true
}

// recreate makes the events topic anew, with so much on each partition.
func (w *world) recreate(n int) {
	w.t.Helper()
	topic := names.Events(topology.Realtime)
	answer, err := w.Client.DeleteTopics(fixtures.Soon(w.t), &kafka.DeleteTopicsRequest{Topics: []string{string(topic)}})
	if err != nil || answer.Errors[string(topic)] != nil {
		w.t.Fatal(answer, err)
	}
	w.CreateTopic(w.t, topic, partitions, nil)
	w.publish(0, n)
}

// recreateUnderOffsets is recreate where the coordinator still has the old offsets.
func (w *world) recreateUnderOffsets(n int) {
	w.t.Helper()
	group, topic := names.Group(topology.RoleMatch, topology.Realtime), string(names.Events(topology.Realtime))
	old, err := w.Client.OffsetFetch(fixtures.Soon(w.t), &kafka.OffsetFetchRequest{
		GroupID: group, Topics: map[string][]int{topic: {0, 1, 2, 3}}})
	if err != nil {
		w.t.Fatal(err)
	}
	w.recreate(n)
	again := &kafka.OffsetCommitRequest{GroupID: group, GenerationID: -1, Topics: map[string][]kafka.OffsetCommit{}}
	for _, p := range old.Topics[topic] {
		if p.CommittedOffset >= 0 {
			again.Topics[topic] = append(again.Topics[topic],
				kafka.OffsetCommit{Partition: p.Partition, Offset: p.CommittedOffset, Metadata: p.Metadata})
		}
	}
	if _, err := w.Client.OffsetCommit(fixtures.Soon(w.t), again); err != nil {
		w.t.Fatal(err)
	}
}

// knowNoIDs has the broker take fetches by names only, as before Kafka 3.1, so that a topic made anew is the old one.
func (w *world) knowNoIDs() {
	w.Cluster.ControlKey(int16(kmsg.ApiVersions), func(request kmsg.Request) (kmsg.Response, error, bool) {
		w.Cluster.KeepControl()
		response := request.ResponseKind().(*kmsg.ApiVersionsResponse)
		kversion.V3_0_0().EachMaxKeyVersion(func(key, version int16) {
			response.ApiKeys = append(response.ApiKeys, kmsg.ApiVersionsResponseApiKey{ApiKey: key, MaxVersion: version})
		})
		return response, nil, true
	})
}

// TestALogCutShort: where a new leader has less than was read of the last one, the loop goes on with what may be
// younger than the last record that it read, reads nothing of before that again, and tells of it.
func TestALogCutShort(t *testing.T) {
	last := time.Now().Add(-time.Minute).Truncate(time.Millisecond)
	old := func(n int) (records []topology.Record) {
		for i := range n { // a minute apart, of which the lost leader had ten
			at := last.Add(time.Duration(i-9) * time.Minute)
			records = append(records, topology.Record{Value: fmt.Appendf(nil, "old %d", i), Time: at})
		}
		return records
	}
	anew := func(at time.Time) []topology.Record { return []topology.Record{{Value: []byte("new"), Time: at}} }
	for name, test := range map[string]struct {
		kept int // of the ten
		more []topology.Record
		to   int64
		want []string

		restarts bool // meanwhile
	}{
		"nothing is new":    {6, nil, 6, []string{"next"}, false},
		"some is new":       {6, anew(last.Add(time.Second)), 6, []string{"new", "next"}, false},
		"of a clock behind": {6, anew(last.Add(-30 * time.Second)), 6, []string{"new", "next"}, false},
		"what may be new":   {9, nil, 8, []string{"old 8", "next"}, false},
		"after a restart":   {6, anew(last.Add(time.Second)), 6, []string{"new", "next"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, topic := newWorld(t), names.Events(topology.Realtime)
			var log bytes.Buffer
			w.log = zerolog.New(zerolog.SyncWriter(&log))
			var mu sync.Mutex
			var handled []string
			w.knowNoIDs()
			w.Publish(t, topic, 0, old(10)...)
			loops := make(chan *consumer.Loop, 2)
			handler := handlerFunc(func(_ context.Context, b consumer.Batch) (consumer.Result, error) {
				mu.Lock()
				defer mu.Unlock()
				for _, r := range b.Records {
					handled = append(handled, string(r.Value))
				}
				return consumer.Result{Handled: len(b.Records)}, nil
			})
			stop := w.startLoop(loops, handler)
			fixtures.Eventually(t, "ten are committed", func() bool { return w.committed()[0] == 10 })
			if test.restarts {
				stop()
				<-loops
			}
			heal := w.Refuse(kmsg.Fetch, kafka.NotLeaderForPartition)
			w.recreateUnderOffsets(0)
			w.Publish(t, topic, 0, append(old(test.kept), test.more...)...)
			if test.restarts {
				stop = w.startLoop(loops, handler)
			}
			mu.Lock()
			handled = nil
			mu.Unlock()
			heal()
			fixtures.Eventually(t, "where it goes on is committed", func() bool {
				return w.committed()[0] >= test.to && w.committed()[0] < 10
			})
			w.Publish(t, topic, 0, topology.Record{Value: []byte("next")})
			fixtures.Await(t, "it has handled the rest", func() error {
				mu.Lock()
				defer mu.Unlock()
				if !slices.Equal(handled, test.want) {
					return fmt.Errorf("it has handled %v, want %v", handled, test.want)
				}
				return nil
			})
			stop()
			if told := fmt.Sprintf(`"from":10,"to":%d,"skipped":0`, test.to); strings.Count(log.String(), told) != 1 {
				t.Errorf("no %s in the log\n%s", told, &log)
			}
			if n := (<-loops).Stats().Skipped(); n != 0 {
				t.Errorf("%d are lost", n)
			}
		})
	}
}

// TestTopicRecreatedAtOnce: while nothing is asked of the broker, which does not fail a fetch therefore.
func TestTopicRecreatedAtOnce(t *testing.T) {
	const held = 3 // one that is handled, and two that are fetched ahead
	w, goOn := newWorld(t), make(chan struct{})
	for i := range 8 {
		w.publish(i, i+1)
	}
	var handled atomic.Int64
	loops := make(chan *consumer.Loop, 1)
	w.startLoop(loops, counting(&handled, goOn), func(c *consumer.Config) { c.FetchBytes = 1 })
	loop := <-loops
	fixtures.Eventually(t, "there is room for no more", func() bool { return loop.Stats().Fetched() == held*partitions })
	w.recreate(8)
	close(goOn)
	fixtures.Eventually(t, "all of the new one is committed", func() bool { return w.allCommitted(8) })
	if n := handled.Load(); n != (held+8)*partitions {
		t.Errorf("%d are handled, want %d", n, (held+8)*partitions)
	}
}

// TestTopicRecreatedMeanwhile: while no loop runs, though the coordinator still has the old offsets, and while a loop
// has what it fetched in work. The new topic is read from its first record on, and no offset of an old one is committed
// as one of the new one.
func TestTopicRecreatedMeanwhile(t *testing.T) {
	w := newWorld(t)
	var mu sync.Mutex
	commits := make(map[string]map[int64]bool) // offsets, by the id of the topic
	w.Cluster.ControlKey(int16(kmsg.OffsetCommit), func(request kmsg.Request) (kmsg.Response, error, bool) {
		w.Cluster.KeepControl()
		mu.Lock()
		defer mu.Unlock()
		for _, p := range request.(*kmsg.OffsetCommitRequest).Topics[0].Partitions {
			id := ""
			if p.Metadata != nil {
				id, _, _ = strings.Cut(*p.Metadata, "@")
			}
			if commits[id] == nil {
				commits[id] = make(map[int64]bool)
			}
			commits[id][p.Offset] = true
		}
		return nil, nil, false
	})
	goOn, free := make(chan struct{}), make(chan struct{})
	close(free)
	var handled atomic.Int64
	w.publish(0, 5)
	stop := w.start(counting(&handled, free))
	fixtures.Eventually(t, "all is committed", func() bool { return w.allCommitted(5) })
	stop()

	w.recreateUnderOffsets(8)
	if !w.allCommitted(5) {
		t.Fatal("the old offsets are not back")
	}
	loops := make(chan *consumer.Loop, 1)
	w.startLoop(loops, counting(&handled, goOn))
	loop := <-loops
	fixtures.Eventually(t, "all is in work", func() bool { return loop.Stats().Fetched() == 8*partitions })

	w.recreate(12)
	fixtures.Eventually(t, "it has noticed", func() bool {
		fetches, _, _ := loop.Stats().Faults()
		return fetches >= partitions
	})
	close(goOn)
	fixtures.Eventually(t, "all is committed", func() bool { return w.allCommitted(12) })
	if n := handled.Load(); n != (5+8+12)*partitions {
		t.Errorf("%d are handled, want %d", n, (5+8+12)*partitions)
	}
	mu.Lock()
	defer mu.Unlock()
	for id, offsets := range commits {
		if len(id) != 22 || offsets[12] && (offsets[5] || offsets[8]) || len(commits) > 3 {
			t.Errorf("topic %q has commits %v", id, offsets)
		}
	}
}

// TestBrokersDiffer: one that knows no ids, or still the topic that was deleted, is not believed.
func TestBrokersDiffer(t *testing.T) {
	w, topic := newWorld(t), string(names.Events(topology.Realtime))
	old, err := wire.TopicID(t.Context(), w.Client.Addr, w.Client.Transport, topology.Topic(topic))
	if err != nil {
		t.Fatal(err)
	}
	var answer atomic.Pointer[[16]byte]
	var answers atomic.Int64
	w.Cluster.ControlKey(int16(kmsg.Metadata), func(request kmsg.Request) (kmsg.Response, error, bool) {
		w.Cluster.KeepControl()
		id := answer.Load()
		if request.GetVersion() != 12 || id == nil {
			return nil, nil, false
		}
		answers.Add(1)
		response := request.ResponseKind().(*kmsg.MetadataResponse)
		response.Topics = []kmsg.MetadataResponseTopic{{Topic: &topic, TopicID: *id}}
		return response, nil, true
	})
	w.Cluster.ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		w.Cluster.KeepControl()
		return nil, errors.New("so that it asks for the id"), answer.Load() != nil
	})
	differ := func(id []byte) {
		t.Helper()
		answers.Store(0)
		answer.Store((*[16]byte)(id))
		fixtures.Eventually(t, "it has asked several times", func() bool { return answers.Load() >= 4 })
		answer.Store(nil)
	}
	free := make(chan struct{})
	close(free)
	var handled atomic.Int64
	w.start(counting(&handled, free))
	w.publish(0, 5)
	fixtures.Eventually(t, "all is committed", func() bool { return w.allCommitted(5) })
	w.recreate(8)
	fixtures.Eventually(t, "all of the new one is committed", func() bool { return w.allCommitted(8) })
	left, err := base64.RawURLEncoding.DecodeString(old)
	if err != nil {
		t.Fatal(err)
	}
	differ(left)
	w.publish(8, 10)
	fixtures.Eventually(t, "it goes on", func() bool { return w.allCommitted(10) })
	differ(make([]byte, 16))
	w.recreate(12)
	fixtures.Eventually(t, "all of the next is committed", func() bool { return w.allCommitted(12) })
	if n := handled.Load(); n != (5+10+12)*partitions {
		t.Errorf("%d are handled, want %d", n, (5+10+12)*partitions)
	}
}

// TestTopicGrows: partitions that are added are read, soon.
func TestTopicGrows(t *testing.T) {
	w, topic := newWorld(t), names.Events(topology.Realtime)
	loops := make(chan *consumer.Loop, 1)
	w.startLoop(loops, handlerFunc(func(_ context.Context, b consumer.Batch) (consumer.Result, error) {
		return consumer.Result{Handled: len(b.Records)}, nil
	}))
	loop := <-loops
	fixtures.Eventually(t, "the loop has joined", loop.Stats().Joined)
	answer, err := w.Client.CreatePartitions(fixtures.Soon(t), &kafka.CreatePartitionsRequest{
		Topics: []kafka.TopicPartitionsConfig{{Name: string(topic), Count: partitions + 1}}})
	if err != nil || answer.Errors[string(topic)] != nil {
		t.Fatal(answer, err)
	}
	w.Publish(t, topic, partitions, topology.Record{Value: []byte("new")})
	fixtures.Eventually(t, "the new partition is read", func() bool { return loop.Stats().Fetched() == 1 })
}
