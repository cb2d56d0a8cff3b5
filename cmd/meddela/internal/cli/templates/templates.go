// Package templates has the commands of those who write templates, and of those who
// look after events that no template covers.
package templates

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
)

func New(env *command.Env) *cobra.Command {
	cmd := command.Parent(&cobra.Command{
		Use:     "templates",
		GroupID: command.GroupOperate,
		Short:   "Check, render, publish, list, retire and roll back message templates",
	})
	cmd.AddCommand(newTemplatesLintCommand(env), newTemplatesPublishCommand(env), newTemplatesListCommand(env))
	cmd.AddCommand(newTemplatesRetireCommand(env), newTemplatesRollbackCommand(env), newTemplatesPruneCommand(env))
	cmd.AddCommand(newTemplatesRenderCommand(env), newTemplatesExplainCommand(env), newTemplatesDiffLogCommand(env))
	return cmd
}

// checkFolder reads a folder of templates. Faults in it are in the report.
func checkFolder(folder string) (authoring.Report, error) {
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		return authoring.Report{}, fmt.Errorf("there is no folder %s", folder)
	}
	report, err := authoring.Check(os.DirFS(folder))
	if err == nil && report.Folders == 0 && len(report.Faults) == 0 {
		err = fmt.Errorf("there are no templates in %s: a template is a folder with a template.yaml in it", folder)
	}
	return report, err
}
