package templates

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/difflog"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/topology"
)

func printDiffLog(env *command.Env, r *diffLogResult) error {
	if env.Output == command.JSON {
		if r.Versions == nil {
			r.Versions = []topology.TemplateRef{}
		}
		return env.PrintJSON(r)
	}
	if len(r.Changes) > 0 {
		if err := printChanges(env, r.Changes); err != nil {
			return err
		}
		if err := printExamples(env, r.Changes); err != nil {
			return err
		}
	}
	return env.Printf("%s", r.summary())
}

func printChanges(env *command.Env, changes []difflog.Change) error {
	t := command.NewTable("change", "events", "now", "then", "detail")
	for _, c := range changes {
		t.AppendRow([]any{changeName(c.Kind), c.Events, c.Live, c.Proposed, changeDetail(&c)})
	}
	return env.PrintTable(t)
}

// changeName is the kind in words.
func changeName(k difflog.Kind) string { return strings.ReplaceAll(string(k), "_", " ") }

func changeDetail(c *difflog.Change) string {
	var parts []string
	for name, n := range c.Parts {
		if n != c.Events {
			name += fmt.Sprintf(" (%d)", n)
		}
		parts = append(parts, name)
	}
	slices.Sort(parts)
	if c.Detail != "" {
		parts = slices.Insert(parts, 0, c.Detail)
	}
	return strings.Join(parts, ", ")
}

func printExamples(env *command.Env, changes []difflog.Change) error {
	var b strings.Builder
	for i := range changes {
		c := &changes[i]
		if len(c.Examples) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n%s, for instance (%s to %s):\n", env.Paint(text.Bold, changeName(c.Kind)), c.Live, c.Proposed)
		for j := range c.Examples {
			writeExample(env, &b, &c.Examples[j])
		}
	}
	return env.Printf("%s\n", b.String())
}

func writeExample(env *command.Env, b *strings.Builder, e *difflog.Example) {
	fmt.Fprintf(b, "  %s  %s  %s  %s\n", e.ID, e.Source, wording.Abridged(e.Type), e.At.Local().Format(time.DateTime))
	if now, then := sideText(&e.Live), sideText(&e.Proposed); now != then {
		fmt.Fprintf(b, "    now   %s\n    then  %s\n", now, then)
	}
	for _, p := range e.Parts {
		fmt.Fprintf(b, "    %s: %s\n", p.Name, p.Where)
		for _, line := range p.Diff {
			fmt.Fprintf(b, "      %s\n", paintDiff(env, line))
		}
	}
}

func sideText(s *difflog.Side) string {
	words := []string{string(s.Template), s.Language}
	if s.Template == "" {
		words = []string{string(s.Status)}
	}
	if s.Reason != topology.NoReason {
		words = append(words, string(s.Reason))
	}
	out := strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), " ")
	if s.Error != "" {
		out += ": " + s.Error
	}
	if !s.Expires.IsZero() {
		out += ", until " + s.Expires.Local().Format(time.DateTime)
	}
	return out
}

func paintDiff(env *command.Env, line string) string {
	switch line[:min(1, len(line))] {
	case "+":
		return env.Paint(text.FgGreen, line)
	case "-":
		return env.Paint(text.FgRed, line)
	}
	return line
}

func (r *diffLogResult) summary() string {
	changed := r.Events - r.Unchanged
	lanes := strings.Join(wording.Texts(r.Lanes), " and ")
	b := new(strings.Builder)
	switch {
	case r.Events == 0:
		fmt.Fprintf(b, "there are no events on %s since %s\n", lanes, r.Since.Local().Format(time.DateTime))
	case len(r.Versions) == 0:
		fmt.Fprintf(b, "everything in the folder is live already: nothing changes for %s\n", wording.Count(int(r.Events), "event", "events"))
	default:
		fmt.Fprintf(b, "%s would change, %d would not: on %s since %s, with %s published\n",
			wording.Count(int(changed), "event", "events"), r.Unchanged, lanes, r.Since.Local().Format(time.DateTime),
			wording.Count(len(r.Versions), "version", "versions"))
	}
	if r.Unreadable > 0 {
		fmt.Fprintf(b, "%s no event\n", wording.Count(int(r.Unreadable), "record is", "records are"))
	}
	if r.Lost > 0 {
		fmt.Fprintf(b, "%s removed from the topics before being read\n", wording.Count(int(r.Lost), "record was", "records were"))
	}
	if r.Events > 0 {
		fmt.Fprintf(b, "compared in %s, %.0f events a second\n", r.took.Round(time.Millisecond), command.PerSecond(int(r.Events), cmp.Or(r.took, 1)))
	}
	return b.String()
}
