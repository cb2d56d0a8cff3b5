package authoring

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aymanbagabas/go-udiff"

	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/topology"
)

// FileDiff is how one file of a template differs.
type FileDiff struct {
	File   string   `json:"file"`             // as a path in the folder
	Lines  []string `json:"lines"`            // in the unified form, from the first "@@" on
	Hidden int      `json:"hidden,omitempty"` // how many more lines there are
}

// Diff says how two versions of a template differ: the manifest first, then the bodies, then the partials.
func Diff(before, after *topology.TemplateRecord) []FileDiff {
	if before == nil {
		before = &topology.TemplateRecord{}
	}
	was, is := filesOf(before), filesOf(after)
	all := maps.Clone(was)
	maps.Copy(all, is)
	files := slices.SortedFunc(maps.Keys(all), func(a, b string) int {
		return cmp.Or(rank(a)-rank(b), cmp.Compare(a, b))
	})
	const context, most = 2, 60
	var diffs []FileDiff
	for _, file := range files {
		was, is := was[file], is[file]
		if was == is {
			continue
		}
		lines, ok := Unified(was, is, context)
		if !ok {
			lines = []string{fmt.Sprintf("too large to compare line by line: %d bytes, then %d", len(was), len(is))}
		}
		shown := min(len(lines), most)
		diffs = append(diffs, FileDiff{File: file, Lines: lines[:shown], Hidden: len(lines) - shown})
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

// rank is where a file comes in what is shown.
func rank(file string) int {
	switch {
	case file == manifestName:
		return 0
	case strings.HasPrefix(file, partialsFolder+"/"):
		return 2
	}
	return 1
}

// manifestOf writes what a record has of its template.yaml, always in the same order and form.
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
		line("ttl", wording.Length(time.Duration(r.TTL)))
	}
	if r.Urgent {
		line("urgent", "true")
	}
	line("on_ambiguous", r.OnAmbiguous)
	if r.Retry != nil {
		waits := []string{}
		for _, wait := range r.Retry {
			waits = append(waits, wording.Length(time.Duration(wait)))
		}
		line("retry", "["+cmp.Or(strings.Join(waits, ", "), noRetry)+"]")
	}
	if r.MaxParts != 0 {
		line("max_parts", strconv.Itoa(r.MaxParts))
	}
	line("quiet_hours", r.QuietHours)
	line("url", r.URL)
	return b.String()
}

// Hunks compares two texts line by line. It is not ok when they are too large for that.
func Hunks(was, is string, context int) (diff udiff.UnifiedDiff, ok bool) {
	const mostBytes = 192 << 10
	if max(len(was), len(is)) > mostBytes {
		return diff, false
	}
	diff, err := udiff.ToUnifiedDiff("was", "is", was, udiff.Lines(was, is), context)
	return diff, err == nil
}

// Unified is the difference of two texts in the unified form, from the first "@@" on.
func Unified(was, is string, context int) (lines []string, ok bool) {
	diff, ok := Hunks(was, is, context)
	if !ok {
		return nil, false
	}
	// The first two lines name the sides.
	return strings.Split(strings.TrimSuffix(diff.String(), "\n"), "\n")[2:], true
}
