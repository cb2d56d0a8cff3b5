package templates

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/difflog"
	"github.com/meddela/meddela/consumer/scan"
	"github.com/meddela/meddela/topology"
)

// diffLog is one run of the command.
type diffLog struct {
	lane        topology.Lane // empty is both
	since       time.Duration
	limit       int64
	examples    int
	showContent bool
}

func newTemplatesDiffLogCommand(env *command.Env) *cobra.Command {
	var d diffLog
	cmd := &cobra.Command{
		Use:   "diff-log FOLDER",
		Short: "Run a folder of templates on past events, and say what would change",
		Long: `Run a folder of templates on past events, and say what would change.

The events of the lanes' events topics are matched and rendered twice: with the
templates that are live, and as if the folder were published. Each is judged as
of the time at which it came. Nothing is published, sent or written, and no
role notices.

Events are shown by id and place; what they say is shown only with
--show-content, and the recipient's address not even then.`,
		Example: `  meddela templates diff-log ./templates
  meddela templates diff-log ./templates --lane realtime --since 1h --show-content
  meddela templates diff-log ./templates --since 168h --limit 100000 -o json`,
		Args: command.Arguments(1, 1, "one folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := d.check(); err != nil {
				return err
			}
			if err := env.Load(cmd); err != nil {
				return err
			}
			return compareLog(cmd.Context(), env, args[0], &d)
		},
	}
	flags := cmd.Flags()
	flags.Var((*command.LaneFlag)(&d.lane), "lane", "realtime or batch; default: both")
	command.Complete(cmd, "lane", string(topology.Realtime), string(topology.Batch))
	flags.DurationVar(&d.since, "since", 24*time.Hour, "how far back to look")
	flags.Int64Var(&d.limit, "limit", 0, "only about so many events, the latest; 0 is no limit")
	flags.IntVar(&d.examples, "examples", 3, "how many events to show of each change")
	flags.BoolVar(&d.showContent, "show-content", false, "show how the texts of the examples differ: they have the events' content")
	return cmd
}

func (d *diffLog) check() error {
	switch {
	case d.since <= 0:
		return command.Misusef("--since is %s: it must be a length of time such as 24h", d.since)
	case d.limit < 0:
		return command.Misusef("--limit is %d: it must be a positive number of events", d.limit)
	case d.examples < 0 || d.examples > maxExamples:
		return command.Misusef("--examples is %d: it must be 0 to %d", d.examples, maxExamples)
	}
	return nil
}

// maxExamples bounds the memory that examples take.
const maxExamples = 100

func (d *diffLog) lanes() []topology.Lane {
	if d.lane != "" {
		return []topology.Lane{d.lane}
	}
	return topology.Lanes()
}

// diffLogResult is what the command prints.
type diffLogResult struct {
	Since    time.Time              `json:"since"`
	Lanes    []topology.Lane        `json:"lanes"`
	Versions []topology.TemplateRef `json:"versions"` // that would be published
	difflog.Report
	// Lost records were removed from the topics while they were read.
	Lost int64 `json:"lost"`

	took time.Duration
}

func compareLog(ctx context.Context, env *command.Env, folder string, d *diffLog) error {
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		return fmt.Errorf("there is no folder %s", folder)
	}
	records, err := authoring.Load(os.DirFS(folder))
	if err != nil {
		return fmt.Errorf("nothing is compared, because of %s:\n%w", folder, err)
	}
	connection, err := env.Kafka(ctx)
	if err != nil {
		return err
	}
	topics, done := command.ScanTopics(connection)
	defer done()
	now := time.Now()
	since := now.Add(-d.since)
	ranges, err := eventRanges(ctx, env, topics, d, since)
	if err != nil {
		return err
	}
	transport := connection.Transport()
	defer transport.CloseIdleConnections()
	live, err := command.ReadCatalogue(ctx, env, connection, transport)
	if err != nil {
		return err
	}
	proposed, refs, err := difflog.Proposed(live, records, now)
	if err != nil {
		return err
	}
	comparison := difflog.New(difflog.Config{Live: live, Proposed: proposed, Examples: d.examples, ShowContent: d.showContent})
	result := diffLogResult{Since: since.UTC().Truncate(time.Millisecond), Lanes: d.lanes(), Versions: refs}
	started := time.Now()
	if result.Lost, err = compareEvents(ctx, env, topics, ranges, comparison); err != nil {
		return err
	}
	result.Report, result.took = comparison.Report(), time.Since(started)
	return printDiffLog(env, &result)
}

// eventRanges is where the events are that were asked for.
func eventRanges(ctx context.Context, env *command.Env, topics *scan.Topics, d *diffLog, since time.Time) ([]scan.Range, error) {
	var ranges []scan.Range
	for _, lane := range d.lanes() {
		found, err := topics.Ranges(ctx, env.Config.Names().Events(lane), since, time.Time{})
		if err != nil {
			return nil, err
		}
		ranges = append(ranges, found...)
	}
	if d.limit > 0 {
		ranges = scan.Latest(ranges, d.limit)
	}
	return ranges, nil
}

// compareEvents gives the events to the comparison. It returns how many records
// were removed from the topics before they were read.
func compareEvents(ctx context.Context, env *command.Env, topics *scan.Topics, ranges []scan.Range, to *difflog.Comparison) (lost int64, err error) {
	names := env.Config.Names()
	err = env.ShowScan("events", func(p *scan.Progress) error {
		err := topics.Scan(ctx, ranges, p, func(records []topology.Record) error {
			lane, _ := names.LaneOf(records[0].Topic)
			to.Add(lane, records)
			return nil
		})
		lost = p.Lost()
		return err
	})
	if errors.Is(err, context.Canceled) {
		err = errors.New("stopped by a signal before the end of the events")
	}
	return lost, err
}
