package up

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/samples"
	"github.com/meddela/meddela/consumer/status"
	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/topology"
)

type demo struct {
	env      *command.Env
	duration time.Duration
	rate     int
	*local
	*tally
	drawn int // lines of the table that stands on the terminal
}

// NewDemo makes the command demo.
func NewDemo(env *command.Env) *cobra.Command {
	d := &demo{env: env}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "See sample events of both lanes become statuses, in this process",
		Long: `See sample events of both lanes become statuses, in this process.

Starts what "meddela up" starts, on ports that are free, streams realistic events
to both lanes, and shows their statuses live. Among them are events that no
template covers, that have expired, that are scheduled for later, and whose
recipients cannot be reached. It ends with a summary, and with exit status 0 only
if every event has ended as it should.`,
		Example: "  meddela demo\n  meddela demo --for 30s --rate 2000",
		GroupID: command.GroupTry,
		RunE:    env.Loaded(d.run),
	}
	cmd.Flags().DurationVar(&d.duration, "for", 8*time.Second, "how long to publish events")
	cmd.Flags().IntVar(&d.rate, "rate", 500, "events a second, on both lanes together")
	command.Bound(cmd, "for", func() bool { return d.duration > 0 }, "a length of time such as 8s")
	command.Bound(cmd, "rate", func() bool { return d.rate > 0 }, "a positive number of events a second")
	return cmd
}

const (
	batchInterval = 20 * time.Millisecond
	// refreshInterval is how often statuses are read and shown.
	refreshInterval = 250 * time.Millisecond
	// settleTime is how long the last events may take to come to rest.
	settleTime = 20 * time.Second
)

func (d *demo) run(ctx context.Context, _ []string) (err error) {
	if err := d.env.Printf("starting an embedded broker and store, sample templates, and every role of both lanes …\n"); err != nil {
		return err
	}
	if d.local, err = startLocal(ctx, d.env, 0, 0, false); errors.Is(err, context.Canceled) {
		return nil
	} else if err != nil {
		return err
	}
	defer d.close()
	client, err := d.Redis()
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	d.tally = &tally{reader: &status.Reader{Client: client, Keys: d.Keys}, events: make(map[topology.EventID]*tallied)}
	err = d.stream(ctx)
	d.clear()
	if err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return d.summarize(ctx) // of a demonstration that was stopped, too
}

// stream publishes sample events in small batches, at the rate and for as long as
// asked, and looks at their statuses until all have come to rest.
func (d *demo) stream(ctx context.Context) error {
	to, err := producer.New(producer.Config{Connection: d.Kafka, Prefix: d.env.Config.Topics.Prefix})
	if err != nil {
		return err
	}
	defer to.Close()
	next, stop := iter.Pull(samples.Events(uint64(time.Now().UnixNano()), time.Now))
	defer stop()
	ticker := time.NewTicker(batchInterval)
	defer ticker.Stop()
	start, looked, sent := time.Now(), time.Time{}, 0
	for {
		elapsed := time.Since(start)
		publishing := elapsed < d.duration
		if publishing {
			due := int(float64(d.rate) * elapsed.Seconds())
			if err := d.publish(ctx, to, next, due-sent); err != nil {
				return err
			}
			sent = due
		}
		if time.Since(looked) >= refreshInterval {
			looked = time.Now()
			if err := d.refresh(ctx); err != nil {
				return err
			}
			d.draw(elapsed)
			if !publishing && (len(d.open) == 0 || elapsed > d.duration+settleTime) {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

func (d *demo) publish(ctx context.Context, to *producer.Producer, next func() (samples.Sample, bool), n int) error {
	byLane := make(map[topology.Lane][]topology.Event)
	for range n {
		s, _ := next() // there is always one more
		d.events[s.Event.ID] = &tallied{lane: s.Lane, want: s.Want}
		d.open = append(d.open, s.Event.ID)
		byLane[s.Lane] = append(byLane[s.Lane], s.Event)
	}
	for lane, events := range byLane {
		if _, err := to.Publish(ctx, lane, events); err != nil {
			return fmt.Errorf("publishing sample events: %w", err)
		}
	}
	return nil
}
