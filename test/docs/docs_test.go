// Package docs holds the documentation to the repository: what it names is there.
package docs

import (
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../.."

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func exists(name string) bool {
	_, err := os.Stat(filepath.Join(root, name))
	return err == nil
}

// documents are all Markdown files that people read, by name from the root.
func documents(t *testing.T) (names []string) {
	t.Helper()
	for _, pattern := range []string{"*.md", "charts/meddela/*.md"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			name, _ := filepath.Rel(root, file)
			names = append(names, name)
		}
	}
	err := filepath.WalkDir(filepath.Join(root, "docs"), func(file string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(file, ".md") {
			name, _ := filepath.Rel(root, file)
			names = append(names, name)
		}
		return err
	})
	if err != nil || len(names) < 15 {
		t.Fatalf("%d documents, %v", len(names), err)
	}
	return names
}

var (
	link      = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	heading   = regexp.MustCompile(`(?m)^#+ (.*)$`)
	notInSlug = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	fence     = regexp.MustCompile("(?s)```.*?```")
)

// anchors are what links into a document may name, as GitHub makes them of headings.
func anchors(text string) map[string]bool {
	all := make(map[string]bool)
	for _, h := range heading.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		slug := notInSlug.ReplaceAllString(strings.ToLower(strings.TrimSpace(h[1])), "")
		all[strings.ReplaceAll(slug, " ", "-")] = true
	}
	return all
}

// TestLinks: every relative link leads to a file, and to a section of it where it names one.
func TestLinks(t *testing.T) {
	n := 0
	for _, name := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(read(t, name), -1) {
			to, err := url.Parse(m[1])
			if err != nil || to.Scheme != "" {
				continue
			}
			n++
			target := name
			if to.Path != "" {
				target = path.Join(path.Dir(name), to.Path)
			}
			switch {
			case !exists(target):
				t.Errorf("%s: there is no %s", name, target)
			case to.Fragment != "" && strings.HasSuffix(target, ".md") && !anchors(read(t, target))[to.Fragment]:
				t.Errorf("%s: %s has no section #%s", name, target, to.Fragment)
			}
		}
	}
	if n < 50 {
		t.Errorf("only %d links were found", n)
	}
}

var (
	quoted = regexp.MustCompile("`([^`\n]+)`")
	// named is what looks like a path: with a slash, or with the name of a file.
	named = regexp.MustCompile(`^[\w.-]+(/[\w.{},-]*)+$|^[\w-]+\.(go|lua|yaml|json|md)$`)
	brace = regexp.MustCompile(`^(.*)\{([^}]*)\}(.*)$`)
)

// expand are the paths that a{b,c}d stands for.
func expand(name string) (all []string) {
	m := brace.FindStringSubmatch(name)
	if m == nil {
		return []string{name}
	}
	for part := range strings.SplitSeq(m[2], ",") {
		all = append(all, m[1]+part+m[3])
	}
	return all
}

// below finds a path from a folder or from one that the folder is in; empty if there is none.
func below(folder, name string) string {
	for {
		switch at := path.Join(folder, name); {
		case exists(at):
			return at
		case folder == ".":
			return ""
		}
		folder = path.Dir(folder)
	}
}

// TestContributing: every path that CONTRIBUTING names is there, from the root or beside what was named before it in
// the same line; and every line of its map is a folder.
func TestContributing(t *testing.T) {
	text := read(t, "CONTRIBUTING.md")
	n := 0
	for line := range strings.SplitSeq(text, "\n") {
		beside := "."
		for _, m := range quoted.FindAllStringSubmatch(line, -1) {
			if !named.MatchString(m[1]) {
				continue
			}
			for _, name := range expand(m[1]) {
				n++
				found := below(beside, name)
				if found == "" {
					t.Errorf("there is no %s: %s", name, line)
					continue
				}
				beside = found
				if path.Ext(found) != "" {
					beside = path.Dir(found)
				}
			}
		}
	}
	if n < 20 {
		t.Errorf("only %d paths were found", n)
	}
	_, after, _ := strings.Cut(text, "\n## Map\n")
	_, after, _ = strings.Cut(after, "```\n")
	folders, _, _ := strings.Cut(after, "```")
	for line := range strings.Lines(folders) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		for _, name := range expand(words[0]) {
			if !strings.HasSuffix(name, "/") || !exists(name) {
				t.Errorf("the map has %s, and the repository has not", name)
			}
		}
	}
}

// TestDecisions: the index has every record, and each says when it was decided and what follows.
func TestDecisions(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, "docs/decisions/[0-9]*.md"))
	if err != nil || len(files) < 9 {
		t.Fatalf("%d records, %v", len(files), err)
	}
	index := read(t, "docs/decisions/README.md")
	dated := regexp.MustCompile(`(?m)^20\d\d-\d\d-\d\d`)
	for _, file := range files {
		name := filepath.Base(file)
		if !strings.Contains(index, "("+name+")") {
			t.Errorf("the index has no %s", name)
		}
		text := read(t, "docs/decisions/"+name)
		for _, part := range []string{"# " + name[:4], "## Context", "## Decision", "## Consequences"} {
			if !strings.Contains(text, part) {
				t.Errorf("%s has no %q", name, part)
			}
		}
		if !dated.MatchString(text) {
			t.Errorf("%s has no date", name)
		}
	}
}
