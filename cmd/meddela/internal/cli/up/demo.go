package up

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/samples"
	"github.com/meddela/meddela/consumer/status"
	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/topology"
)

// demo is one run of the command.
type demo struct {
	env      *command.Env
	duration time.Duration
	rate     int
	local    *local
	tally    *tally
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
		Args:    command.Arguments(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if d.duration <= 0 || d.rate <= 0 {
				return command.Misusef("--for and --rate must be greater than 0")
			}
			if err := env.Load(cmd); err != nil {
				return err
			}
			env.Quieten()
			return d.run(cmd.Context())
		},
	}
	cmd.Flags().DurationVar(&d.duration, "for", 8*time.Second, "how long to publish events")
	cmd.Flags().IntVar(&d.rate, "rate", 500, "events a second, on both lanes together")
	return cmd
}

// settleTime is how long the last events may take to come to rest.
const settleTime = 20 * time.Second

// refreshInterval is how often statuses are read and shown.
const refreshInterval = 250 * time.Millisecond

func (d *demo) run(ctx context.Context) error {
	if err := d.env.Printf("starting an embedded broker and store, sample templates, and every role of both lanes …\n"); err != nil {
		return err
	}
	l, err := startLocal(ctx, d.env, 0, 0, false)
	if errors.Is(err, context.Canceled) {
		return nil
	}
	if err != nil {
		return err
	}
	defer l.close()
	d.local = l
	client, err := l.Redis()
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	d.tally = newTally(&status.Reader{Client: client, Keys: l.Keys})
	if err := d.stream(ctx); err != nil {
		return err
	}
	return d.summarize(ctx)
}

// stream publishes for as long as asked, and watches until all has come to
// rest.
func (d *demo) stream(ctx context.Context) error {
	view := newDemoView(d.env, d.tally)
	published := make(chan struct{})
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(published)
		return d.publish(ctx)
	})
	group.Go(func() error { return d.watch(ctx, view, published) })
	err := group.Wait()
	view.close()
	if errors.Is(err, context.Canceled) {
		return nil // asked to stop: the summary says how far it came
	}
	return err
}

// publish publishes sample events at the rate asked for, in small batches.
func (d *demo) publish(ctx context.Context) error {
	events, err := producer.New(producer.Config{Connection: d.local.Kafka, Prefix: d.env.Config.Topics.Prefix})
	if err != nil {
		return err
	}
	defer events.Close()
	next, stop := iter.Pull(samples.Events(uint64(time.Now().UnixNano()), time.Now))
	defer stop()
	const batchInterval = 20 * time.Millisecond
	ticker := time.NewTicker(batchInterval)
	defer ticker.Stop()
	start, sent := time.Now(), 0
	for time.Since(start) < d.duration {
		due := int(float64(d.rate) * time.Since(start).Seconds())
		if err := d.publishBatch(ctx, events, next, due-sent); err != nil {
			return err
		}
		sent = max(sent, due)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
	return nil
}

func (d *demo) publishBatch(ctx context.Context, to *producer.Producer, next func() (samples.Sample, bool),
	n int) error {
	byLane := make(map[topology.Lane][]topology.Event)
	for range n {
		s, _ := next() // there is always one more
		d.tally.expect(s.Event.ID, s.Lane, s.Want)
		byLane[s.Lane] = append(byLane[s.Lane], s.Event)
	}
	for lane, events := range byLane {
		if _, err := to.Publish(ctx, lane, events); err != nil {
			return fmt.Errorf("publishing sample events: %w", err)
		}
	}
	return nil
}

// watch reads and shows statuses until everything published has come to rest.
func (d *demo) watch(ctx context.Context, view *demoView, published <-chan struct{}) error {
	ticker := time.NewTicker(refreshInterval)
	defer ticker.Stop()
	var deadline time.Time
	for {
		if err := d.tally.refresh(ctx); err != nil {
			return err
		}
		view.show()
		select {
		case <-published:
			if deadline.IsZero() {
				deadline = time.Now().Add(settleTime)
			}
			if d.tally.settled() || time.Now().After(deadline) {
				return nil
			}
		default:
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}
