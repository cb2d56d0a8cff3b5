// Package templates has the commands of those who write templates, and of those who
// look after events that no template covers.
package templates

import (
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
)

// New makes the command templates.
func New(env *command.Env) *cobra.Command {
	cmd := command.Parent(&cobra.Command{
		Use:     "templates",
		GroupID: command.GroupOperate,
		Short:   "Check, render, publish, list, retire and roll back message templates",
		Long: `Check, render, publish, list, retire and roll back message templates, which are a
folder of files, one folder in it for each template. Lint and render need no servers;
diff-log says what a change would do to past events, before publish makes it.`,
	})
	cmd.AddCommand(newTemplatesLintCommand(env), newTemplatesPublishCommand(env), newTemplatesListCommand(env))
	cmd.AddCommand(newTemplatesRetireCommand(env), newTemplatesRollbackCommand(env), newTemplatesPruneCommand(env))
	cmd.AddCommand(newTemplatesRenderCommand(env), newTemplatesExplainCommand(env), newTemplatesDiffLogCommand(env))
	return cmd
}

// openFolder is a folder of templates, which must be there. No link leads out of it.
func openFolder(name string) (fs.FS, error) {
	root, err := os.OpenRoot(name)
	if err != nil {
		return nil, fmt.Errorf("there is no folder %s", name)
	}
	return root.FS(), nil
}

// checkFolder reads a folder of templates. Faults in it are in the report.
func checkFolder(name string) (report authoring.Report, err error) {
	folder, err := openFolder(name)
	if err != nil {
		return report, err
	}
	report, err = authoring.Check(folder)
	if err == nil && report.Folders == 0 && len(report.Faults) == 0 {
		err = fmt.Errorf("there are no templates in %s: a template is a folder with a template.yaml in it", name)
	}
	return report, err
}

// loadFolder reads a folder without faults; refusal is what does not happen otherwise.
func loadFolder(name, refusal string) (report authoring.Report, err error) {
	report, err = checkFolder(name)
	if err == nil && len(report.Faults) > 0 {
		err = fmt.Errorf("%s, because of %s:\n%w", refusal, name, report.Faults)
	}
	return report, err
}
