package main

import (
	"cmp"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"
)

func newConfigCommand(a *app) *cobra.Command {
	var markdown bool
	cmd := &cobra.Command{
		Use:     "config",
		GroupID: groupTry,
		Short:   "Show every setting: its value, where that comes from, and what it is for",
		Long: `Show every setting: its value, where that comes from, and what it is for.

Settings are environment variables; a few are flags as well, and a flag wins.
Secrets are masked. A secret X may also be read from the file that X_FILE names.
A misspelt MEDDELA_ variable is an error in every command.`,
		Example: `  meddela config
  meddela config -o json | jq '.[] | select(.source != "default")'`,
		Args: arguments(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if markdown {
				return a.printf("%s\n", settingsReference().RenderMarkdown())
			}
			if err := a.load(cmd); err != nil {
				return err
			}
			return a.printSettings()
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

func (a *app) printSettings() error {
	views := make([]settingView, len(a.settings))
	for i := range a.settings {
		s := &a.settings[i]
		views[i] = settingView{
			Name: s.name, Value: s.value(), Source: s.source, Secret: s.secret(), Description: s.tag.Get("desc"),
		}
	}
	if a.output == outputJSON {
		return a.printJSON(views)
	}
	t := newTable("setting", "value", "source", "description")
	for _, v := range views {
		t.AppendRow(table.Row{v.Name, cmp.Or(v.Value, "–"), v.Source, v.Description})
	}
	return a.printTable(t)
}

// settingsReference is the table of all settings for the documentation.
func settingsReference() table.Writer {
	t := table.NewWriter()
	t.AppendHeader(table.Row{"Variable", "Default", "Allowed", "Meaning"})
	settings := settingsOf(new(Config))
	for i := range settings {
		s := &settings[i]
		name := "`" + s.name + "`"
		if s.secret() {
			name += ", `" + s.name + fileSuffix + "`"
		}
		t.AppendRow(table.Row{name, s.tag.Get("default"), s.bounds(), s.tag.Get("desc")})
	}
	return t
}
