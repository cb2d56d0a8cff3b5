package producer_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/producer/embedded"
	"github.com/meddela/meddela/test/fixtures"
	"github.com/meddela/meddela/topology"
)

// What our user may not write to an expendable topic is left out, whether it may see the
// topic or not, and what goes to others beside it is written.
func TestDenied(t *testing.T) {
	log, letters := names.DeliveryLog(topology.Realtime), names.DeadLetters(topology.Realtime)
	right := func(topic topology.Topic, operation kmsg.ACLOperation) kfake.ACL {
		return kfake.ACL{Resource: kmsg.ACLResourceTypeTopic, Name: string(topic),
			Pattern: kmsg.ACLResourcePatternTypeLiteral, Operation: operation, Allow: true}
	}
	for name, rights := range map[string][]kfake.ACL{
		"unseen": {right(log, kmsg.ACLOperationWrite)},
		"seen":   {right(log, kmsg.ACLOperationWrite), right(letters, kmsg.ACLOperationDescribe)},
	} {
		t.Run(name, func(t *testing.T) {
			cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, string(log), string(letters)),
				kfake.EnableSASL(), kfake.EnableACLs(), kfake.User("PLAIN", "u", "p", rights...))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(cluster.Close)
			link := producer.Connection{Brokers: cluster.ListenAddrs(), Topics: []topology.Topic{log, letters},
				SASL: plain.Mechanism{Username: "u", Password: "p"}}
			to := &producer.Publisher{Addr: link.Addr(), Transport: transport(t, link), Expendable: link.Topics[1:]}
			refused, err := to.Publish(fixtures.Soon(t), 1, []topology.Record{
				{Topic: letters, Value: []byte("a")}, {Topic: log, Value: []byte("b")}, {Topic: letters, Value: []byte("c")}})
			if err != nil || !slices.Equal(refused, []int{0, 2}) {
				t.Errorf("refused %v, %v", refused, err)
			}
		})
	}
}

// A timestamp that the broker does not take is the record's fault.
func TestInvalidTimestamp(t *testing.T) {
	k := fixtures.StartKafka(t, embedded.BrokerConfig{})
	topic := names.Jobs(topology.Realtime)
	k.CreateTopic(t, topic, 1, nil)
	k.Cluster.ControlKey(int16(kmsg.Produce), func(request kmsg.Request) (kmsg.Response, error, bool) {
		k.Cluster.KeepControl()
		return produced(request, kafka.InvalidTimestamp), nil, true
	})
	of := func(at time.Time) []topology.Record {
		return []topology.Record{{Topic: topic, Value: []byte("a"), Time: at}}
	}
	refused, err := k.Publisher.Publish(fixtures.Soon(t), 0, of(time.Unix(1, 0)))
	if err != nil || len(refused) != 1 {
		t.Errorf("refused %v, %v", refused, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if refused, err = k.Publisher.Publish(ctx, 0, of(time.Time{})); err == nil {
		t.Errorf("with a clock of ours that is wrong, %v are given up", refused)
	}
}

// TestAckTimeout: brokers wait for their replicas for as long as the Publisher says, which is not what the client
// library makes of a deadline.
func TestAckTimeout(t *testing.T) {
	k := fixtures.StartKafka(t, embedded.BrokerConfig{})
	topic := names.Jobs(topology.Realtime)
	k.CreateTopic(t, topic, 1, nil)
	var asked, acks atomic.Int64
	k.Cluster.ControlKey(int16(kmsg.Produce), func(request kmsg.Request) (kmsg.Response, error, bool) {
		r := request.(*kmsg.ProduceRequest)
		asked.Store(int64(r.TimeoutMillis))
		acks.Store(int64(r.Acks))
		return nil, nil, false
	})
	if _, err := k.Publisher.Publish(fixtures.Soon(t), 0, []topology.Record{{Topic: topic}}); err != nil {
		t.Fatal(err)
	}
	if asked.Load() != 15_000 || acks.Load() != -1 {
		t.Errorf("brokers are asked for %d ms and %d acks, want 15000 of all in sync", asked.Load(), acks.Load())
	}
}

// Tries that fail are counted by what the broker says, or that it says nothing.
func TestPublishErrors(t *testing.T) {
	k := fixtures.StartKafka(t, embedded.BrokerConfig{})
	topic := names.Jobs(topology.Realtime)
	k.CreateTopic(t, topic, 1, nil)
	k.Publish(t, topic, 0, topology.Record{Value: []byte("first")})
	var code atomic.Int32
	k.Cluster.ControlKey(int16(kmsg.Produce), func(request kmsg.Request) (kmsg.Response, error, bool) {
		k.Cluster.KeepControl()
		if code.Load() == 0 {
			return nil, nil, false
		}
		return produced(request, kafka.Error(code.Load())), nil, true
	})
	errs := &k.Publisher.Errors
	for _, test := range []struct {
		code    kafka.Error
		counted *atomic.Int64
	}{
		{kafka.TopicAuthorizationFailed, &errs.Denied}, {kafka.NotEnoughReplicas, &errs.Replicas},
		{kafka.NotEnoughReplicasAfterAppend, &errs.Replicas}, {kafka.NotLeaderForPartition, &errs.Away},
		{kafka.RequestTimedOut, &errs.Away}, {kafka.KafkaStorageError, &errs.Other}, {0, &errs.Away},
	} {
		if code.Store(int32(test.code)); test.code == 0 {
			k.Sleep()
		}
		before, all := test.counted.Load(), func() int64 {
			return errs.Denied.Load() + errs.Replicas.Load() + errs.Away.Load() + errs.Other.Load()
		}
		sum := all()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = k.Publisher.Publish(ctx, 0, []topology.Record{{Topic: topic, Value: []byte("a")}})
		}()
		fixtures.Eventually(t, test.code.Error(), func() bool { return test.counted.Load() > before })
		cancel()
		<-done
		if counted := test.counted.Load() - before; all()-sum != counted {
			t.Errorf("%v: %d are counted in all, %d as this", test.code, all()-sum, counted)
		}
	}
}

// produced is an answer to a request to write.
func produced(request kmsg.Request, code kafka.Error) kmsg.Response {
	r := request.(*kmsg.ProduceRequest)
	response := r.ResponseKind().(*kmsg.ProduceResponse)
	for _, t := range r.Topics {
		one := kmsg.NewProduceResponseTopic()
		one.Topic = t.Topic
		one.TopicID = t.TopicID
		part := kmsg.NewProduceResponseTopicPartition()
		part.ErrorCode = int16(code)
		one.Partitions = append(one.Partitions, part)
		response.Topics = append(response.Topics, one)
	}
	return response
}

// A topic that is made again with fewer partitions is written to all the same.
func TestFewerPartitions(t *testing.T) {
	k := fixtures.StartKafka(t, embedded.BrokerConfig{})
	topic := names.Jobs(topology.Realtime)
	record := []topology.Record{{Topic: topic, Value: []byte("a")}}
	for _, partitions := range []int{4, 2} {
		k.CreateTopic(t, topic, partitions, nil)
		if refused, err := k.Publisher.Publish(fixtures.Soon(t), 3, record); err != nil || refused != nil {
			t.Fatalf("%d partitions: refused %v, %v", partitions, refused, err)
		}
		if partitions == 4 {
			answer, err := k.Client.DeleteTopics(fixtures.Soon(t), &kafka.DeleteTopicsRequest{Topics: []string{string(topic)}})
			if err != nil || answer.Errors[string(topic)] != nil {
				t.Fatal(answer, err)
			}
		}
	}
}
