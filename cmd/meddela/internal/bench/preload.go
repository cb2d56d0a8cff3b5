package bench

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/topology"
)

// fill writes n records evenly over a topic's partitions. make is called for
// each of them, by several goroutines, and at is the number within the
// partition.
func (b *Bench) fill(ctx context.Context, topic topology.Topic, n int, make func(partition, at int) topology.Record) error {
	b.Progress("writing %d records to %s", n, topic)
	to := &producer.Publisher{Addr: b.Kafka.Addr(), Transport: b.transport, Compression: b.Compression}
	partitions := b.Sizing.Partitions
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(4)
	for p := range partitions {
		share := n / partitions
		if p < n%partitions {
			share++
		}
		all.Go(func() error { return fillPartition(ctx, to, topic, p, share, make) })
	}
	return all.Wait()
}

func fillPartition(ctx context.Context, to *producer.Publisher, topic topology.Topic, partition, n int, make func(partition, at int) topology.Record) error {
	const atOnce = 400
	batch := []topology.Record{}
	for i := range n {
		batch = append(batch, make(partition, i))
		if len(batch) < atOnce && i < n-1 {
			continue
		}
		if _, err := to.Publish(ctx, topic, partition, batch); err != nil {
			return err
		}
		batch = batch[:0]
	}
	return nil
}
