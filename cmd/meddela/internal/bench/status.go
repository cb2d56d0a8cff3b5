package bench

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/consumer/status"
	"github.com/meddela/meddela/topology"
)

const statusGoal = 0.7

// Status has the status updater work off a delivery log, and a bare writer
// write the same states, made beforehand, in the same portions: once with an
// entry an event, and once with two.
func (b *Bench) Status(ctx context.Context, entries, rounds int) (Comparisons, error) {
	distinct, err := b.compareStatus(ctx, "status, an entry an event", "distinct", entries, rounds, distinctEntries())
	if err != nil {
		return nil, err
	}
	mixed, err := b.compareStatus(ctx, "status, two entries an event", "mixed", entries, rounds, pairedEntries())
	return Comparisons{distinct, mixed}, err
}

func (b *Bench) compareStatus(ctx context.Context, title, name string, entries, rounds int, make func(partition, at int) topology.Record) (*Comparison, error) {
	names := b.names("status." + name)
	if err := b.createTopics(ctx, names); err != nil {
		return nil, err
	}
	log := names.DeliveryLog(lane)
	if err := b.fill(ctx, log, entries, make); err != nil {
		return nil, err
	}
	from := backlog{names: names, topics: []topology.Topic{names.Events(lane), log}, records: entries}
	return b.compare(ctx, title, "entries", rounds, statusGoal,
		contestant{"status", func(ctx context.Context, round int) (work, error) {
			keys := b.keys(fmt.Sprintf("%s.status.%d", name, round))
			handler := &status.Handler{Lane: lane, Names: names, Store: &status.Store{Client: b.Redis, Keys: keys}}
			w, err := b.drain(ctx, topology.Role(fmt.Sprintf("status-%d", round)), from, handler)
			return w, firstOf(err, b.deleteKeys(ctx, keys.Prefix))
		}},
		contestant{"bare pipelined writer of the same states", func(ctx context.Context, round int) (work, error) {
			keys := b.keys(fmt.Sprintf("%s.bare.%d", name, round))
			w, err := b.writeBare(ctx, log, entries, &status.Store{Client: b.Redis, Keys: keys})
			return w, firstOf(err, b.deleteKeys(ctx, keys.Prefix))
		}},
	)
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// writeBare writes the states of a log's batches, which are made before the
// time counts, partition by partition side by side.
func (b *Bench) writeBare(ctx context.Context, log topology.Topic, entries int, store *status.Store) (work, error) {
	portions := make([][][]topology.State, b.Sizing.Partitions)
	var reading errgroup.Group
	for p := range portions {
		reading.Go(func() (err error) {
			portions[p], err = b.readStates(ctx, log, p)
			return err
		})
	}
	if err := reading.Wait(); err != nil {
		return work{}, err
	}
	return b.timed(entries, func() error {
		writing, ctx := errgroup.WithContext(ctx)
		for _, batches := range portions {
			writing.Go(func() error {
				for _, states := range batches {
					if err := store.Write(ctx, states); err != nil {
						return err
					}
				}
				return nil
			})
		}
		return writing.Wait()
	})
}

// readStates folds each batch of a partition of the log, as the loop fetches
// them.
func (b *Bench) readStates(ctx context.Context, log topology.Topic, partition int) ([][]topology.State, error) {
	fetcher := consumer.Fetcher{
		Addr: b.Kafka.Addr(), Transport: b.transport, Topic: log, Partition: partition,
		MaxBytes: b.FetchBytes, MaxWait: 100 * time.Millisecond,
	}
	var batches [][]topology.State
	for {
		got, err := fetcher.Fetch(ctx)
		if err != nil {
			return nil, err
		}
		if len(got.Records) > 0 {
			states, err := foldEntries(got.Records)
			if err != nil {
				return nil, err
			}
			batches = append(batches, states)
		}
		if got.Next >= got.HighWatermark {
			return batches, nil
		}
	}
}

func foldEntries(records []topology.Record) ([]topology.State, error) {
	var states []topology.State
	index := make(map[topology.EventID]int)
	for i := range records {
		entry, err := topology.DecodeEntry(records[i].Value)
		if err != nil {
			return nil, err
		}
		state := topology.StateOf(&entry)
		if at, ok := index[entry.EventID]; ok {
			states[at].Merge(&state)
			continue
		}
		index[entry.EventID] = len(states)
		states = append(states, state)
	}
	return states, nil
}
