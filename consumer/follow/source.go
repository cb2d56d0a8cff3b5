package follow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/rs/zerolog"
	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/consumer/scan"
	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/wire"
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
	// boundsPatience is for a topic that was just made, or whose leader has just moved: who follows tries on, but a
	// command asks once.
	boundsPatience = time.Second
)

// topicSource reads partition 0 of a topic.
type topicSource struct{ consumer.Fetcher }

// FromTopic is the Source that is a Kafka topic. Its fetches wait at the broker,
// so the transport should not be shared with who must not wait. The log hears of what
// is passed over because it can never be read.
func FromTopic(addr net.Addr, transport kafka.RoundTripper, topic topology.Topic, log zerolog.Logger) Source {
	return &topicSource{consumer.Fetcher{
		Addr: addr, Transport: transport, Topic: topic, MaxBytes: fetchBytes, MaxWait: fetchWait, Log: log,
	}}
}

// FromWholeTopic is FromTopic for a topic of which all counts: a fetch of what can never be read fails with
// consumer.ErrUnreadable.
func FromWholeTopic(addr net.Addr, transport kafka.RoundTripper, topic topology.Topic) Source {
	return &topicSource{consumer.Fetcher{
		Addr: addr, Transport: transport, Topic: topic, MaxBytes: fetchBytes, MaxWait: fetchWait, Whole: true,
	}}
}

func (s *topicSource) Bounds(ctx context.Context) (first, end int64, err error) {
	topics := scan.Topics{Addr: s.Addr, Transport: s.Transport, Patience: boundsPatience}
	kept, err := topics.Kept(ctx, s.Topic, 0)
	if err != nil {
		return 0, 0, s.explain(err)
	}
	return kept[0].From, kept[0].To, nil
}

func (s *topicSource) Fetch(ctx context.Context, from int64) ([]topology.Record, int64, error) {
	s.SeekTo(from)
	fetched, err := s.Fetcher.Fetch(ctx)
	if errors.Is(err, kafka.UnknownTopicID) {
		err = s.madeAgain(ctx, err)
	}
	if err != nil {
		return nil, from, s.explain(fmt.Errorf("topic %s: %w", s.Topic, err))
	}
	return fetched.Records, fetched.Next, nil
}

// madeAgain is what is wrong with a topic whose id is not known: where there is another one by now, it is read from
// its first record on, for which the error is OffsetOutOfRange.
func (s *topicSource) madeAgain(ctx context.Context, err error) error {
	id, failure := wire.TopicID(ctx, s.Addr, s.Transport, s.Topic)
	if failure != nil || id == s.ID || id == "" {
		return cmp.Or(failure, err)
	}
	s.ID = id
	return fmt.Errorf("it was deleted and made again: %w", kafka.OffsetOutOfRange)
}

func (s *topicSource) explain(err error) error {
	if errors.Is(err, kafka.UnknownTopicOrPartition) {
		return &topology.NoTopicError{Topic: s.Topic}
	}
	return err
}
