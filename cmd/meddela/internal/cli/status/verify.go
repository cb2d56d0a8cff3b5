package status

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/show"
	"github.com/meddela/meddela/cmd/meddela/internal/refold"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/consumer/scan"
	"github.com/meddela/meddela/consumer/status"
	"github.com/meddela/meddela/topology"
)

// refolding is one run of status verify or rebuild.
type refolding struct {
	env *command.Env
	refold.Verifier
	memory  int64 // MiB
	ids     []topology.EventID
	into    string
	since   time.Duration
	replace bool
}

func (r *refolding) command(cmd *cobra.Command, run func(context.Context) error) *cobra.Command {
	r.Lanes = topology.Lanes()
	cmd.Args = command.Arguments(0, -1, "event ids, or none for all events")
	flags := cmd.Flags()
	cmd.PreRunE = func(_ *cobra.Command, args []string) (err error) {
		r.ids, err = eventIDs(args)
		return err
	}
	cmd.RunE = r.env.Loaded(func(ctx context.Context, _ []string) (err error) {
		if r.since > 0 {
			r.Since = time.Now().Add(-r.since)
		}
		r.Names, r.TTL, r.Memory = r.env.Config.Names(), r.env.Config.Status.TTL, r.memory<<20
		r.Reader.Keys = r.env.Config.Keys()
		if r.into != "" {
			r.Reader.Keys.Prefix = r.into
		}
		if r.Topics, err = r.env.Topics(ctx); err == nil {
			err = r.Check(ctx)
		}
		if err == nil {
			if r.Reader.Client, err = r.env.Redis(ctx); err == nil {
				return run(ctx)
			}
		}
		return command.Misusef("%w", err) // which is told apart from differences
	})
	command.WordsFlag(cmd, &r.Lanes, "lane", topology.Lanes(), "lanes whose topics to read")
	flags.DurationVar(&r.since, "since", 0, "how far back to look; default: all that the topics keep")
	flags.IntSliceVar(&r.Partitions, "partitions", nil, "only these partitions, such as 0,7")
	flags.DurationVar(&r.Wait, "wait", time.Minute, "how long to wait for role status to read what there is")
	flags.DurationVar(&r.Overdue, "overdue", time.Hour, "for how long what is not final may stay as it is")
	flags.Int64Var(&r.memory, "memory", 512, "MiB for events, of about 1200 bytes each; more than fit take more passes")
	flags.IntVar(&r.Examples, "examples", 3, "how many events to show of each cause")
	command.Bound(cmd, "memory", func() bool { return 1 <= r.memory && r.memory <= 1<<20 }, "1 to 1048576")
	return cmd
}

func newVerifyCommand(env *command.Env) *cobra.Command {
	r := refolding{env: env}
	return r.command(&cobra.Command{
		Use:   "verify [ID...]",
		Short: "Hold the statuses in Redis against the topics",
		Long: `Hold the statuses in Redis against the topics that they are made of, event by event,
while all roles go on; nothing is written. Each event is one of

  agrees     Redis has what the topics say
  overdue    so too, and nothing has happened for longer than --overdue
  expired    Redis has forgotten it, as it should by now
  retained   Redis knows more of it than the topics keep
  emptied    so too, if the rest was on a partition that is empty again
  missing    Redis has nothing of it
  older      Redis lacks the latest word
  newer      Redis has a later word than the topics
  unknown    the topics have nothing of it
  different  Redis has other content
  unlogged   it has a job, and the delivery log has nothing of that

From missing on Redis is not as it should be. "status rebuild" mends missing and
older, with --replace all but unlogged. Exit status: 0 all is well, 1 something
differs, 2 it could not be found out, 3 nothing differs but something is overdue.`,
		Example: `  meddela status verify
  meddela status verify --lane realtime --since 24h --examples 10
  meddela status verify --partitions 0,7 -o json | jq .causes`,
	}, r.verify)
}

func (r *refolding) verify(ctx context.Context) error {
	report, err := r.compare(ctx)
	if err == nil {
		err = r.env.Print(report, "%s", reportText(report))
	}
	switch {
	case err != nil:
		return command.Misusef("%w", err)
	case report.Differ > 0:
		return fmt.Errorf("of %s Redis does not have what it should", wording.Count(int(report.Differ), "event", "events"))
	case report.Behind+report.Lost > 0:
		return command.Misusef("%d records were not compared: role status has not read them within --wait, or they cannot be read",
			report.Behind+report.Lost)
	case report.Causes[refold.Overdue] > 0:
		return fmt.Errorf("%w to %s: see by meddela lag which role does not go on", command.ErrOverdue,
			wording.Count(int(report.Causes[refold.Overdue]), "event", "events"))
	}
	return nil
}

func (r *refolding) compare(ctx context.Context) (report *refold.Report, err error) {
	err = r.env.ShowScan("records", func(p *scan.Progress) (err error) {
		r.Progress = p
		report, err = r.Verify(ctx, r.ids)
		return err
	})
	return report, err
}

func reportText(report *refold.Report) string {
	text := causesText(report.Causes)
	for _, e := range report.Examples {
		text += fmt.Sprintf("\n%s: %s\n", e.Cause, e.ID)
		if e.Log != nil {
			text += fmt.Sprintf("  topics  %s\n          at %s, event at %s\n", line(e.Log), e.Record, e.Log.Source)
		}
		if e.Redis != nil {
			text += fmt.Sprintf("  Redis   %s\n", line(e.Redis))
		} else if e.Error != "" {
			text += fmt.Sprintf("  Redis   %s\n", wording.Printable(e.Error))
		}
	}
	return text + fmt.Sprintf("%s of %d differ; %d records read in %s\n",
		wording.Count(int(report.Differ), "event", "events"), report.Events, report.Records, wording.Count(report.Passes, "pass", "passes"))
}

func causesText(causes map[refold.Cause]int64) (text string) {
	for _, cause := range refold.Causes {
		if n := causes[cause]; n > 0 {
			text += fmt.Sprintf("%9d  %s\n", n, cause)
		}
	}
	return text
}

// line is a status in a line, of which a part may be all that differs.
func line(s *topology.State) string {
	return wording.Printable(strings.Join(strings.Fields(fmt.Sprintf("%s %s, redrive %d, attempt %d, %s, %s %s %s, pending %s, scheduled %s, %s %s",
		s.Status, s.Reason, s.Redrives, s.Attempt, show.Time(s.UpdatedAt), s.Lane, s.Channel, s.Type,
		cmp.Or(show.Time(s.PendingAt), "-"), cmp.Or(show.Time(s.Scheduled), "-"), s.Template, s.Detail)), " "))
}

func newRebuildCommand(env *command.Env) *cobra.Command {
	r := refolding{env: env}
	cmd := r.command(&cobra.Command{
		Use:   "rebuild [ID...]",
		Short: "Write the statuses in Redis anew from the topics",
		Long: `Write the statuses in Redis anew from the topics, from the newest records to the
oldest. Each is merged into what Redis has, so no status goes back, all roles may
go on, and what Redis has lost or lacks is there again. What it has beyond the
topics stays, unless with --replace: then it is held against the topics
afterwards, and what they contradict is replaced, or removed where they know
nothing of it, each only if they keep everything since the event began.

When it was stopped or killed, the same command goes on where that was, within a day.`,
		Example: `  meddela status rebuild --lane realtime --since 24h
  meddela status rebuild --replace
  meddela status rebuild --into green:
  meddela status rebuild 01JD8Q3Z5X6P7R8S9T0V1W2X3Y --replace`,
	}, r.rebuild)
	cmd.Flags().StringVar(&r.into, "into", "", "write under this key prefix, beside the statuses that are there")
	cmd.Flags().BoolVar(&r.replace, "replace", false, "replace or remove what the topics contradict")
	return cmd
}

func (r *refolding) rebuild(ctx context.Context) (err error) {
	b := refold.Rebuilder{Log: r.Log, Of: fmt.Sprint(r.Lanes, r.Partitions, r.since), Memory: r.Memory,
		Store: &status.Store{Client: r.Reader.Client, Keys: r.Reader.Keys, TTL: r.TTL}}
	began, report := time.Now(), new(refold.Report)
	if len(r.ids) == 0 {
		err = r.env.ShowScan("records", func(p *scan.Progress) error {
			b.Progress = p
			return b.Rebuild(ctx)
		})
	}
	if r.Mend = b.Mend(r.replace); err == nil && (r.replace || len(r.ids) > 0) {
		report, err = r.compare(ctx)
	}
	left := report
	if r.Mend = nil; err == nil && report.Differ > 0 {
		left, err = r.compare(ctx)
	}
	if err != nil {
		return fmt.Errorf("the rebuild has not ended, and goes on when it is started again: %w", err)
	}
	took := time.Since(began)
	b.Records += report.Records
	err = r.env.Print(&b.Rebuilt, "%s%d records read in %s, %.0f a second; %d read before; statuses written: %d\n",
		causesText(report.Causes), b.Records, took.Round(time.Millisecond), command.PerSecond(int(b.Records), took), b.Before,
		b.Written)
	if lost := b.Lost + left.Lost + left.Behind; err == nil && lost > 0 {
		err = fmt.Errorf("%d records were not taken in: they cannot be read any more, or role status has not read them within --wait", lost)
	}
	// Of what the log lost nothing is to be mended in Redis.
	if n := left.Differ - left.Causes[refold.Unlogged]; err == nil && n > 0 {
		err = fmt.Errorf("of %s Redis still does not have what it should: see meddela status verify",
			wording.Count(int(n), "event", "events"))
	}
	return err
}
