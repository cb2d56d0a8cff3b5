package strictyaml

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestRead holds what each method says of a value against what a person needs.
func TestRead(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		read func(*Map)
		want string // of the fault, "" for none
	}{
		"text":              {"a: b", func(m *Map) { m.Text("a") }, ""},
		"number as text":    {"a: 010", func(m *Map) { expect(t, m.Text("a"), "010") }, ""},
		"bool as text":      {"a: true", func(m *Map) { m.Text("a") }, "f:1: a: it must be a text: put it in quotes"},
		"empty text":        {`a: ""`, func(m *Map) { m.Text("a") }, "f:1: a: it must be a text"},
		"list as text":      {"a: [b]", func(m *Map) { m.Text("a") }, "f:1: a: it must be a text"},
		"null is not there": {"a:", func(m *Map) { expect(t, m.Text("a"), "") }, ""},
		"needed":            {"b: 1", func(m *Map) { m.Needed("a", "c"); m.Text("b") }, "f: a: it is missing: say a: c"},
		"misspelt": {"adress: b", func(m *Map) { m.Text("address") },
			"f:1: adress: there is no such key: did you mean address?"},
		"unknown": {"x: b", func(m *Map) { m.Text("address"); m.Text("name") },
			"f:1: x: there is no such key: known are address, name"},
		"twice": {"a: 1\na: 2", func(m *Map) { m.Text("a") },
			"f:2: a: it is there already, in line 1: remove one of the two"},
		"one of": {"a: c", func(m *Map) { expect(t, m.OneOf("a", "b", "b", "c"), "c") }, ""},
		"none of": {"a: Bb", func(m *Map) { expect(t, m.OneOf("a", "b", "bb", "c"), "b") },
			`f:1: a: "Bb" must be one of bb, c: did you mean bb?`},
		"bool": {"a: yes", func(m *Map) { m.Bool("a") }, "f:1: a: it must be true or false, without quotes"},
		"int":  {"a: 1.5", func(m *Map) { m.Int("a", 1, 9) }, "f:1: a: it must be a whole number from 1 to 9"},
		"int too large": {"a: 99999999999999999999", func(m *Map) { m.Int("a", 1, 9) },
			"f:1: a: it must be a whole number from 1 to 9"},
		"number": {"a: .nan", func(m *Map) { m.Number("a", 0, 1) }, "f:1: a: it must be a number from 0 to 1"},
		"duration": {"a: 5", func(m *Map) { m.Duration("a", time.Second, time.Minute) },
			"f:1: a: it must be a length of time from 1s to 1m0s, such as 10s"},
		"texts of one":       {"a: b", func(m *Map) { expect(t, strings.Join(m.Texts("a"), " "), "b") }, ""},
		"texts of a mapping": {"a: [{b: c}]", func(m *Map) { m.Texts("a") }, "f:1: a: it must be a list of texts"},
		"map": {"a: b", func(m *Map) { m.Map("a") },
			"f:1: a: it must be a mapping, that is lines of key: value below it"},
		"deep": {"a: " + strings.Repeat("[", 31) + "b" + strings.Repeat("]", 31), func(m *Map) { m.Has("a") }, ""},
		"many": {"a: [" + strings.Repeat("[{b: [c]}],", 40) + "b]", func(m *Map) { m.Has("a") }, ""},
		"brackets in quotes": {"a: '" + strings.Repeat("[", 99) + "'\nb: |\n  " + strings.Repeat("[{- ", 99),
			func(m *Map) { m.Text("a"); m.Text("b") }, ""},
		"too deep":        {"b:\na: " + strings.Repeat("[", 40_000), func(*Map) {}, "f:2: " + tooDeepSaid},
		"too deep, whole": {"a: " + strings.Repeat("[", 33) + strings.Repeat("]", 33), func(*Map) {}, "f:1: " + tooDeepSaid},
		"mappings":        {"a: " + strings.Repeat("{a: ", 40_000), func(*Map) {}, "f:1: " + tooDeepSaid},
		"dashes":          {"a:\n" + strings.Repeat("- ", 40_000) + "b", func(*Map) {}, "f:2: " + tooDeepSaid},
		"within": {"a:\n  b:\n    c: x", func(m *Map) { m.Map("a").Map("b").Int("c", 0, 1) },
			"f:3: a.b.c: it must be a whole number from 0 to 1"},
		"unknown within": {"a:\n- b: x\n  d: y", func(m *Map) { m.Maps("a")[0].Text("b") },
			"f:3: a[0].d: there is no such key: known are b"},
		"maps of texts": {"a:\n- b", func(m *Map) { m.Maps("a") },
			"f:2: a: each of the list must be a mapping, that is lines of key: value"},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			if err := Read("f", c.text, c.read); err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

const tooDeepSaid = "values stand within each other deeper than 32 here: put quotes around a text with brackets"

func expect(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestSecret(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	lookup := func(name string) (string, bool) {
		return map[string]string{"SET": "open sesame"}[name], name != "UNSET"
	}
	for text, c := range map[string]struct{ value, fault string }{
		"env: SET":   {"open sesame", ""},
		"env: UNSET": {"", "UNSET is not set, or empty"},
		"env: EMPTY": {"", "EMPTY is not set, or empty"},
		"file: " + write("good", "open sesame\r\n"):            {"open sesame", ""},
		"file: " + write("empty", "\n"):                        {"", "it is empty"},
		"file: " + write("large", strings.Repeat("x", 65<<10)): {"", "has more than 65536 bytes"},
		"file: " + dir:    {"", "is a directory"},
		"file: a\nenv: b": {"", "either env: VARIABLE or file:"},
		"env: [SET]":      {"", "it must be a text"},
		"{}":              {"", "either env: VARIABLE or file:"},
	} {
		value, fault := "", ""
		if err := Read("f", text, func(m *Map) { value, _ = m.Secret(lookup) }); err != nil {
			fault = err.Error()
		}
		if value != c.value || !strings.Contains(fault, c.fault) || (c.fault == "") != (fault == "") {
			t.Errorf("%s: %q and %q, want %q and %q", text, value, fault, c.value, c.fault)
		}
	}
}
