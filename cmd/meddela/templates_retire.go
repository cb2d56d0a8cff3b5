package main

import (
	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
	"github.com/meddela/meddela/consumer/catalogue"
)

func newTemplatesRetireCommand(a *app) *cobra.Command {
	c := templatesChange{app: a}
	cmd := &cobra.Command{
		Use:   "retire NAME...",
		Short: "Let templates cover no events any more",
		Long: `Let templates cover no events any more.

Events that come from then on are matched as if the template were not there.
Jobs that were made with it are still sent: its versions stay readable. Retiring
what is retired already changes nothing; publish the folder again, or roll back,
to have a template again.`,
		Example: "  meddela templates retire order_confirmation --dry-run\n  meddela templates retire order_confirmation password_reset",
		Args:    arguments(1, -1, "one or more names"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.load(cmd); err != nil {
				return err
			}
			return c.run(cmd.Context(), func(live *catalogue.Catalogue) ([]authoring.Change, error) {
				return authoring.PlanRetirement(live, args)
			}, c.retired)
		},
	}
	c.addFlags(cmd, "only say what would be retired")
	return cmd
}

func (c *templatesChange) retired() error {
	done := "retired"
	if c.dryRun {
		done = "would be retired"
	}
	if err := c.app.printf("%s %s, %d retired already\n", count(len(c.view.Published), "template", "templates"), done, c.view.Unchanged); err != nil {
		return err
	}
	return c.printReadBack()
}
