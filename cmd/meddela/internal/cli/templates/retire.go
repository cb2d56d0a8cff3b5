package templates

import (
	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/consumer/catalogue"
)

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
		Example: "  meddela templates retire order_confirmation --dry-run\n  meddela templates retire order_confirmation password_reset",
		Args:    command.Arguments(1, -1, "one or more names"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := env.Load(cmd); err != nil {
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
	if err := c.env.Printf("%s %s, %d retired already\n", wording.Count(len(c.view.Published), "template", "templates"), done, c.view.Unchanged); err != nil {
		return err
	}
	return c.printReadBack()
}
