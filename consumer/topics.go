package consumer

import (
	"context"
	"errors"
	"fmt"

	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/internal/retry"
	"github.com/meddela/meddela/topology"
)

// awaitTopics waits until all of the loop's topics exist: a group that reads a
// missing topic would rebalance without end. It reports false when ctx ends
// first.
func (l *Loop) awaitTopics(ctx context.Context) bool {
	var wait retry.Backoff
	var failures retry.Warner
	for {
		err := l.topicsExist(ctx)
		if err == nil {
			return true
		}
		if ctx.Err() == nil {
			failures.Warn(func(n int) {
				l.log.Warn().Err(err).Int("times", n).Msg("the topics are not there yet; trying on")
			})
		}
		if !wait.Wait(ctx) {
			return false
		}
	}
}

var errMissingTopic = errors.New("the topic does not exist: create it with `meddela topics apply`")

func (l *Loop) topicsExist(ctx context.Context) error {
	client := kafka.Client{Addr: kafka.TCP(l.config.Brokers...), Transport: l.config.Transport}
	names := make([]string, len(l.config.Topics))
	for i, t := range l.config.Topics {
		names[i] = string(t)
	}
	response, err := client.Metadata(ctx, &kafka.MetadataRequest{Topics: names})
	if err != nil {
		return fmt.Errorf("metadata: %w", err)
	}
	there := make(map[topology.Topic]bool)
	for _, t := range response.Topics {
		if t.Error != nil && !errors.Is(t.Error, kafka.UnknownTopicOrPartition) {
			return fmt.Errorf("topic %s: %w", t.Name, t.Error)
		}
		there[topology.Topic(t.Name)] = t.Error == nil && len(t.Partitions) > 0
	}
	for _, t := range l.config.Topics {
		if !there[t] {
			return fmt.Errorf("topic %s: %w", t, errMissingTopic)
		}
	}
	return nil
}
