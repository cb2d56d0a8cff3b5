package producer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/topology"
)

// partitionCount is remembered for a while: topics only ever grow, and that is
// noticed by looking again now and then.
type partitionCount struct {
	n    int
	seen time.Time
}

const partitionCountTTL = 30 * time.Second

// awaitCount returns the topic's number of partitions, trying for as long as ctx
// lasts to learn it. Its only error is ctx's.
func (p *Publisher) awaitCount(ctx context.Context, topic topology.Topic) (n int, err error) {
	try := func() (err error) {
		n, err = p.count(ctx, topic)
		return err
	}
	err = p.tryOn(ctx, try, func(err error, tries int) {
		p.Log.Warn().Err(err).Int("tries", tries).Msg("cannot publish yet; trying on")
	})
	return n, err
}

// count returns the topic's number of partitions: what is remembered while that
// is fresh, or while the cluster does not answer.
func (p *Publisher) count(ctx context.Context, topic topology.Topic) (int, error) {
	p.mu.RLock()
	known := p.counts[topic]
	p.mu.RUnlock()
	if time.Since(known.seen) < partitionCountTTL {
		return known.n, nil
	}
	n, err := p.countNow(ctx, topic)
	switch {
	case err != nil && known.n > 0:
		return known.n, nil
	case err != nil:
		return 0, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.counts == nil {
		p.counts = make(map[topology.Topic]partitionCount)
	}
	p.counts[topic] = partitionCount{n: n, seen: time.Now()}
	return n, nil
}

func (p *Publisher) countNow(ctx context.Context, topic topology.Topic) (int, error) {
	client := kafka.Client{Addr: p.Addr, Transport: p.Transport}
	response, err := client.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{string(topic)}})
	if err != nil {
		return 0, fmt.Errorf("partitions of topic %s: %w", topic, err)
	}
	for _, found := range response.Topics {
		switch {
		case found.Name != string(topic):
		case errors.Is(found.Error, kafka.UnknownTopicOrPartition):
			return 0, &topology.NoTopicError{Topic: topic}
		case found.Error != nil:
			return 0, fmt.Errorf("partitions of topic %s: %w", topic, found.Error)
		case len(found.Partitions) > 0:
			return len(found.Partitions), nil
		}
	}
	return 0, fmt.Errorf("partitions of topic %s: the broker's answer has none", topic)
}
