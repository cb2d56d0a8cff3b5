package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/meddela/meddela/cmd/meddela/internal/difflog"
	"github.com/meddela/meddela/topology"
)

func (a *app) printDiffLog(r *diffLogResult) error {
	if a.output == outputJSON {
		if r.Versions == nil {
			r.Versions = []topology.TemplateRef{}
		}
		return a.printJSON(r)
	}
	if len(r.Changes) > 0 {
		if err := a.printChanges(r.Changes); err != nil {
			return err
		}
		if err := a.printExamples(r.Changes); err != nil {
			return err
		}
	}
	return a.printf("%s", r.summary())
}

func (a *app) printChanges(changes []difflog.Change) error {
	t := newTable("change", "events", "now", "then", "detail")
	for _, c := range changes {
		t.AppendRow([]any{changeName(c.Kind), c.Events, c.Live, c.Proposed, changeDetail(&c)})
	}
	return a.printTable(t)
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

func (a *app) printExamples(changes []difflog.Change) error {
	var b strings.Builder
	for i := range changes {
		c := &changes[i]
		if len(c.Examples) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n%s, for instance (%s to %s):\n", a.paint(text.Bold, changeName(c.Kind)), c.Live, c.Proposed)
		for j := range c.Examples {
			a.writeExample(&b, &c.Examples[j])
		}
	}
	return a.printf("%s\n", b.String())
}

func (a *app) writeExample(b *strings.Builder, e *difflog.Example) {
	fmt.Fprintf(b, "  %s  %s  %s  %s\n", e.ID, e.Source, abridged(e.Type), e.At.Local().Format(time.DateTime))
	if now, then := sideText(&e.Live), sideText(&e.Proposed); now != then {
		fmt.Fprintf(b, "    now   %s\n    then  %s\n", now, then)
	}
	for _, p := range e.Parts {
		fmt.Fprintf(b, "    %s: %s\n", p.Name, p.Where)
		for _, line := range p.Diff {
			fmt.Fprintf(b, "      %s\n", a.paintDiff(line))
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

func (a *app) paintDiff(line string) string {
	switch line[:min(1, len(line))] {
	case "+":
		return a.paint(text.FgGreen, line)
	case "-":
		return a.paint(text.FgRed, line)
	}
	return line
}

func (r *diffLogResult) summary() string {
	changed := r.Events - r.Unchanged
	lanes := strings.Join(texts(r.Lanes), " and ")
	b := new(strings.Builder)
	switch {
	case r.Events == 0:
		fmt.Fprintf(b, "there are no events on %s since %s\n", lanes, r.Since.Local().Format(time.DateTime))
	case len(r.Versions) == 0:
		fmt.Fprintf(b, "everything in the folder is live already: nothing changes for %s\n", count(int(r.Events), "event", "events"))
	default:
		fmt.Fprintf(b, "%s would change, %d would not: on %s since %s, with %s published\n",
			count(int(changed), "event", "events"), r.Unchanged, lanes, r.Since.Local().Format(time.DateTime),
			count(len(r.Versions), "version", "versions"))
	}
	if r.Unreadable > 0 {
		fmt.Fprintf(b, "%s no event\n", count(int(r.Unreadable), "record is", "records are"))
	}
	if r.Lost > 0 {
		fmt.Fprintf(b, "%s removed from the topics before being read\n", count(int(r.Lost), "record was", "records were"))
	}
	if r.Events > 0 {
		fmt.Fprintf(b, "compared in %s, %.0f events a second\n", r.took.Round(time.Millisecond), perSecond(int(r.Events), cmp.Or(r.took, 1)))
	}
	return b.String()
}
