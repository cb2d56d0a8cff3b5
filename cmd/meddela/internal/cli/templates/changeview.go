package templates

import (
	"fmt"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/topology"
)

// changesView is what the commands that change templates print with --output
// json.
type changesView struct {
	DryRun    bool                   `json:"dry_run"`
	Templates []changeView           `json:"templates"`
	Published []topology.TemplateRef `json:"published"` // or would be
	Unchanged int                    `json:"unchanged"`
	// Gaps are what no template covers any more.
	Gaps []authoring.Gap `json:"gaps"`
	// NotInFolder are live templates that the folder does not have.
	NotInFolder []string `json:"not_in_folder,omitempty"`
	Warnings    int      `json:"warnings,omitempty"`
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

func (v *changesView) fill(changes []authoring.Change, gaps []authoring.Gap, diff bool) {
	v.Templates = make([]changeView, len(changes))
	for i := range changes {
		c := &changes[i]
		view := changeView{Name: c.Record.Name, Version: c.Record.Version, Change: c.Kind}
		if c.Before != nil {
			view.Before = &beforeView{c.Before.Version, c.Before.Retired}
		}
		if diff && (c.Kind == authoring.Changed || c.Kind == authoring.Restored) {
			view.Diff = authoring.Diff(c.Before, &c.Record)
		}
		if c.Kind == authoring.Unchanged {
			v.Unchanged++
		}
		v.Templates[i] = view
	}
	v.Gaps = gaps
}

// printChanges says what changes, before it is done.
func (c *templatesChange) printChanges() error {
	if c.env.Output == command.JSON {
		return nil
	}
	var b strings.Builder
	for i := range c.view.Templates {
		writeChange(c.env, &b, &c.view.Templates[i])
	}
	for _, g := range c.view.Gaps {
		fmt.Fprintf(&b, "%s: events of type %s on %s are not covered by any template then\n", c.env.Paint(text.FgYellow, "note"), g.Type, g.Channel)
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
	for _, file := range v.Diff {
		fmt.Fprintf(b, "  %s\n", env.Paint(text.Bold, file.File))
		for _, line := range file.Lines {
			fmt.Fprintf(b, "    %s\n", paintDiff(env, authoring.Printable(line, maxLineChars)))
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

// maxLineChars is how much of a long line is shown.
const maxLineChars = 200

// printReadBack says when what was published was seen to be live.
func (c *templatesChange) printReadBack() error {
	if c.dryRun || len(c.view.Published) == 0 {
		return nil
	}
	return c.env.Printf("seen live %d ms after Kafka had it (which took %d ms)\n", c.view.ReadBackMillis, c.view.WrittenMillis)
}
