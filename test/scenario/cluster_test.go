package scenario

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// cluster looks at Kafka as an operator's tools do.
type cluster struct {
	brokers []string
	client  *kgo.Client
}

const askTimeout = 20 * time.Second

func newCluster(brokers []string) (*cluster, error) {
	// Later versions name topics by ids in some requests.
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.MaxVersions(kversion.V3_9_0()))
	return &cluster{brokers, client}, err
}

// assignments returns how many partitions each member of a group has, by its
// client id. Its error is that the group is not at rest.
func (c *cluster) assignments(group string) (map[string]int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	request := kmsg.NewPtrDescribeGroupsRequest()
	request.Groups = []string{group}
	response, err := request.RequestWith(ctx, c.client)
	if err != nil {
		return nil, err
	}
	if len(response.Groups) != 1 || response.Groups[0].State != "Stable" {
		return nil, fmt.Errorf("group %s is not stable", group)
	}
	counts := make(map[string]int)
	for _, m := range response.Groups[0].Members {
		var assignment kmsg.ConsumerMemberAssignment
		if err := assignment.ReadFrom(m.MemberAssignment); err != nil {
			return nil, err
		}
		for _, topic := range assignment.Topics {
			counts[m.ClientID] += len(topic.Partitions)
		}
	}
	return counts, nil
}

// ends returns the offset after the last record of each partition.
func (c *cluster) ends(topic string) (map[int32]int64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	partitions, err := c.partitions(ctx, topic)
	if err != nil {
		return nil, err
	}
	request := kmsg.NewPtrListOffsetsRequest()
	request.ReplicaID = -1
	asked := kmsg.NewListOffsetsRequestTopic()
	asked.Topic = topic
	for _, p := range partitions {
		partition := kmsg.NewListOffsetsRequestTopicPartition()
		partition.Partition, partition.Timestamp = p, -1
		asked.Partitions = append(asked.Partitions, partition)
	}
	request.Topics = append(request.Topics, asked)
	ends := make(map[int32]int64)
	for _, shard := range c.client.RequestSharded(ctx, request) {
		if shard.Err != nil {
			return nil, shard.Err
		}
		for _, t := range shard.Resp.(*kmsg.ListOffsetsResponse).Topics {
			for _, p := range t.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					return nil, err
				}
				ends[p.Partition] = p.Offset
			}
		}
	}
	return ends, nil
}

func (c *cluster) partitions(ctx context.Context, topic string) ([]int32, error) {
	request := kmsg.NewPtrMetadataRequest()
	asked := kmsg.NewMetadataRequestTopic()
	asked.Topic = &topic
	request.Topics = append(request.Topics, asked)
	response, err := request.RequestWith(ctx, c.client)
	if err != nil {
		return nil, err
	}
	var partitions []int32
	for _, t := range response.Topics {
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
			return nil, fmt.Errorf("topic %s: %w", topic, err)
		}
		for _, p := range t.Partitions {
			partitions = append(partitions, p.Partition)
		}
	}
	return partitions, nil
}

// behind returns how many offsets of a topic a group has not committed yet.
func (c *cluster) behind(group, topic string) (int64, error) {
	ends, err := c.ends(topic)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	request := kmsg.NewPtrOffsetFetchRequest()
	asked := kmsg.NewOffsetFetchRequestGroup()
	asked.Group = group
	request.Groups = append(request.Groups, asked)
	request.Group = group
	response, err := request.RequestWith(ctx, c.client)
	if err != nil {
		return 0, err
	}
	var behind int64
	for p, end := range ends {
		behind += end - committed(response, topic, p)
	}
	return behind, nil
}

// committed is a partition's committed offset; 0 without one.
func committed(response *kmsg.OffsetFetchResponse, topic string, partition int32) int64 {
	for _, g := range response.Groups {
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				if t.Topic == topic && p.Partition == partition {
					return max(p.Offset, 0)
				}
			}
		}
	}
	return 0
}

// rewind commits the start of a topic for a group without members.
func (c *cluster) rewind(group, topic string) error {
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	partitions, err := c.partitions(ctx, topic)
	if err != nil {
		return err
	}
	request := kmsg.NewPtrOffsetCommitRequest()
	request.Group, request.Generation = group, -1
	asked := kmsg.NewOffsetCommitRequestTopic()
	asked.Topic = topic
	for _, p := range partitions {
		partition := kmsg.NewOffsetCommitRequestTopicPartition()
		partition.Partition, partition.Offset = p, 0
		asked.Partitions = append(asked.Partitions, partition)
	}
	request.Topics = append(request.Topics, asked)
	response, err := request.RequestWith(ctx, c.client)
	if err != nil {
		return err
	}
	for _, t := range response.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return fmt.Errorf("rewind %s/%d of %s: %w", topic, p.Partition, group, err)
			}
		}
	}
	return nil
}

// read returns every committed record that a topic has now.
func (c *cluster) read(topic string) ([]*kgo.Record, error) {
	ends, err := c.ends(topic)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	starts := make(map[int32]kgo.Offset)
	for p, end := range ends {
		if end > 0 {
			starts[p] = kgo.NewOffset().At(0)
		}
	}
	if len(starts) == 0 {
		return nil, nil
	}
	reading, err := kgo.NewClient(
		kgo.SeedBrokers(c.brokers...),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: starts}),
	)
	if err != nil {
		return nil, err
	}
	defer reading.Close()
	var records []*kgo.Record
	for len(starts) > 0 {
		fetches := reading.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, err
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if !r.Attrs.IsControl() {
				records = append(records, r)
			}
			if r.Offset+1 >= ends[r.Partition] {
				delete(starts, r.Partition)
			}
		})
	}
	return records, nil
}

// deleteTopics deletes every topic whose name starts with prefix.
func (c *cluster) deleteTopics(prefix string) error {
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	metadata := kmsg.NewPtrMetadataRequest()
	metadata.Topics = nil
	all, err := metadata.RequestWith(ctx, c.client)
	if err != nil {
		return err
	}
	request := kmsg.NewPtrDeleteTopicsRequest()
	request.TimeoutMillis = 15000
	for _, t := range all.Topics {
		if t.Topic != nil && strings.HasPrefix(*t.Topic, prefix) {
			topic := kmsg.NewDeleteTopicsRequestTopic()
			topic.Topic = t.Topic
			request.Topics = append(request.Topics, topic)
			request.TopicNames = append(request.TopicNames, *t.Topic)
		}
	}
	response, err := request.RequestWith(ctx, c.client)
	if err != nil {
		return err
	}
	for _, t := range response.Topics {
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil && !errors.Is(err, kerr.UnknownTopicOrPartition) {
			return err
		}
	}
	return nil
}
