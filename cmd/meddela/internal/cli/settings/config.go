// Package settings has the commands that show how this binary is configured.
package settings

import (
	"cmp"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/config"
)

// NewConfig makes the command config.
func NewConfig(env *command.Env) *cobra.Command {
	var markdown bool
	cmd := &cobra.Command{
		Use:     "config",
		GroupID: command.GroupTry,
		Short:   "Show every setting: its value, where that comes from, and what it is for",
		Long: `Show every setting: its value, where that comes from, and what it is for.

Settings are environment variables; a few are flags as well, and a flag wins.
Secrets are masked. A secret X may also be read from the file that X_FILE names.
A misspelt MEDDELA_ variable is an error in every command.`,
		Example: `  meddela config
  meddela config -o json | jq '.[] | select(.source != "default")'`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if markdown {
				return env.Printf("%s\n", settingsReference().RenderMarkdown())
			}
			if err := env.Load(cmd); err != nil {
				return err
			}
			return printSettings(env)
		},
	}
	cmd.Flags().BoolVar(&markdown, "markdown", false, "print the reference of all settings for a document instead")
	return cmd
}

// settingView is a setting as `meddela config` shows it.
type settingView struct {
	Name        string `json:"name"`
	Value       string `json:"value"`
	Source      string `json:"source"`
	Secret      bool   `json:"secret,omitempty"`
	Description string `json:"description"`
}

func printSettings(env *command.Env) error {
	views := make([]settingView, len(env.Settings))
	t := command.NewTable("setting", "value", "source", "description")
	for i, s := range env.Settings {
		v := settingView{s.Name, s.Value(), s.Source, s.Secret(), s.Tag.Get("desc")}
		views[i] = v
		t.AppendRow(table.Row{v.Name, cmp.Or(v.Value, "–"), v.Source, v.Description})
	}
	return env.PrintEither(views, t)
}

// settingsReference is the table of all settings for the documentation.
func settingsReference() table.Writer {
	t := table.NewWriter()
	t.AppendHeader(table.Row{"Variable", "Default", "Allowed", "Meaning"})
	for _, s := range config.SettingsOf(new(config.Config)) {
		name := "`" + s.Name + "`"
		if s.Secret() {
			name += ", `" + s.Name + config.FileSuffix + "`"
		}
		t.AppendRow(table.Row{name, s.Tag.Get("default"), s.Bounds(), s.Tag.Get("desc")})
	}
	return t
}
