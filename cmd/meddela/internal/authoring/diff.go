package authoring

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
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

const (
	// maxDiffLines is how many lines are shown of one file's difference.
	maxDiffLines = 60
	// maxDiffBytes is the greatest text that is compared line by line.
	maxDiffBytes = 128 << 10
	diffContext  = 2
)

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
	slices.SortFunc(names, func(a, b string) int {
		if order := rank(a) - rank(b); order != 0 {
			return order
		}
		return strings.Compare(a, b)
	})
	return slices.Compact(names)
}

// manifestOf writes what a record has of its template.yaml, always in the same
// order and form.
func manifestOf(r *topology.TemplateRecord) string {
	var b strings.Builder
	b.WriteString("types: [" + strings.Join(r.Types, ", ") + "]\n")
	b.WriteString("channel: " + string(r.Channel) + "\n")
	b.WriteString("default_language: " + r.DefaultLanguage + "\n")
	if r.When != "" {
		b.WriteString("when: " + strings.ReplaceAll(r.When, "\n", "\n  ") + "\n")
	}
	if r.TTL != 0 {
		b.WriteString("ttl: " + lengthOf(time.Duration(r.TTL)) + "\n")
	}
	if r.Urgent {
		b.WriteString("urgent: " + strconv.FormatBool(r.Urgent) + "\n")
	}
	if r.OnAmbiguous != "" {
		b.WriteString("on_ambiguous: " + r.OnAmbiguous + "\n")
	}
	if r.Retry != nil {
		waits := make([]string, len(r.Retry))
		for i, wait := range r.Retry {
			waits[i] = lengthOf(time.Duration(wait))
		}
		if len(waits) == 0 {
			waits = []string{noRetry}
		}
		b.WriteString("retry: [" + strings.Join(waits, ", ") + "]\n")
	}
	if r.QuietHours != "" {
		b.WriteString("quiet_hours: " + r.QuietHours + "\n")
	}
	if r.URL != "" {
		b.WriteString("url: " + r.URL + "\n")
	}
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
	diff := FileDiff{File: file}
	if len(was) > maxDiffBytes || len(is) > maxDiffBytes {
		diff.Lines = []string{fmt.Sprintf("too large to compare line by line: %d bytes, then %d", len(was), len(is))}
		return diff
	}
	text, err := udiff.ToUnified("was", "is", was, udiff.Lines(was, is), diffContext)
	if err != nil {
		diff.Lines = []string{"differs"}
		return diff
	}
	// The first two lines name the sides.
	_, text, _ = strings.Cut(text, "\n")
	_, text, _ = strings.Cut(text, "\n")
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) > maxDiffLines {
		diff.Hidden = len(lines) - maxDiffLines
		lines = lines[:maxDiffLines]
	}
	diff.Lines = lines
	return diff
}
