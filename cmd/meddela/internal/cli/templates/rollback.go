package templates

import (
	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/topology"
)

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
		Example: "  meddela templates rollback order_confirmation --dry-run\n  meddela templates rollback order_confirmation 3fa9c1",
		Args:    command.Arguments(1, 2, "a name and perhaps a version"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := env.Load(cmd); err != nil {
				return err
			}
			// A version may be given as lists show it, with its name.
			name, version := topology.TemplateRef(args[0]).Split()
			if len(args) == 2 {
				version = args[1]
			}
			return c.run(cmd.Context(), func(live *catalogue.Catalogue) ([]authoring.Change, error) {
				change, err := authoring.PlanRollback(live, name, version)
				return []authoring.Change{change}, err
			}, c.rolledBack)
		},
	}
	c.addFlags(cmd, "only say what would be published")
	cmd.Flags().BoolVar(&c.diff, "diff", true, "show how the version differs from what is live")
	return cmd
}

func (c *templatesChange) rolledBack() error {
	t := &c.view.Templates[0]
	text := "is live"
	switch {
	case c.view.Unchanged > 0:
		text = "is live already: nothing was changed"
	case c.dryRun:
		text = "would be live"
	}
	if err := c.env.Printf("%s@%s %s\n", t.Name, t.Version, text); err != nil {
		return err
	}
	return c.printReadBack()
}
