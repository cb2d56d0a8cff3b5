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
	ids   map[topology.Topic]*named
}

// named is a topic's id, for all who want it: one asks, and the others wait for done.
type named struct {
	done chan struct{} // closed when the rest is known
	gone bool          // who asked has been cancelled
	id   string
	err  error
	seen time.Time
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
	id, wrapped, err := l.Wrapped(ctx, topic, partition)
	if err == nil && wrapped != partition {
		err = fmt.Errorf("topic %s has no partition %d", topic, partition)
	}
	return id, err
}

// Wrapped is Leader for a number that wraps around where a topic has fewer partitions.
func (l *Leaders) Wrapped(ctx context.Context, topic topology.Topic, number int) (id, partition int, err error) {
	ids, err := l.leaders(ctx, topic)
	if err != nil {
		return 0, 0, err
	}
	partition = number % len(ids)
	if ids[partition] < 0 {
		err = fmt.Errorf("%s/%d: %w", topic, partition, kafka.LeaderNotAvailable)
	}
	return ids[partition], partition, err
}

// Expire makes it look again, after a request that went to the wrong broker.
func (l *Leaders) Expire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for topic, b := range l.known {
		b.seen = time.Time{}
		l.known[topic] = b
	}
	l.ids = nil
}

// ID is the id that a topic had a moment ago, as TopicID has it.
func (l *Leaders) ID(ctx context.Context, topic topology.Topic) (string, error) {
	for ctx.Err() == nil {
		l.mu.Lock()
		is := l.ids[topic]
		if is == nil || is.isOld() {
			is = &named{done: make(chan struct{})}
			if l.ids == nil {
				l.ids = make(map[topology.Topic]*named)
			}
			l.ids[topic] = is
			l.mu.Unlock()
			is.seen = time.Now()
			is.id, is.err = TopicID(ctx, l.Addr, l.Transport, topic)
			is.gone = ctx.Err() != nil
			close(is.done)
			return is.id, is.err
		}
		l.mu.Unlock()
		select {
		case <-is.done:
		case <-ctx.Done():
			return "", ctx.Err()
		}
		if is.err == nil || !is.gone {
			return is.id, is.err
		}
	}
	return "", ctx.Err()
}

// isOld reports whether it is to be asked for again.
func (n *named) isOld() bool {
	select {
	case <-n.done:
		return n.err != nil || time.Since(n.seen) >= ttl
	default:
		return false
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
	said := errors.As(err, new(*topology.NoTopicError)) || errors.Is(err, kafka.TopicAuthorizationFailed)
	if err != nil && known.ids != nil && !said {
		return known.ids, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		delete(l.known, topic)
		return nil, err
	}
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
