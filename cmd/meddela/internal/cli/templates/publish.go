package templates

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/consumer/catalogue"
)

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
		Example: "  meddela templates publish ./templates --dry-run\n  meddela templates publish ./templates\n  meddela templates publish ./templates --diff=false -o json",
		Args:    command.Arguments(1, 1, "one folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := env.Load(cmd); err != nil {
				return err
			}
			return c.publishFolder(cmd.Context(), args[0])
		},
	}
	c.addFlags(cmd, "only check, and say what would be published")
	cmd.Flags().BoolVar(&c.diff, "diff", true, "show how versions differ from what is live")
	return cmd
}

func (c *templatesChange) publishFolder(ctx context.Context, folder string) error {
	report, err := checkFolder(folder)
	if err != nil {
		return err
	}
	if len(report.Faults) > 0 {
		return fmt.Errorf("nothing is published, because of %s:\n%w", folder, report.Faults)
	}
	c.view.Warnings = len(report.Warnings)
	return c.run(ctx, func(live *catalogue.Catalogue) ([]authoring.Change, error) {
		c.view.NotInFolder = notInFolder(live, report.Templates)
		changes := authoring.PlanPublication(live, report.Records())
		return changes, nil
	}, func() error { return c.summary(folder) })
}

// notInFolder lists the templates that are live and not in the folder.
func notInFolder(live *catalogue.Catalogue, templates []authoring.Template) []string {
	names := []string{}
	for entry := range live.All() {
		name := entry.Record().Name
		if _, isLive := live.Live(name); !isLive || slices.Contains(names, name) {
			continue
		}
		if !slices.ContainsFunc(templates, func(t authoring.Template) bool { return t.Record.Name == name }) {
			names = append(names, name)
		}
	}
	return names
}

func (c *templatesChange) summary(folder string) error {
	done := "published"
	if c.dryRun {
		done = "would be published"
	}
	n := len(c.view.Templates)
	if err := c.env.Printf("%s: %d %s, %d live already\n", wording.Count(n, "template is fine", "templates are fine"), len(c.view.Published), done, n-len(c.view.Published)); err != nil {
		return err
	}
	if err := c.printReadBack(); err != nil {
		return err
	}
	if err := c.printNotInFolder(); err != nil {
		return err
	}
	if c.view.Warnings > 0 {
		return c.env.Printf("%s: see meddela templates lint %s\n", wording.Count(c.view.Warnings, "warning", "warnings"), folder)
	}
	return nil
}

// maxNamed is how many templates a line names.
const maxNamed = 8

func (c *templatesChange) printNotInFolder() error {
	names := c.view.NotInFolder
	if len(names) == 0 {
		return nil
	}
	listed := names
	if len(listed) > maxNamed {
		listed = append(listed[:maxNamed:maxNamed], "…")
	}
	return c.env.Printf("live, and not in the folder, which leaves them live: %s: %s\n", wording.Count(len(names), "template", "templates"), strings.Join(listed, " "))
}
