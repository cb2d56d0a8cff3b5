// Package glossary holds public names to docs/glossary.md: metrics, their labels,
// reasons, statuses, JSON members, headers and settings are made of its words.
package glossary

import (
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/meddela/meddela/topology"
)

const page = "../../docs/glossary.md"

// TestNames: no public name has a word that is not on the page.
func TestNames(t *testing.T) {
	terms, plain := words(t)
	all := map[string][]string{
		"metric": metrics(t), "setting": settings(t), "JSON member": members(t), "word of the contract": contract(t),
	}
	for kind, names := range all {
		if len(names) < 20 {
			t.Errorf("only %d names of kind %s are found", len(names), kind)
		}
		for _, name := range names {
			for _, word := range split(name) {
				if !terms[word] && !terms[strings.TrimSuffix(word, "s")] && !plain[word] {
					t.Errorf("%s %s: the word %q is not in docs/glossary.md", kind, name, word)
				}
			}
		}
	}
}

var (
	cell = regexp.MustCompile(`(?m)^\|([^|]*)\|`) // the first of a row
	bold = regexp.MustCompile(`\*\*([^*]+)\*\*`)
	word = regexp.MustCompile("`([a-z0-9]+)`")
)

// words are those of the page: of the terms in its tables, and the plain ones
// that it lists.
func words(t *testing.T) (terms, plain map[string]bool) {
	t.Helper()
	text := read(t, page)
	tables, list, found := strings.Cut(text, "## Plain words")
	if !found {
		t.Fatal("docs/glossary.md has no section of plain words")
	}
	terms, plain = map[string]bool{}, map[string]bool{}
	for _, first := range cell.FindAllStringSubmatch(tables, -1) {
		for _, m := range bold.FindAllStringSubmatch(first[1], -1) {
			for _, w := range strings.Fields(m[1]) {
				terms[w] = true
			}
		}
	}
	for _, m := range word.FindAllStringSubmatch(list, -1) {
		plain[m[1]] = true
	}
	return terms, plain
}

// split takes a name apart: at every character that is no letter or digit, and
// before capitals.
func split(name string) []string {
	var b strings.Builder
	lower := false // the last letter
	for _, r := range name {
		if unicode.IsUpper(r) && lower {
			b.WriteByte(' ')
		}
		lower = unicode.IsLower(r)
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			r = ' '
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return strings.Fields(b.String())
}

var (
	made = regexp.MustCompile(`\b(?:counter|histogram|decisions|read)\(\s*"([a-z_]+)",\s*"[^"\n]*"` +
		`((?:,\s*[a-zA-Z]+|,\s*"[a-z_]+")*)`)
	label  = regexp.MustCompile(`"([a-z_]+)"`)
	record = regexp.MustCompile(`record: (\S+)`)

	hashField = regexp.MustCompile(`\tField\w+ += "(\w+)"`)
)

// metrics are the names of metrics, of their labels, and of recording rules.
func metrics(t *testing.T) (names []string) {
	t.Helper()
	files, err := filepath.Glob("../../cmd/meddela/internal/metrics/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		for _, m := range made.FindAllStringSubmatch(read(t, file), -1) {
			names = append(names, m[1])
			for _, l := range label.FindAllStringSubmatch(m[2], -1) {
				names = append(names, l[1])
			}
		}
	}
	for _, m := range record.FindAllStringSubmatch(read(t, "../../charts/meddela/files/rules.yaml"), -1) {
		names = append(names, m[1])
	}
	return names
}

// settings are the names of environment variables, as `meddela config` prints
// them.
func settings(t *testing.T) (names []string) {
	t.Helper()
	variable := regexp.MustCompile(`MEDDELA_([A-Z0-9_]+)`)
	err := filepath.WalkDir("../../cmd", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == "config.txt" {
			for _, m := range variable.FindAllStringSubmatch(read(t, path), -1) {
				names = append(names, m[1])
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// members are the names of members in the schemas: of JSON, and of headers.
func members(t *testing.T) (names []string) {
	t.Helper()
	var walk func(value any)
	walk = func(value any) {
		switch v := value.(type) {
		case map[string]any:
			for key, inner := range v {
				if properties, ok := inner.(map[string]any); ok && key == "properties" {
					names = slices.AppendSeq(names, maps.Keys(properties))
				}
				walk(inner)
			}
		case []any:
			for _, inner := range v {
				walk(inner)
			}
		}
	}
	schemas := os.DirFS("../../topology/schema")
	files, err := fs.Glob(schemas, "*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := fs.ReadFile(schemas, file)
		if err != nil {
			t.Fatal(err)
		}
		var schema any
		if err := json.Unmarshal(text, &schema); err != nil {
			t.Fatal(err)
		}
		walk(schema)
	}
	return names
}

// contract are the closed lists of the contract, and the fields of a status.
func contract(t *testing.T) (names []string) {
	t.Helper()
	for _, field := range hashField.FindAllStringSubmatch(read(t, "../../topology/state.go"), -1) {
		names = append(names, field[1])
	}
	names = appendTexts(names, topology.Reasons())
	names = appendTexts(names, topology.Statuses())
	names = appendTexts(names, append(topology.Roles(), topology.RoleNotify))
	names = appendTexts(names, topology.Lanes())
	names = appendTexts(names, topology.Channels())
	names = appendTexts(names, []topology.ControlAction{topology.Pause, topology.Resume, topology.Kill})
	return appendTexts(names, topology.SubjectKinds())
}

func appendTexts[T ~string](names []string, list []T) []string {
	for _, name := range list {
		names = append(names, string(name))
	}
	return names
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
