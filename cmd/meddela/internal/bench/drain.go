package bench

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/topology"
)

// work is a finished piece of work: how much, and what it took.
type work struct {
	records int
	usage
}

func (w work) rate() float64 { return float64(w.records) / w.elapsed.Seconds() }

// timed measures what do does.
func (b *Bench) timed(records int, do func() error) (work, error) {
	meter := b.meter(nil)
	err := do()
	return work{records: records, usage: meter.stop()}, err
}

// backlog is what a loop is to work off.
type backlog struct {
	names   topology.Topics
	topics  []topology.Topic
	records int
}

// drain has a loop with a group of its own work off a backlog. The time counts
// from the first batch that the handler is given until all of its outputs are
// acknowledged.
func (b *Bench) drain(ctx context.Context, role topology.Role, from backlog, handler consumer.Handler) (work, error) {
	transport := b.Kafka.Transport()
	defer transport.CloseIdleConnections()
	counting := &counter{Handler: handler, started: make(chan struct{})}
	loop := b.NewLoop(LoopSpec{Names: from.names, Role: role, Topics: from.topics, Handler: counting, Transport: transport})
	b.groups = append(b.groups, from.names.Group(role, lane))

	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- loop.Run(running) }()
	w, err := b.timedDrain(ctx, loop, counting, from.records)
	stop()
	if runErr := <-ended; err == nil {
		err = runErr
	}
	return w, err
}

// patience is how long a loop may stand still.
const patience = 30 * time.Second

func (b *Bench) timedDrain(ctx context.Context, loop *consumer.Loop, c *counter, records int) (work, error) {
	select {
	case <-c.started:
	case <-ctx.Done():
		return work{}, ctx.Err()
	case <-time.After(patience):
		return work{}, fmt.Errorf("the loop was given no records within %v", patience)
	}
	return b.timed(records, func() error {
		last, since := int64(-1), time.Now()
		for {
			handled, out := c.handled.Load(), c.out.Load()
			if handled >= int64(records) && loop.Stats().Published() >= out {
				return nil
			}
			if handled+out != last {
				last, since = handled+out, time.Now()
			}
			if time.Since(since) > patience {
				return fmt.Errorf("the loop stands still after %d of %d records", handled, records)
			}
			if err := sleep(ctx, time.Millisecond); err != nil {
				return err
			}
		}
	})
}

// counter counts what a handler does.
type counter struct {
	consumer.Handler
	once         sync.Once
	started      chan struct{}
	handled, out atomic.Int64
}

func (c *counter) Handle(ctx context.Context, batch consumer.Batch) (consumer.Result, error) {
	c.once.Do(func() { close(c.started) })
	result, err := c.Handler.Handle(ctx, batch)
	c.out.Add(int64(len(result.Out)))
	c.handled.Add(int64(result.Handled))
	return result, err
}
