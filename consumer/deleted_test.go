package consumer_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/test/fixtures"
	"github.com/meddela/meddela/topology"
)

// TestTopicDeleted: nobody asks the broker to make a topic again that was deleted under a loop, which keeps its
// place in the group and does not join again and again; what is published when it is back is handled.
func TestTopicDeleted(t *testing.T) {
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
	w.publish(0, 1)
	fixtures.Eventually(t, "what is published then is handled", func() bool {
		return loop.Stats().Fetched() >= partitions
	})
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
