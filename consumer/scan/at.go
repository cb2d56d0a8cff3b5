package scan

import (
	"context"
	"slices"

	"github.com/meddela/meddela/topology"
)

// oneFetchBytes is enough for the batch that has one record: a larger one comes
// whole.
const oneFetchBytes = 64 << 10

// At returns the record at an offset. The error is a *NoTopicError, a
// *NoPartitionError, a *NotKeptError, a *NoRecordError, or of the kafka package
// or the network.
func (t *Topics) At(ctx context.Context, topic topology.Topic, partition int, offset int64) (topology.Record, error) {
	var kept Range
	err := t.persist(ctx, func(ctx context.Context) (err error) {
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
