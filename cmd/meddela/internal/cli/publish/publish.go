// Package publish has the command that publishes events.
package publish

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/topology"
)

// New makes the command publish.
func New(env *command.Env) *cobra.Command {
	p := publication{out: bufio.NewWriter(env.Out), errOut: env.ErrOut}
	cmd := &cobra.Command{
		Use:     "publish --lane LANE [FILE]",
		GroupID: command.GroupOperate,
		Short:   "Publish events, one JSON object a line, to a lane",
		Long: `Publish events, one JSON object a line, to a lane. Without FILE, or with -, they
are read from standard input, and each is published as soon as it comes.

An event that breaks the contract is told with its line number, and the others
are published all the same. Publishing an event again is safe if it has an id:
the same id is one message.`,
		Example: `  meddela publish --lane realtime events.jsonl
  tail -f events.jsonl | meddela publish --lane batch --rate 500
  echo '{"type":"password_reset","email":"kim@example.com","ctx":{}}' |
    meddela publish --lane realtime --add-ids -o json`,
		Args: command.Arguments(0, 1, "one file"),
		PreRunE: func(_ *cobra.Command, args []string) (err error) {
			name := append(args, "-")[0]
			if name == "-" && command.IsTerminal(env.In) {
				_, _ = fmt.Fprintln(env.ErrOut, "reading events from the terminal, one JSON object a line; end with Ctrl-D")
			}
			if p.input, p.size, err = env.OpenInput(name); err != nil {
				return fmt.Errorf("events cannot be read: %w", err)
			}
			return nil
		},
		RunE: env.Loaded(func(ctx context.Context, _ []string) error {
			to, err := env.Producer(ctx)
			if err != nil {
				return err
			}
			p.to, p.json = to, env.Output == command.JSON
			return p.run(ctx)
		}),
	}
	command.RequireLane(cmd, &p.lane)
	cmd.Flags().Float64Var(&p.pacer.Rate, "rate", 0, "most events a second; 0 is no limit")
	cmd.Flags().BoolVar(&p.addIDs, "add-ids", false, "give each event without an id a new one, a ULID")
	cmd.Flags().DurationVar(&p.timeout, "timeout", 30*time.Second, "how long Kafka may take to acknowledge a batch")
	command.Bound(cmd, "rate", func() bool { return p.pacer.Rate >= 0 }, "a positive number of events a second")
	return cmd
}

// eventPublisher is what publication needs of a producer.
type eventPublisher interface {
	PublishRecords(ctx context.Context, lane topology.Lane, records []topology.Record) ([]producer.Receipt, error)
}

type publication struct {
	lane    topology.Lane
	pacer   command.Pacer
	addIDs  bool
	timeout time.Duration
	input   io.Reader
	size    int64 // of the input; 0 when it is not known

	to     eventPublisher
	out    *bufio.Writer
	errOut io.Writer
	json   bool

	published, failed int
	progress          *command.Progress
}

func (p *publication) run(ctx context.Context) error {
	reading, stop := context.WithCancel(ctx)
	defer stop()
	p.progress = command.NewProgress(p.errOut)
	err := p.publishAll(ctx, readAhead(reading, p.input))
	p.progress.Clear()
	err = errors.Join(err, p.summary())
	switch {
	case err != nil:
		return err
	case ctx.Err() != nil:
		return errors.New("stopped by a signal before the end of the input")
	case p.failed > 0:
		return fmt.Errorf("%d of %d events were not published", p.failed, p.failed+p.published)
	}
	return nil
}

func (p *publication) publishAll(ctx context.Context, queue *lineQueue) error {
	for {
		batch, err := queue.take(ctx, p.pacer.BatchSize(command.MaxBatchLines))
		switch {
		case errors.Is(err, io.EOF), ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("events cannot be read on: %w", err)
		}
		if p.pacer.Wait(ctx, len(batch)) != nil {
			return nil
		}
		if err := p.publishBatch(ctx, batch); err != nil {
			return err
		}
		p.progress.Show("events", p.published+p.failed, batch[len(batch)-1].end, p.size)
	}
}

// publishBatch publishes lines, and tells of each what became of it. Its error is that Kafka did not
// acknowledge some in time: more would fare no better. A signal does not cut the batch short.
func (p *publication) publishBatch(ctx context.Context, batch []line) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.timeout)
	defer cancel()
	records := make([]topology.Record, len(batch))
	for i := range batch {
		records[i].Value = batch[i].text
		if p.addIDs {
			records[i].Value = withID(records[i], p.lane)
		}
	}
	receipts, _ := p.to.PublishRecords(ctx, p.lane, records) // which say all that the error says
	var unacknowledged error
	for i, receipt := range receipts {
		refused := p.tell(batch[i].number, receipt)
		if receipt.Err != nil && !refused && unacknowledged == nil {
			unacknowledged = fmt.Errorf("gave up at line %d: %w: publish again from that line on, which is safe for events with an id", batch[i].number, receipt.Err)
		}
	}
	if err := p.out.Flush(); err != nil {
		return err
	}
	return unacknowledged
}

func (p *publication) summary() error {
	took := time.Since(p.progress.Start)
	text := fmt.Sprintf("%s published to %s in %s, %.0f a second", wording.Count(p.published, "event", "events"), p.lane,
		took.Round(time.Millisecond), command.PerSecond(p.published, took))
	to := io.Writer(p.out)
	if p.json {
		to = p.errOut
	}
	_, _ = fmt.Fprintln(to, text)
	return p.out.Flush()
}
