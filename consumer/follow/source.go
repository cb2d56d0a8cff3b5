package follow

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/topology"
)

// Source is the one partition of a compacted topic.
type Source interface {
	// Bounds returns the offset of the first record and the one after the
	// last. It may be called while Fetch is under way.
	Bounds(ctx context.Context) (first, end int64, err error)
	// Fetch waits a while for records from an offset on, and returns them,
	// possibly none, and the offset to go on from.
	Fetch(ctx context.Context, from int64) (records []topology.Record, next int64, err error)
}

const (
	// fetchWait is how long a fetch waits for news. They are answered when
	// they come; the wait bounds how old the last sign of life may be.
	fetchWait  = 2 * time.Second
	fetchBytes = 4 << 20
	listTime   = 10 * time.Second
)

// topicSource reads partition 0 of a topic.
type topicSource struct {
	client  kafka.Client
	topic   topology.Topic
	fetcher consumer.Fetcher
}

// FromTopic is the Source that is a Kafka topic. Its fetches wait at the broker,
// so the transport should not be shared with who must not wait.
func FromTopic(addr net.Addr, transport kafka.RoundTripper, topic topology.Topic) Source {
	return &topicSource{
		client: kafka.Client{Addr: addr, Transport: transport},
		topic:  topic,
		fetcher: consumer.Fetcher{
			Addr: addr, Transport: transport, Topic: topic, MaxBytes: fetchBytes, MaxWait: fetchWait,
		},
	}
}

func (s *topicSource) Bounds(ctx context.Context) (first, end int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, listTime)
	defer cancel()
	response, err := s.client.ListOffsets(ctx, &kafka.ListOffsetsRequest{
		Topics: map[string][]kafka.OffsetRequest{
			string(s.topic): {kafka.FirstOffsetOf(0), kafka.LastOffsetOf(0)},
		},
		IsolationLevel: kafka.ReadCommitted,
	})
	if err != nil {
		return 0, 0, s.explain(err)
	}
	for _, p := range response.Topics[string(s.topic)] {
		if p.Error != nil {
			return 0, 0, s.explain(p.Error)
		}
		if p.Partition == 0 && p.FirstOffset >= 0 && p.LastOffset >= p.FirstOffset {
			return p.FirstOffset, p.LastOffset, nil
		}
	}
	return 0, 0, fmt.Errorf("offsets of topic %s: %w", s.topic, errNoOffsets)
}

var errNoOffsets = errors.New("the broker's answer has none")

func (s *topicSource) Fetch(ctx context.Context, from int64) ([]topology.Record, int64, error) {
	s.fetcher.SeekTo(from)
	fetched, err := s.fetcher.Fetch(ctx)
	if err != nil {
		return nil, from, s.explain(err)
	}
	return fetched.Records, fetched.Next, nil
}

func (s *topicSource) explain(err error) error {
	if errors.Is(err, kafka.UnknownTopicOrPartition) {
		return &topology.NoTopicError{Topic: s.topic}
	}
	return fmt.Errorf("topic %s: %w", s.topic, err)
}
