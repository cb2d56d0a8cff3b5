package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/topology"
)

func newPublishCommand(a *app) *cobra.Command {
	var p publication
	cmd := &cobra.Command{
		Use:     "publish --lane LANE [FILE]",
		GroupID: groupOperate,
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
		Args: arguments(0, 1, "one file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := requireLane(p.lane); err != nil {
				return err
			}
			if p.pacer.rate < 0 {
				return misusef("--rate is %v: it must be a positive number of events a second", p.pacer.rate)
			}
			if err := a.load(cmd); err != nil {
				return err
			}
			return a.publish(cmd.Context(), &p, args)
		},
	}
	addLaneFlag(cmd, &p.lane)
	cmd.Flags().Float64Var(&p.pacer.rate, "rate", 0, "most events a second; 0 is no limit")
	cmd.Flags().BoolVar(&p.addIDs, "add-ids", false, "give each event without an id a new one, a ULID")
	cmd.Flags().DurationVar(&p.timeout, "timeout", 30*time.Second, "how long Kafka may take to acknowledge a batch")
	return cmd
}

func (a *app) publish(ctx context.Context, p *publication, args []string) error {
	input, size, err := a.openInput(args)
	if err != nil {
		return err
	}
	defer func() { _ = input.Close() }()
	connection, err := a.kafka(ctx)
	if err != nil {
		return err
	}
	to, err := producer.New(producer.Config{
		Connection:  connection,
		Prefix:      a.config.Topics.Prefix,
		Compression: a.config.Kafka.compression(),
		Log:         &a.log,
	})
	if err != nil {
		return err
	}
	defer to.Close()
	p.to, p.out, p.errOut, p.json = to, bufio.NewWriter(a.out), a.errOut, a.output == outputJSON
	p.size = size
	return p.run(ctx, input)
}

// openInput opens the file that is named, or standard input. size is 0 when
// it is not known.
func (a *app) openInput(args []string) (input io.ReadCloser, size int64, err error) {
	if len(args) == 0 || args[0] == "-" {
		if file, ok := a.in.(*os.File); ok && isTerminal(file) {
			_, _ = fmt.Fprintln(a.errOut, "reading events from the terminal, one JSON object a line; end with Ctrl-D")
		}
		return io.NopCloser(a.in), 0, nil
	}
	file, err := os.Open(args[0])
	if err != nil {
		return nil, 0, fmt.Errorf("events cannot be read: %w", err)
	}
	if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
		size = info.Size()
	}
	return file, size, nil
}

// eventPublisher is what publication needs of a producer.
type eventPublisher interface {
	PublishRecords(ctx context.Context, lane topology.Lane, records []topology.Record) ([]producer.Receipt, error)
}

// publication is one run of the command.
type publication struct {
	lane    topology.Lane
	pacer   pacer
	addIDs  bool
	timeout time.Duration

	to     eventPublisher
	out    *bufio.Writer
	errOut io.Writer
	json   bool
	size   int64

	published, failed int
	progress          *progress
}

func (p *publication) run(ctx context.Context, input io.Reader) error {
	reading, stop := context.WithCancel(ctx)
	defer stop()
	p.progress = newProgress(p.errOut)
	queue := readAhead(reading, input)
	err := p.publishAll(ctx, queue)
	p.progress.clear()
	if summaryErr := p.summary(); err == nil {
		err = summaryErr
	}
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
		batch, err := queue.take(p.batchLines())
		switch {
		case errors.Is(err, io.EOF), ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("events cannot be read on: %w", err)
		}
		if p.pacer.wait(ctx, len(batch)) != nil {
			return nil
		}
		if err := p.publishBatch(ctx, batch); err != nil {
			return err
		}
		p.progress.show(p.published+p.failed, batch[len(batch)-1].end, p.size)
	}
}

// batchLines keeps batches so small that a limited rate is even.
func (p *publication) batchLines() int {
	if p.pacer.rate == 0 {
		return maxBatchLines
	}
	const batchesPerSecond = 20
	return min(max(int(p.pacer.rate/batchesPerSecond), 1), maxBatchLines)
}

// publishBatch publishes the lines that can be, and tells of each what became
// of it. Its error is that Kafka did not acknowledge some in time: more would
// fare no better. A signal does not cut the batch short.
func (p *publication) publishBatch(ctx context.Context, batch []line) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.timeout)
	defer cancel()
	outcomes := make([]producer.Receipt, len(batch))
	records := make([]topology.Record, 0, len(batch))
	indexes := make([]int, 0, len(batch))
	for i := range batch {
		record, err := batch[i].record(p.lane, p.addIDs)
		if err != nil {
			outcomes[i].Err = err
			continue
		}
		records, indexes = append(records, record), append(indexes, i)
	}
	// The receipts say all that the error says.
	receipts, _ := p.to.PublishRecords(ctx, p.lane, records)
	for i, receipt := range receipts {
		outcomes[indexes[i]] = receipt
	}
	var unacknowledged error
	for i, outcome := range outcomes {
		p.tell(batch[i].number, outcome)
		var fault *topology.Fault
		if outcome.Err != nil && !errors.As(outcome.Err, &fault) && unacknowledged == nil {
			unacknowledged = fmt.Errorf("gave up at line %d: %w: publish again from that line on, which is safe for events with an id", batch[i].number, outcome.Err)
		}
	}
	if err := p.out.Flush(); err != nil {
		return err
	}
	return unacknowledged
}

func (p *publication) summary() error {
	took := time.Since(p.progress.start)
	text := fmt.Sprintf("%d events published to %s in %s, %.0f a second", p.published, p.lane, took.Round(time.Millisecond), perSecond(p.published, took))
	to := io.Writer(p.out)
	if p.json {
		to = p.errOut
	}
	_, _ = fmt.Fprintln(to, text)
	return p.out.Flush()
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
