package embedded

import (
	"sync/atomic"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// What follows makes the broker fail as real ones do, for tests.

// Sleep breaks every connection and refuses new ones until Wake.
func (b *Broker) Sleep() { b.listener.setShut(true) }

// Wake ends Sleep. Everything is as it was.
func (b *Broker) Wake() { b.listener.setShut(false) }

// FailProduce makes the broker refuse what is written, until heal is called.
func (b *Broker) FailProduce(with kafka.Error) (heal func()) {
	return b.fail(kmsg.Produce, func(request kmsg.Request) kmsg.Response {
		response := request.ResponseKind().(*kmsg.ProduceResponse)
		for _, t := range request.(*kmsg.ProduceRequest).Topics {
			topic := kmsg.NewProduceResponseTopic()
			topic.Topic = t.Topic
			for _, p := range t.Partitions {
				partition := kmsg.NewProduceResponseTopicPartition()
				partition.Partition, partition.ErrorCode = p.Partition, int16(with)
				topic.Partitions = append(topic.Partitions, partition)
			}
			response.Topics = append(response.Topics, topic)
		}
		return response
	})
}

// FailFetch makes the broker refuse to be read from, until heal is called.
func (b *Broker) FailFetch(with kafka.Error) (heal func()) {
	return b.fail(kmsg.Fetch, func(request kmsg.Request) kmsg.Response {
		response := request.ResponseKind().(*kmsg.FetchResponse)
		for _, t := range request.(*kmsg.FetchRequest).Topics {
			topic := kmsg.NewFetchResponseTopic()
			topic.Topic = t.Topic
			for _, p := range t.Partitions {
				partition := kmsg.NewFetchResponseTopicPartition()
				partition.Partition, partition.ErrorCode = p.Partition, int16(with)
				topic.Partitions = append(topic.Partitions, partition)
			}
			response.Topics = append(response.Topics, topic)
		}
		return response
	})
}

// FailCommit makes the broker refuse committed offsets, until heal is called.
func (b *Broker) FailCommit(with kafka.Error) (heal func()) {
	return b.fail(kmsg.OffsetCommit, func(request kmsg.Request) kmsg.Response {
		response := request.ResponseKind().(*kmsg.OffsetCommitResponse)
		for _, t := range request.(*kmsg.OffsetCommitRequest).Topics {
			topic := kmsg.NewOffsetCommitResponseTopic()
			topic.Topic = t.Topic
			for _, p := range t.Partitions {
				partition := kmsg.NewOffsetCommitResponseTopicPartition()
				partition.Partition, partition.ErrorCode = p.Partition, int16(with)
				topic.Partitions = append(topic.Partitions, partition)
			}
			response.Topics = append(response.Topics, topic)
		}
		return response
	})
}

// fail answers requests of one kind in the broker's stead, until heal is
// called.
func (b *Broker) fail(key kmsg.Key, answer func(kmsg.Request) kmsg.Response) (heal func()) {
	var healed atomic.Bool
	b.cluster.ControlKey(key.Int16(), func(request kmsg.Request) (kmsg.Response, error, bool) {
		if healed.Load() {
			b.cluster.DropControl()
			return nil, nil, false
		}
		b.cluster.KeepControl()
		return answer(request), nil, true
	})
	return func() { healed.Store(true) }
}
