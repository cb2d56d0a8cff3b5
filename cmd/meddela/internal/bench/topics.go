package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/producer/provision"
	"github.com/meddela/meddela/topology"
)

// createTopics makes the topics of one measurement: those of the lane, and the
// compacted ones.
func (b *Bench) createTopics(ctx context.Context, names topology.Topics) error {
	for _, role := range topology.Roles() {
		b.groups = append(b.groups, names.Groups(role, lane)...)
	}
	return b.createThose(ctx, names, func(t topology.Topic) bool {
		other, ok := names.LaneOf(t)
		return !ok || other == lane
	})
}

// createThose makes some of the topics.
func (b *Bench) createThose(ctx context.Context, names topology.Topics, wanted func(topology.Topic) bool) error {
	var specs []topology.TopicSpec
	var topics []topology.Topic
	for _, spec := range names.Specs(b.Sizing) {
		if wanted(spec.Name) {
			specs, topics = append(specs, spec), append(topics, spec.Name)
		}
	}
	b.topics = append(b.topics, topics...)
	if err := provision.Create(ctx, b.kafka, specs); err != nil {
		return err
	}
	return provision.AwaitLeaders(ctx, b.kafka, topics)
}

func (b *Bench) deleteTopics(ctx context.Context) error {
	if len(b.topics) == 0 {
		return nil
	}
	names := make([]string, len(b.topics))
	for i, t := range b.topics {
		names[i] = string(t)
	}
	b.topics = nil
	response, err := b.kafka.DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: names})
	if err != nil {
		return fmt.Errorf("topics: %w", err)
	}
	for name, err := range response.Errors {
		if err != nil && !errors.Is(err, kafka.UnknownTopicOrPartition) {
			return fmt.Errorf("topic %s: %w", name, err)
		}
	}
	return nil
}

// deleteGroups deletes one group at a time, as each may have another
// coordinator.
func (b *Bench) deleteGroups(ctx context.Context) error {
	groups := slices.Compact(slices.Sorted(slices.Values(b.groups)))
	b.groups = nil
	for _, group := range groups {
		if err := b.deleteGroup(ctx, group); err != nil && !errors.Is(err, kafka.GroupIdNotFound) {
			return fmt.Errorf("group %s: %w", group, err)
		}
	}
	return nil
}

// deleteGroup waits for the sessions of members that were killed.
func (b *Bench) deleteGroup(ctx context.Context, group string) error {
	for end := time.Now().Add(sessionTime); ; {
		response, err := b.kafka.DeleteGroups(ctx, &kafka.DeleteGroupsRequest{GroupIDs: []string{group}})
		if err == nil {
			err = response.Errors[group]
		}
		if !errors.Is(err, kafka.NonEmptyGroup) || time.Now().After(end) {
			return err
		}
		if err := sleep(ctx, 500*time.Millisecond); err != nil {
			return err
		}
	}
}
