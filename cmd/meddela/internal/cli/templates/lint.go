package templates

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/faults"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
)

func newTemplatesLintCommand(env *command.Env) *cobra.Command {
	var strict bool
	cmd := &cobra.Command{
		Use:   "lint FOLDER",
		Short: "Check a folder of templates, and say everything that is wrong",
		Long: `Check a folder of templates, and say everything that is wrong, each with file
and line and with what to do about it.

Every template is compiled, and rendered in all its languages with the samples
beside it. Warnings are about what works, and is perhaps not what was meant.
Neither Kafka nor any configuration is needed, so this can run for every change
to the folder.`,
		Example: "  meddela templates lint ./templates\n  meddela templates lint ./templates --strict -o json",
		Args:    command.Arguments(1, 1, "one folder"),
		RunE: func(_ *cobra.Command, args []string) error {
			report, err := checkFolder(args[0])
			if err != nil {
				return err
			}
			return printReport(env, args[0], &report, strict)
		},
	}
	cmd.Flags().BoolVar(&strict, "strict", false, "fail because of warnings, too")
	return cmd
}

// printReport prints what a check found. Its error is that it found something.
func printReport(env *command.Env, folder string, report *authoring.Report, strict bool) error {
	samples, bodies := 0, 0
	for i := range report.Templates {
		samples += len(report.Templates[i].Samples)
		bodies += len(report.Templates[i].Record.Bodies)
	}
	warnings := wording.Count(len(report.Warnings), "warning", "warnings")
	var b strings.Builder
	writeFaults(&b, folder, report.Faults, "")
	writeFaults(&b, folder, report.Warnings, env.Paint(text.FgYellow, "warning")+": ")
	if len(report.Faults) == 0 {
		fmt.Fprintf(&b, "%s with %s, checked with %s: no faults, %s\n",
			wording.Count(report.Folders, "template", "templates"),
			wording.Count(bodies, "body", "bodies"), wording.Count(samples, "sample", "samples"), warnings)
	}
	err := env.Print(map[string]any{
		"templates": report.Folders, "samples": samples, "faults": report.Faults, "warnings": report.Warnings,
	}, "%s", b.String())
	switch {
	case err != nil:
		return err
	case len(report.Faults) > 0:
		return fmt.Errorf("%s and %s in %s", wording.Count(len(report.Faults), "fault", "faults"), warnings, folder)
	case strict && len(report.Warnings) > 0:
		return fmt.Errorf("%s in %s, and warnings are not allowed (--strict)", warnings, folder)
	}
	return nil
}

// writeFaults writes a line for each, with the file as it can be opened from here.
func writeFaults(b *strings.Builder, folder string, found faults.List, kind string) {
	for _, f := range found {
		f.File, f.Detail = filepath.Join(folder, filepath.FromSlash(f.File)), kind+f.Detail
		fmt.Fprintln(b, f)
	}
}
