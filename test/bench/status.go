package main

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/meddela/meddela/consumer/scan"
	"github.com/meddela/meddela/consumer/status"
	"github.com/meddela/meddela/test/script"
	"github.com/meddela/meddela/topology"
)

// statusFigure has the status updater work off a delivery log, and a bare writer write the same states, which the
// updater has made beforehand, in the same portions: once with an entry an event, and once with two. Then statuses are
// rebuilt from the same log, beside a bare reader of it and that writer together.
func statusFigure(flags *flag.FlagSet) func(*bench) []Table {
	entries := flags.Int("entries", 300_000, "how many entries of the delivery log are folded each time")
	rounds := roundsFlag(flags)
	return func(b *bench) []Table {
		return slices.Concat(b.compareStatus("an entry an event", "distinct", *entries, *rounds, entriesOf(1)),
			b.compareStatus("two entries an event", "mixed", *entries, *rounds, entriesOf(2)))
	}
}

func (b *bench) compareStatus(
	title, name string, entries, rounds int, make func(partition, at int) topology.Record,
) []Table {
	s := b.newSystem("status." + name)
	log := s.names.DeliveryLog(lane)
	s.fill(log, entries, make)
	store, recorded := &status.Store{Client: b.redis, Keys: s.keys}, new(recorder)
	drainer := func(to status.Writer) contestant {
		handler := &status.Handler{Lane: lane, Names: s.names, Store: to}
		return s.loopDrainer("status", entries, handler, s.names.Events(lane), log)
	}
	drainer(recorded).run()
	ours := drainer(store)
	emptied := func(run func() work) func() work {
		return func() work {
			defer s.deleteKeys(s.keys.Prefix)
			return run()
		}
	}
	// Written by as many side by side as a topic has partitions.
	write := func(ctx context.Context) error {
		writing, ctx := errgroup.WithContext(ctx)
		writing.SetLimit(partitions)
		for _, states := range recorded.portions {
			writing.Go(func() error { return store.Write(ctx, states) })
		}
		return writing.Wait()
	}
	bare := func() work {
		metered := s.meter()
		script.Check(write(s.ctx))
		return metered(entries)
	}
	topics := scan.Topics{Addr: s.broker.Addr(), Transport: b.transport, Log: zerolog.Nop()}
	both := func() work {
		metered := s.meter()
		working, ctx := errgroup.WithContext(s.ctx)
		working.Go(func() error { return write(ctx) })
		working.Go(func() error {
			return topics.Scan(ctx, script.Must(topics.Ranges(ctx, log, time.Time{})), nil,
				func([]topology.Record) error { return nil })
		})
		script.Check(working.Wait())
		return metered(entries)
	}
	rebuild := func() work {
		metered := s.meter()
		script.Run(s.command("status", "rebuild", "--lane", string(lane)))
		done := metered(entries)
		script.Run(s.command("status", "verify", "--lane", string(lane)))
		return done
	}
	updater := compare("status, "+title, "entries", rounds, 0.7, contestant{ours.name, emptied(ours.run)},
		contestant{"bare pipelined writer of the same states", emptied(bare)})
	s.start(topology.RoleStatus, lane) // verify compares what the role has read
	s.awaitCommitted(s.names.Group(topology.RoleStatus, lane), log)
	s.stop()
	s.deleteKeys(s.keys.Prefix)
	return []Table{
		updater,
		compare("status rebuild, and then verify, "+title, "entries", rounds, 0.7,
			contestant{"status rebuild, a process of its own", emptied(rebuild)},
			contestant{"bare reader and writer", emptied(both)}),
	}
}

// recorder keeps the states that a handler writes.
type recorder struct {
	mu       sync.Mutex
	portions [][]topology.State
}

func (r *recorder) Write(_ context.Context, states []topology.State) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.portions = append(r.portions, slices.Clone(states)) // which the handler uses again
	return nil
}

// entriesOf makes entries of the delivery log as the pipeline's roles write them. Each event has one, that it is sent,
// or two: first that it has a job, and some hundreds of entries later, so that some pairs meet in a batch, that.
func entriesOf(each int) func(partition, at int) topology.Record {
	const stretch = 200
	start := time.Now()
	return func(partition, at int) topology.Record {
		within, number := at%(each*stretch), at/(each*stretch)*stretch+at%stretch
		id := topology.EventID(fmt.Sprintf("01JD8Q3Z5X%02d%014d", partition, number))
		e := topology.Entry{
			EventID: id, JobID: topology.JobIDOf(id, 0), Lane: lane, Attempt: 1, Status: topology.PendingDelivery,
			Type: eventType, Channel: topology.Email, Template: "order_confirmation@3f2a9c51d07b",
			Source:     topology.Source(fmt.Sprintf("meddela.realtime.events/%d/%d", partition, number)),
			ReceivedAt: start, At: start.Add(7 * time.Millisecond),
		}
		if within >= (each-1)*stretch {
			e.Status, e.At = topology.Sent, start.Add(12*time.Millisecond)
			e.Provider, e.ProviderMessageID = "sandbox", "sandbox-"+string(e.JobID)
		}
		return topology.Record{Key: []byte(id), Value: e.Append(nil)}
	}
}
