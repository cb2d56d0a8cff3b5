package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/topology"
)

// Leaders knows which broker leads each partition, so that what goes to one broker
// can travel together. Topics only ever grow, and growth is noticed by looking again
// now and then. It is safe for use by several goroutines.
type Leaders struct {
	Addr      net.Addr
	Transport kafka.RoundTripper

	mu    sync.Mutex
	known map[topology.Topic]brokers
}

// brokers are those that lead a topic's partitions.
type brokers struct {
	ids  []int
	seen time.Time
}

// ttl is how long an answer is taken to be true. The client keeps metadata of its
// own up to date, so that to look again costs no request.
const ttl = time.Second

// Partitions is how many partitions a topic has: as far as is known, where the
// cluster does not answer.
func (l *Leaders) Partitions(ctx context.Context, topic topology.Topic) (int, error) {
	ids, err := l.leaders(ctx, topic)
	return len(ids), err
}

// Leader is the id of the broker that led a partition a moment ago.
func (l *Leaders) Leader(ctx context.Context, topic topology.Topic, partition int) (int, error) {
	ids, err := l.leaders(ctx, topic)
	switch {
	case err != nil:
		return 0, err
	case partition >= len(ids):
		return 0, fmt.Errorf("topic %s has no partition %d", topic, partition)
	case ids[partition] < 0:
		return 0, fmt.Errorf("%s/%d: %w", topic, partition, kafka.LeaderNotAvailable)
	}
	return ids[partition], nil
}

// Expire makes it look again, after a request that went to the wrong broker.
func (l *Leaders) Expire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for topic, b := range l.known {
		b.seen = time.Time{}
		l.known[topic] = b
	}
}

func (l *Leaders) leaders(ctx context.Context, topic topology.Topic) ([]int, error) {
	l.mu.Lock()
	known := l.known[topic]
	l.mu.Unlock()
	if time.Since(known.seen) < ttl {
		return known.ids, nil
	}
	ids, err := LeadersOf(ctx, l.Addr, l.Transport, topic)
	if err != nil {
		if known.ids != nil {
			return known.ids, nil
		}
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known == nil {
		l.known = make(map[topology.Topic]brokers)
	}
	l.known[topic] = brokers{ids: ids, seen: time.Now()}
	return ids, nil
}

// LeadersOf asks for the leader of each partition of a topic, -1 where there is
// none. Without the topic its error is a *topology.NoTopicError.
func LeadersOf(ctx context.Context, addr net.Addr, transport kafka.RoundTripper, topic topology.Topic) ([]int, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	client := kafka.Client{Addr: addr, Transport: transport}
	response, err := client.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{string(topic)}})
	if err != nil {
		return nil, fmt.Errorf("metadata of topic %s: %w", topic, err)
	}
	for _, t := range response.Topics {
		switch {
		case t.Name != string(topic):
		case errors.Is(t.Error, kafka.UnknownTopicOrPartition):
			return nil, &topology.NoTopicError{Topic: topic}
		case t.Error != nil:
			return nil, fmt.Errorf("topic %s: %w", topic, t.Error)
		case len(t.Partitions) > 0:
			ids := slices.Repeat([]int{-1}, len(t.Partitions))
			for _, p := range t.Partitions {
				if p.ID < len(ids) {
					ids[p.ID] = leaderID(p)
				}
			}
			return ids, nil
		}
	}
	return nil, &topology.NoTopicError{Topic: topic}
}

func leaderID(p kafka.Partition) int {
	if p.Leader.Host == "" {
		return -1
	}
	return p.Leader.ID
}
