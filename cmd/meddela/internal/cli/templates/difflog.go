package templates

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/difflog"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/consumer/scan"
	"github.com/meddela/meddela/topology"
)

type diffLog struct {
	env         *command.Env
	folder      authoring.Report
	lanes       []topology.Lane
	since       time.Duration
	limit       int64
	examples    int
	showContent bool
}

func newTemplatesDiffLogCommand(env *command.Env) *cobra.Command {
	d := diffLog{env: env, lanes: topology.Lanes()}
	cmd := &cobra.Command{
		Use:   "diff-log FOLDER",
		Short: "Run a folder of templates on past events, and say what would change",
		Long: `Run a folder of templates on past events, and say what would change.

The events of the lanes' events topics are matched and rendered twice: with the
templates that are live, and as if the folder were published. Each is judged as
of the time at which it came. Nothing is published, sent or written, and no
role notices.

Events are shown by id and position; what they say is shown only with
--show-content, and the recipient's address not even then.`,
		Example: `  meddela templates diff-log ./templates
  meddela templates diff-log ./templates --lane realtime --since 1h --show-content
  meddela templates diff-log ./templates --since 168h --limit 100000 -o json`,
		Args: command.Arguments(1, 1, "one folder"),
		PreRunE: func(_ *cobra.Command, args []string) (err error) {
			d.folder, err = loadFolder(args[0], "nothing is compared")
			return err
		},
		RunE: env.Loaded(d.run),
	}
	flags := cmd.Flags()
	command.WordsFlag(cmd, &d.lanes, "lane", topology.Lanes(), "lanes whose events to compare")
	flags.DurationVar(&d.since, "since", 24*time.Hour, "how far back to look")
	flags.Int64Var(&d.limit, "limit", 0, "only about so many events, the latest; 0 is no limit")
	flags.IntVar(&d.examples, "examples", 3, "how many events to show of each change")
	flags.BoolVar(&d.showContent, "show-content", false,
		"show how the texts of the examples differ: they have the events' content")
	command.Bound(cmd, "since", func() bool { return d.since > 0 }, "a length of time such as 24h")
	command.Bound(cmd, "limit", func() bool { return d.limit >= 0 }, "a positive number of events")
	// Examples take memory.
	command.Bound(cmd, "examples", func() bool { return 0 <= d.examples && d.examples <= 100 }, "0 to 100")
	return cmd
}

type diffLogResult struct {
	Since    time.Time              `json:"since"`
	Lanes    []topology.Lane        `json:"lanes"`
	Versions []topology.TemplateRef `json:"versions"` // that would be published
	difflog.Report
	Lost int64 `json:"lost"` // removed from the topics while they were read

	took time.Duration
}

func (d *diffLog) run(ctx context.Context, _ []string) error {
	topics, err := d.env.Topics(ctx)
	if err != nil {
		return err
	}
	names, now := d.env.Config.Names(), time.Now()
	since := now.Add(-d.since)
	var ranges []scan.Range
	for _, lane := range d.lanes {
		found, err := topics.Ranges(ctx, names.Events(lane), since)
		if err != nil {
			return err
		}
		ranges = append(ranges, found...)
	}
	if d.limit > 0 {
		ranges = scan.Latest(ranges, d.limit)
	}
	follower, err := d.env.Templates(ctx)
	if err != nil {
		return err
	}
	live := follower.Snapshot()
	proposed, refs, err := authoring.Proposed(live, authoring.PlanPublication(live, d.folder.Records()), now)
	if err != nil {
		return err
	}
	comparison := &difflog.Comparison{Live: live, Proposed: proposed, Examples: d.examples, ShowContent: d.showContent}
	result := diffLogResult{Since: since.UTC().Truncate(time.Millisecond), Lanes: d.lanes, Versions: refs}
	started := time.Now()
	err = d.env.ShowScan("events", func(p *scan.Progress) error {
		defer func() { result.Lost = p.Lost.Load() }()
		return topics.Scan(ctx, ranges, p, func(records []topology.Record) error {
			lane, _ := names.LaneOf(records[0].Topic)
			comparison.Add(lane, records)
			return nil
		})
	})
	if errors.Is(err, context.Canceled) {
		return errors.New("stopped by a signal before the end of the events")
	}
	if err != nil {
		return err
	}
	result.Report, result.took = comparison.Report(), time.Since(started)
	return printDiffLog(d.env, &result)
}

func printDiffLog(env *command.Env, r *diffLogResult) error {
	if env.Output == command.JSON {
		return env.PrintJSON(r)
	}
	if len(r.Changes) > 0 {
		t := command.NewTable("change", "events", "now", "then", "detail")
		for _, c := range r.Changes {
			t.AppendRow([]any{changeName(c.Kind), c.Events, c.Live, c.Proposed, changeDetail(&c)})
		}
		if err := errors.Join(env.PrintTable(t), printExamples(env, r.Changes)); err != nil {
			return err
		}
	}
	return env.Printf("%s", r.summary())
}

func changeName(k difflog.Kind) string { return strings.ReplaceAll(string(k), "_", " ") }

func changeDetail(c *difflog.Change) string {
	var parts []string
	for name, n := range c.Parts {
		if n != c.Events {
			name += fmt.Sprintf(" (%d)", n)
		}
		parts = append(parts, name)
	}
	slices.Sort(parts)
	if c.Detail != "" {
		parts = slices.Insert(parts, 0, c.Detail)
	}
	return strings.Join(parts, ", ")
}

func printExamples(env *command.Env, changes []difflog.Change) error {
	var b strings.Builder
	for i := range changes {
		c := &changes[i]
		if len(c.Examples) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n%s, for instance (%s to %s):\n", env.Paint(text.Bold, changeName(c.Kind)), c.Live, c.Proposed)
		for j := range c.Examples {
			writeExample(env, &b, &c.Examples[j])
		}
	}
	return env.Printf("%s\n", b.String())
}

func writeExample(env *command.Env, b *strings.Builder, e *difflog.Example) {
	fmt.Fprintf(b, "  %s  %s  %s  %s\n", e.ID, e.Source, wording.Abridged(e.Type), wording.Moment(e.At))
	if now, then := sideText(&e.Live), sideText(&e.Proposed); now != then {
		fmt.Fprintf(b, "    now   %s\n    then  %s\n", now, then)
	}
	for _, p := range e.Parts {
		fmt.Fprintf(b, "    %s: %s\n", p.Name, p.Where)
		for _, line := range p.Diff {
			fmt.Fprintf(b, "      %s\n", paintDiff(env, line))
		}
	}
}

func sideText(s *difflog.Side) string {
	words := []string{string(cmp.Or(s.Template, topology.TemplateRef(s.Status))), s.Language, string(s.Reason)}
	out := strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), " ")
	if s.Detail != "" {
		out += ": " + s.Detail
	}
	if !s.Expires.IsZero() {
		out += ", until " + wording.Moment(s.Expires)
	}
	return out
}

func paintDiff(env *command.Env, line string) string {
	switch {
	case strings.HasPrefix(line, "+"):
		return env.Paint(text.FgGreen, line)
	case strings.HasPrefix(line, "-"):
		return env.Paint(text.FgRed, line)
	}
	return line
}

func (r *diffLogResult) summary() string {
	changed := r.Events - r.Unchanged
	lanes := strings.Join(wording.Texts(r.Lanes), " and ")
	b := new(strings.Builder)
	switch {
	case r.Events == 0:
		fmt.Fprintf(b, "there are no events on %s since %s\n", lanes, wording.Moment(r.Since))
	case len(r.Versions) == 0:
		fmt.Fprintf(b, "everything in the folder is live already: nothing changes for %s\n",
			wording.Count(int(r.Events), "event", "events"))
	default:
		fmt.Fprintf(b, "%s would change, %d would not: on %s since %s, with %s published\n",
			wording.Count(int(changed), "event", "events"), r.Unchanged, lanes, wording.Moment(r.Since),
			wording.Count(len(r.Versions), "version", "versions"))
	}
	if r.Unreadable > 0 {
		fmt.Fprintf(b, "%s no event\n", wording.Count(int(r.Unreadable), "record is", "records are"))
	}
	if r.Lost > 0 {
		fmt.Fprintf(b, "%s removed from the topics before being read, or can never be read\n",
			wording.Count(int(r.Lost), "record was", "records were"))
	}
	if r.Events > 0 {
		fmt.Fprintf(b, "compared in %s, %.0f events a second\n", r.took.Round(time.Millisecond),
			command.PerSecond(int(r.Events), cmp.Or(r.took, 1)))
	}
	return b.String()
}
