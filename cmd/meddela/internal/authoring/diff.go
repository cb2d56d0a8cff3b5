package authoring

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/aymanbagabas/go-udiff"

	"github.com/meddela/meddela/topology"
)

// FileDiff is how one file of a template differs.
type FileDiff struct {
	File string `json:"file"` // as a path in the folder
	// Lines are in the unified form, from the first "@@" on.
	Lines []string `json:"lines"`
	// Hidden is how many more lines there are.
	Hidden int `json:"hidden,omitempty"`
}

// Diff says how two versions of a template differ, file by file: the manifest
// first, then the bodies, then the partials. Files that are the same are left
// out. before may be nil, which is a template without anything.
func Diff(before, after *topology.TemplateRecord) []FileDiff {
	if before == nil {
		before = &topology.TemplateRecord{}
	}
	was, is := filesOf(before), filesOf(after)
	var diffs []FileDiff
	for _, file := range fileNames(was, is) {
		if was[file] != is[file] {
			diffs = append(diffs, diffOf(file, was[file], is[file]))
		}
	}
	return diffs
}

// filesOf writes a record as the files that it may have been made of.
func filesOf(r *topology.TemplateRecord) map[string]string {
	files := make(map[string]string)
	if r.Name != "" {
		files[manifestName] = manifestOf(r)
	}
	for language, body := range r.Bodies {
		for part, text := range body {
			files[path.Join(language, part)] = text
		}
	}
	for name, text := range r.Partials {
		files[path.Join(partialsFolder, name)] = text
	}
	return files
}

// fileNames lists the files of both, in the order in which they are shown.
func fileNames(was, is map[string]string) []string {
	names := slices.Collect(maps.Keys(was))
	names = slices.AppendSeq(names, maps.Keys(is))
	rank := func(name string) int {
		switch {
		case name == manifestName:
			return 0
		case strings.HasPrefix(name, partialsFolder+"/"):
			return 2
		}
		return 1
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(rank(a)-rank(b), cmp.Compare(a, b)) })
	return slices.Compact(names)
}

// manifestOf writes what a record has of its template.yaml, always in the same
// order and form.
func manifestOf(r *topology.TemplateRecord) string {
	var b strings.Builder
	line := func(key, value string) {
		if value != "" {
			b.WriteString(key + ": " + value + "\n")
		}
	}
	line("types", "["+strings.Join(r.Types, ", ")+"]")
	line("channel", string(r.Channel))
	line("default_language", r.DefaultLanguage)
	line("when", strings.ReplaceAll(r.When, "\n", "\n  "))
	if r.TTL != 0 {
		line("ttl", lengthOf(time.Duration(r.TTL)))
	}
	if r.Urgent {
		line("urgent", "true")
	}
	line("on_ambiguous", r.OnAmbiguous)
	if r.Retry != nil {
		waits := make([]string, len(r.Retry))
		for i, wait := range r.Retry {
			waits[i] = lengthOf(time.Duration(wait))
		}
		if len(waits) == 0 {
			waits = []string{noRetry}
		}
		line("retry", "["+strings.Join(waits, ", ")+"]")
	}
	line("quiet_hours", r.QuietHours)
	line("url", r.URL)
	return b.String()
}

// lengthOf writes a length of time as authors do: 72h, not 72h0m0s.
func lengthOf(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func diffOf(file, was, is string) FileDiff {
	const context, most = 2, 60
	lines, hidden, ok := Unified(was, is, context, most)
	if !ok {
		lines = []string{fmt.Sprintf("too large to compare line by line: %d bytes, then %d", len(was), len(is))}
	}
	return FileDiff{File: file, Lines: lines, Hidden: hidden}
}

// maxDiffBytes is the greatest text that is compared line by line.
const maxDiffBytes = 192 << 10

// Hunks compares two texts line by line, and shows so many equal lines around
// what differs. It is not ok when they are too large for that.
func Hunks(was, is string, context int) (diff udiff.UnifiedDiff, ok bool) {
	if max(len(was), len(is)) > maxDiffBytes {
		return diff, false
	}
	diff, err := udiff.ToUnifiedDiff("was", "is", was, udiff.Lines(was, is), context)
	return diff, err == nil
}

// Unified is the difference of two texts in the unified form, from the first "@@"
// on: most lines of it, and how many more are hidden.
func Unified(was, is string, context, most int) (lines []string, hidden int, ok bool) {
	diff, ok := Hunks(was, is, context)
	if !ok {
		return nil, 0, false
	}
	// The first two lines name the sides.
	lines = strings.Split(strings.TrimSuffix(diff.String(), "\n"), "\n")[2:]
	if len(lines) > most {
		lines, hidden = lines[:most], len(lines)-most
	}
	return lines, hidden, true
}
