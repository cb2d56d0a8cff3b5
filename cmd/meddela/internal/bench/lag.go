package bench

import (
	"context"
	"fmt"

	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/topology"
)

// mostBehind is how many records of topics the last of some groups has not
// committed yet.
func (b *Bench) mostBehind(ctx context.Context, groups []string, topics ...topology.Topic) (most int64, err error) {
	for _, group := range groups {
		lag, err := b.behind(ctx, group, topics...)
		if err != nil {
			return 0, err
		}
		most = max(most, lag)
	}
	return most, nil
}

// behind is how many records of topics a group has not committed yet.
func (b *Bench) behind(ctx context.Context, group string, topics ...topology.Topic) (int64, error) {
	ends := &kafka.ListOffsetsRequest{Topics: make(map[string][]kafka.OffsetRequest)}
	committed := &kafka.OffsetFetchRequest{GroupID: group, Topics: make(map[string][]int)}
	for _, topic := range topics {
		for p := range b.Sizing.Partitions {
			ends.Topics[string(topic)] = append(ends.Topics[string(topic)], kafka.LastOffsetOf(p))
			committed.Topics[string(topic)] = append(committed.Topics[string(topic)], p)
		}
	}
	last, err := b.kafka.ListOffsets(ctx, ends)
	if err != nil {
		return 0, fmt.Errorf("ends of %v: %w", topics, err)
	}
	done, err := b.kafka.OffsetFetch(ctx, committed)
	if err == nil {
		err = done.Error
	}
	if err != nil {
		return 0, fmt.Errorf("offsets of group %s: %w", group, err)
	}
	lag := int64(0)
	for _, partitions := range last.Topics {
		for _, p := range partitions {
			lag += p.LastOffset
		}
	}
	for _, partitions := range done.Topics {
		for _, p := range partitions {
			lag -= max(p.CommittedOffset, 0)
		}
	}
	return lag, nil
}
