package scan

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/topology"
)

// requestTime bounds a request for metadata or offsets.
const requestTime = 10 * time.Second

// partitions lists the partitions of a topic.
func (t *Topics) partitions(ctx context.Context, topic topology.Topic) ([]int, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	response, err := t.client().Metadata(ctx, &kafka.MetadataRequest{Topics: []string{string(topic)}})
	if err != nil {
		return nil, fmt.Errorf("partitions of topic %s: %w", topic, err)
	}
	for _, found := range response.Topics {
		switch {
		case found.Name != string(topic):
		case errors.Is(found.Error, kafka.UnknownTopicOrPartition):
			return nil, &topology.NoTopicError{Topic: topic}
		case found.Error != nil:
			return nil, fmt.Errorf("partitions of topic %s: %w", topic, found.Error)
		case len(found.Partitions) > 0:
			ids := make([]int, len(found.Partitions))
			for i, p := range found.Partitions {
				ids[i] = p.ID
			}
			return ids, nil
		}
	}
	return nil, fmt.Errorf("partitions of topic %s: %w", topic, errNoAnswer)
}

// kept returns what each partition holds, empty ones included.
func (t *Topics) kept(ctx context.Context, topic topology.Topic, partitions []int) ([]Range, error) {
	var requests []kafka.OffsetRequest
	for _, p := range partitions {
		requests = append(requests, kafka.FirstOffsetOf(p), kafka.LastOffsetOf(p))
	}
	answers, err := t.listOffsets(ctx, topic, requests)
	if err != nil {
		return nil, err
	}
	var kept []Range
	for _, p := range partitions {
		a, ok := answers[p]
		if !ok || a.FirstOffset < 0 || a.LastOffset < a.FirstOffset {
			return nil, fmt.Errorf("offsets of %s/%d: %w", topic, p, errNoAnswer)
		}
		kept = append(kept, Range{topic, p, a.FirstOffset, a.LastOffset})
	}
	return kept, nil
}

// written returns the offset of the first record of each partition that was
// written at a time or later, which is beyond every offset where there is none.
// It returns nothing for the zero time.
func (t *Topics) written(ctx context.Context, topic topology.Topic, partitions []int, at time.Time) (map[int]int64,
	error) {
	if at.IsZero() {
		return nil, nil
	}
	var requests []kafka.OffsetRequest
	for _, p := range partitions {
		// Times before 1970 would ask for something else.
		requests = append(requests, kafka.OffsetRequest{Partition: p, Timestamp: max(at.UnixMilli(), 0)})
	}
	answers, err := t.listOffsets(ctx, topic, requests)
	if err != nil {
		return nil, err
	}
	offsets := make(map[int]int64)
	for _, p := range partitions {
		offsets[p] = math.MaxInt64
		for offset := range answers[p].Offsets {
			if offset >= 0 {
				offsets[p] = offset
			}
		}
	}
	return offsets, nil
}

// listOffsets asks for offsets of a topic, and answers by partition.
func (t *Topics) listOffsets(ctx context.Context, topic topology.Topic,
	requests []kafka.OffsetRequest) (map[int]kafka.PartitionOffsets, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	response, err := t.client().ListOffsets(ctx, &kafka.ListOffsetsRequest{
		Topics:         map[string][]kafka.OffsetRequest{string(topic): requests},
		IsolationLevel: kafka.ReadCommitted,
	})
	if err != nil {
		return nil, fmt.Errorf("offsets of topic %s: %w", topic, err)
	}
	answers := make(map[int]kafka.PartitionOffsets)
	for _, p := range response.Topics[string(topic)] {
		if p.Error != nil {
			return nil, fmt.Errorf("offsets of %s/%d: %w", topic, p.Partition, p.Error)
		}
		answers[p.Partition] = p
	}
	return answers, nil
}

func (t *Topics) client() *kafka.Client {
	return &kafka.Client{Addr: t.Addr, Transport: t.Transport}
}

// oneFetchBytes is enough for the batch that has one record: a larger one comes
// whole.
const oneFetchBytes = 64 << 10

// At returns the record at an offset. The error is a *topology.NoTopicError, a
// *NoPartitionError, a *NotKeptError, a *NoRecordError, or of the kafka package
// or the network.
func (t *Topics) At(ctx context.Context, topic topology.Topic, partition int, offset int64) (topology.Record, error) {
	var kept Range
	err := t.retry(ctx, func(ctx context.Context) (err error) {
		kept, err = t.keptIn(ctx, topic, partition)
		return err
	})
	if err != nil {
		return topology.Record{}, err
	}
	if offset < kept.From || offset >= kept.To {
		return topology.Record{}, &NotKeptError{Kept: kept, Offset: offset}
	}
	one := *t
	one.FetchBytes = oneFetchBytes
	var found []topology.Record
	err = one.Scan(ctx, []Range{{topic, partition, offset, offset + 1}}, nil, func(records []topology.Record) error {
		found = records
		return nil
	})
	switch {
	case err != nil:
		return topology.Record{}, err
	case len(found) == 0:
		return topology.Record{}, &NoRecordError{topic, partition, offset}
	}
	return found[0], nil
}

// keptIn returns what one partition holds.
func (t *Topics) keptIn(ctx context.Context, topic topology.Topic, partition int) (Range, error) {
	partitions, err := t.partitions(ctx, topic)
	if err != nil {
		return Range{}, err
	}
	if !slices.Contains(partitions, partition) {
		return Range{}, &NoPartitionError{topic, partition, len(partitions)}
	}
	kept, err := t.kept(ctx, topic, []int{partition})
	if err != nil {
		return Range{}, err
	}
	return kept[0], nil
}
