package main

import (
	"context"
	"flag"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/consumer/status"
	"github.com/meddela/meddela/topology"
)

// statusFigure has the status updater work off a delivery log, and a bare writer write the same states, made
// beforehand, in the same portions: once with an entry an event, and once with two.
func statusFigure(flags *flag.FlagSet) func(*bench) []Table {
	entries := count(flags, "entries", 300_000, "how many entries of the delivery log are folded each time")
	rounds := roundsFlag(flags)
	return func(b *bench) []Table {
		return []Table{
			b.compareStatus("status, an entry an event", "distinct", *entries, *rounds, distinctEntries()),
			b.compareStatus("status, two entries an event", "mixed", *entries, *rounds, pairedEntries()),
		}
	}
}

func (b *bench) compareStatus(
	title, name string, entries, rounds int, make func(partition, at int) topology.Record,
) Table {
	s := b.newSystem("status."+name, lane)
	log := s.names.DeliveryLog(lane)
	s.fill(log, entries, make)
	store := &status.Store{Client: b.redis, Keys: s.keys}
	handler := &status.Handler{Lane: lane, Names: s.names, Store: store}
	ours := s.drainer("status", entries, handler, s.names.Events(lane), log)
	emptied := func(run func() work) func() work {
		return func() work {
			defer s.deleteKeys(s.keys.Prefix)
			return run()
		}
	}
	return compare(title, "entries", rounds, 0.7,
		contestant{ours.name, emptied(ours.run)},
		contestant{"bare pipelined writer of the same states", emptied(func() work { return s.writeBare(log, entries, store) })},
	)
}

// writeBare writes the states of a log's batches, which are made before the time counts, partition by partition side by
// side.
func (s *system) writeBare(log topology.Topic, entries int, store *status.Store) work {
	var portions [partitions][][]topology.State
	reading, ctx := errgroup.WithContext(s.ctx)
	for p := range portions {
		reading.Go(func() (err error) {
			portions[p], err = s.readStates(ctx, log, p)
			return err
		})
	}
	check(reading.Wait())
	metered := s.meter(nil)
	writing, ctx := errgroup.WithContext(s.ctx)
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
	check(writing.Wait())
	return work{entries, metered()}
}

// readStates folds each batch of a partition of the log, as the loop fetches them.
func (s *system) readStates(ctx context.Context, log topology.Topic, partition int) ([][]topology.State, error) {
	fetcher := consumer.Fetcher{
		Addr: s.broker.Addr(), Transport: s.transport, Topic: log, Partition: partition,
		MaxBytes: 256 << 10, MaxWait: 100 * time.Millisecond,
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

// distinctEntries makes entries of events that are all different.
func distinctEntries() func(partition, at int) topology.Record {
	start := time.Now()
	return func(partition, at int) topology.Record { return entry(partition, at, topology.Sent, start) }
}

// pairedEntries makes two entries of each event: that it has a job, and, some hundreds of entries later, that it is
// sent. Some pairs meet in a batch.
func pairedEntries() func(partition, at int) topology.Record {
	const stretch = 200
	start := time.Now()
	return func(partition, at int) topology.Record {
		within := at % (2 * stretch)
		status := topology.PendingDelivery
		if within >= stretch {
			status = topology.Sent
		}
		return entry(partition, at/(2*stretch)*stretch+within%stretch, status, start)
	}
}

// entry is what the pipeline's roles write about an event.
func entry(partition, number int, status topology.Status, at time.Time) topology.Record {
	id := topology.EventID(fmt.Sprintf("01JD8Q3Z5X%02d%014d", partition, number))
	e := topology.Entry{
		EventID: id, JobID: topology.JobIDOf(id, 0), Lane: lane, Attempt: 1, Status: status, Type: eventType,
		Channel: topology.Email, Template: "order_confirmation@3f2a9c51d07b",
		Source:     topology.Source("meddela.realtime.events/" + strconv.Itoa(partition) + "/" + strconv.Itoa(number)),
		ReceivedAt: at, At: at.Add(7 * time.Millisecond),
	}
	if status == topology.Sent {
		e.At = at.Add(12 * time.Millisecond)
		e.Provider, e.ProviderMessageID = "sandbox", "sandbox-"+string(e.JobID)
	}
	return topology.Record{Key: []byte(id), Value: e.Append(nil)}
}
