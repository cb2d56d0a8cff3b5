package templates

import (
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
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/topology"
)

type templatesChange struct {
	changesView
	env     *command.Env
	folder  string           // that is published
	report  authoring.Report // of the folder
	diff    bool
	timeout time.Duration
}

func (c *templatesChange) addFlags(cmd *cobra.Command, dryRun string) {
	cmd.Flags().BoolVar(&c.DryRun, "dry-run", false, dryRun)
	cmd.Flags().DurationVar(&c.timeout, "timeout", 30*time.Second, "how long Kafka may take")
	command.Bound(cmd, "timeout", func() bool { return c.timeout > 0 }, "a length of time such as 30s")
}

func newTemplatesPublishCommand(env *command.Env) *cobra.Command {
	c := templatesChange{env: env}
	cmd := &cobra.Command{
		Use:   "publish FOLDER",
		Short: "Check a folder of templates, and publish what is new in it",
		Long: `Check a folder of templates, and publish what is new in it.

Every template is compiled, and rendered with the samples beside it, before any
is published; all faults are shown at once. What changes against what is live is
shown as a diff.

Each template changes as a whole or not at all. What is live already is left as
it is, so publishing again is safe, also after it was cut short half-way.
Templates that are live and not in the folder stay live. Every running role has
a new version within a second; the command waits until it can read it itself.`,
		Example: `  meddela templates publish ./templates --dry-run
  meddela templates publish ./templates
  meddela templates publish ./templates --diff=false -o json`,
		Args: command.Arguments(1, 1, "one folder"),
		PreRunE: func(_ *cobra.Command, args []string) (err error) {
			c.folder = args[0]
			c.report, err = loadFolder(c.folder, "nothing is published")
			c.Warnings = len(c.report.Warnings)
			return err
		},
		RunE: env.Loaded(func(ctx context.Context, _ []string) error {
			return c.run(ctx, c.planPublication, c.publishedText)
		}),
	}
	c.addFlags(cmd, "only check, and say what would be published")
	cmd.Flags().BoolVar(&c.diff, "diff", true, "show how versions differ from what is live")
	return cmd
}

func (c *templatesChange) planPublication(live *catalogue.Catalogue) ([]authoring.Change, error) {
	for entry := range live.AllLive() {
		name := entry.Record().Name
		if !slices.ContainsFunc(c.report.Templates, func(t authoring.Template) bool { return t.Record.Name == name }) {
			c.NotInFolder = append(c.NotInFolder, name)
		}
	}
	return authoring.PlanPublication(live, c.report.Records()), nil
}

func (c *templatesChange) publishedText() string {
	var b strings.Builder
	all, published := len(c.Templates), len(c.Published)
	fmt.Fprintf(&b, "%s: %d %s, %d live already\n%s", wording.Count(all, "template is fine", "templates are fine"),
		published, command.Done(c.DryRun, "", "published"), all-published, c.readBackText())
	if names := c.NotInFolder; len(names) > 0 {
		fmt.Fprintf(&b, "live, and not in the folder, which leaves them live: %s: %s\n",
			wording.Count(len(names), "template", "templates"), strings.Join(wording.Most(8, names), " "))
	}
	if c.Warnings > 0 {
		fmt.Fprintf(&b, "%s: see meddela templates lint %s\n", wording.Count(c.Warnings, "warning", "warnings"), c.folder)
	}
	return b.String()
}

func newTemplatesRetireCommand(env *command.Env) *cobra.Command {
	c := templatesChange{env: env}
	cmd := &cobra.Command{
		Use:   "retire NAME...",
		Short: "Let templates cover no events any more",
		Long: `Let templates cover no events any more.

Events that come from then on are matched as if the template were not there.
Jobs that were made with it are still sent: its versions stay readable. Retiring
what is retired already changes nothing; publish the folder again, or roll back,
to have a template again.`,
		Example: `  meddela templates retire order_confirmation --dry-run
  meddela templates retire order_confirmation password_reset`,
		Args: command.Arguments(1, -1, "one or more names"),
		RunE: env.Loaded(func(ctx context.Context, args []string) error {
			return c.run(ctx, func(live *catalogue.Catalogue) ([]authoring.Change, error) {
				return authoring.PlanRetirement(live, args)
			}, func() string {
				return fmt.Sprintf("%s %s, %d retired already\n%s", wording.Count(len(c.Published), "template", "templates"),
					command.Done(c.DryRun, "", "retired"), c.Unchanged, c.readBackText())
			})
		}),
	}
	c.addFlags(cmd, "only say what would be retired")
	return cmd
}

func newTemplatesRollbackCommand(env *command.Env) *cobra.Command {
	c := templatesChange{env: env}
	cmd := &cobra.Command{
		Use:   "rollback NAME [VERSION]",
		Short: "Go back to an older version of a template",
		Long: `Go back to an older version of a template.

Without VERSION that is what was there before the last publication: the version
published before the one that is live, or, where the template is retired, the
version that was live. So two rollbacks in a row are back where they began. The
first characters of a VERSION are enough; meddela templates list --all has them.

Jobs are rendered with the version that they were made with, and are not
touched.`,
		Example: `  meddela templates rollback order_confirmation --dry-run
  meddela templates rollback order_confirmation 3fa9c1`,
		Args: command.Arguments(1, 2, "a name and perhaps a version"),
		RunE: env.Loaded(func(ctx context.Context, args []string) error {
			// A version may be given as lists show it, with its name.
			name, version := topology.TemplateRef(args[0]).Split()
			if len(args) == 2 {
				version = args[1]
			}
			return c.run(ctx, func(live *catalogue.Catalogue) ([]authoring.Change, error) {
				change, err := authoring.PlanRollback(live, name, version)
				return []authoring.Change{change}, err
			}, func() string {
				outcome := "is live"
				switch {
				case c.Unchanged > 0:
					outcome = "is live already: nothing was changed"
				case c.DryRun:
					outcome = "would be live"
				}
				t := &c.Templates[0]
				return fmt.Sprintf("%s@%s %s\n%s", t.Name, t.Version, outcome, c.readBackText())
			})
		}),
	}
	c.addFlags(cmd, "only say what would be published")
	cmd.Flags().BoolVar(&c.diff, "diff", true, "show how the version differs from what is live")
	return cmd
}

func (c *templatesChange) run(ctx context.Context, plan func(live *catalogue.Catalogue) ([]authoring.Change, error),
	summary func() string) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	follower, err := c.env.Templates(ctx)
	if err != nil {
		return err
	}
	live := follower.Snapshot()
	changes, err := plan(live)
	if err == nil {
		err = authoring.CheckTypes(changes, c.env.Config.Templates.Types)
	}
	if err != nil {
		return err
	}
	proposed, refs, err := authoring.Proposed(live, changes, time.Now())
	if err != nil {
		return err
	}
	c.fill(changes, authoring.Gaps(live, proposed))
	if err := c.printChanges(); err != nil {
		return err
	}
	if c.Published = refs; !c.DryRun {
		err = c.write(ctx, follower, changes)
	}
	// JSON says what has come of it also where that is not all that was asked for.
	if err != nil && c.env.Output != command.JSON {
		return err
	}
	return errors.Join(err, c.env.Print(&c.changesView, "%s", summary()))
}

func (c *templatesChange) write(ctx context.Context, follower *catalogue.Follower, changes []authoring.Change) error {
	c.Published = []topology.TemplateRef{}
	writer, err := c.env.Publisher(ctx)
	if err != nil {
		return err
	}
	started := time.Now()
	written, err := authoring.Write(ctx, writer, c.env.Config.Names().Templates(), changes, started)
	if c.Published = append(c.Published, written...); err != nil || len(written) == 0 {
		return err
	}
	acknowledged := time.Now()
	if err := follower.CatchUp(ctx); err != nil {
		return fmt.Errorf("%s published, but it was not seen that they are live: %w",
			wording.Count(len(c.Published), "template is", "templates are"), err)
	}
	c.WrittenMillis = acknowledged.Sub(started).Milliseconds()
	c.ReadBackMillis = time.Since(acknowledged).Milliseconds()
	if overtaken := authoring.Overtaken(follower.Snapshot(), changes); len(overtaken) > 0 {
		return fmt.Errorf("written, but not live: %v: somebody else has published since: "+
			"see meddela templates list --retired", overtaken)
	}
	return nil
}

// changesView is what the commands that change templates print with --output json.
type changesView struct {
	DryRun      bool                   `json:"dry_run"`
	Templates   []changeView           `json:"templates"`
	Published   []topology.TemplateRef `json:"published"` // or would be
	Unchanged   int                    `json:"unchanged"`
	Gaps        []authoring.Gap        `json:"gaps"` // what no template covers any more
	NotInFolder []string               `json:"not_in_folder,omitempty"`
	Warnings    int                    `json:"warnings,omitempty"`
	// Times: until Kafka had acknowledged, and from then until it was read.
	WrittenMillis  int64 `json:"written_ms,omitempty"`
	ReadBackMillis int64 `json:"read_back_ms,omitempty"`
}

type changeView struct {
	Name    string               `json:"name"`
	Version string               `json:"version"`
	Change  authoring.Kind       `json:"change"`
	Before  *beforeView          `json:"before,omitempty"`
	Diff    []authoring.FileDiff `json:"diff,omitempty"`
}

// beforeView is what was published last under the name.
type beforeView struct {
	Version string `json:"version"`
	Retired bool   `json:"retired,omitempty"`
}

func (c *templatesChange) fill(changes []authoring.Change, gaps []authoring.Gap) {
	c.Gaps, c.Templates = gaps, make([]changeView, len(changes))
	for i, change := range changes {
		view := changeView{Name: change.Record.Name, Version: change.Record.Version, Change: change.Kind}
		if change.Before != nil {
			view.Before = &beforeView{change.Before.Version, change.Before.Retired}
		}
		if c.diff && (change.Kind == authoring.Changed || change.Kind == authoring.Restored) {
			view.Diff = authoring.Diff(change.Before, &change.Record)
		}
		if change.Kind == authoring.Unchanged {
			c.Unchanged++
		}
		c.Templates[i] = view
	}
}

func (c *templatesChange) printChanges() error {
	if c.env.Output == command.JSON {
		return nil
	}
	var b strings.Builder
	for i := range c.Templates {
		writeChange(c.env, &b, &c.Templates[i])
	}
	for _, g := range c.Gaps {
		fmt.Fprintf(&b, "%s: events of type %s on %s are not covered by any template then\n",
			c.env.Paint(text.FgYellow, "note"), g.Type, g.Channel)
	}
	return c.env.Printf("%s", b.String())
}

func writeChange(env *command.Env, b *strings.Builder, v *changeView) {
	if v.Change == authoring.Unchanged {
		return
	}
	colour := text.FgGreen
	if v.Change == authoring.Retired {
		colour = text.FgYellow
	}
	// Padded before it is painted, so that lines are aligned either way.
	fmt.Fprintf(b, "%s %s@%s%s\n", env.Paint(colour, fmt.Sprintf("%-8s", v.Change)), v.Name, v.Version, v.beforeText())
	const mostCharacters = 200
	for _, file := range v.Diff {
		fmt.Fprintf(b, "  %s\n", env.Paint(text.Bold, file.File))
		for _, line := range file.Lines {
			fmt.Fprintf(b, "    %s\n", paintDiff(env, wording.PrintableLines(wording.Shortened(line, mostCharacters))))
		}
		if file.Hidden > 0 {
			fmt.Fprintf(b, "    … %s\n", wording.Count(file.Hidden, "more line", "more lines"))
		}
	}
}

func (v *changeView) beforeText() string {
	switch {
	case v.Before == nil, v.Change == authoring.Retired:
		return ""
	case v.Change == authoring.Revived:
		return ", which was retired"
	case v.Before.Retired:
		return ", after " + v.Before.Version + ", which was retired"
	case v.Change == authoring.Restored:
		return ", which was live before " + v.Before.Version
	}
	return ", after " + v.Before.Version
}

func (c *templatesChange) readBackText() string {
	if c.DryRun || len(c.Published) == 0 {
		return ""
	}
	return fmt.Sprintf("seen live %d ms after Kafka had it (which took %d ms)\n", c.ReadBackMillis, c.WrittenMillis)
}
