package locale

import (
	_ "embed"
	"strings"
	"sync"

	"golang.org/x/text/language"
)

// table has a record for each locale: a line "@name", then lines "key=value".
// What a record lacks, its parent has.
//
//go:embed cldr.txt
var table string

// fallback is the locale of languages that the table does not have.
const fallback = "en"

// record returns the lines of a locale's own record.
func record(name string) (lines string, ok bool) {
	_, lines, ok = strings.Cut(table, "\n@"+name+"\n")
	lines, _, _ = strings.Cut(lines, "\n@")
	return lines, ok
}

// fields returns everything known about a locale, by key.
func fields(name string) map[string]string {
	all := make(map[string]string)
	for name != "" {
		lines, _ := record(name)
		name = ""
		for line := range strings.Lines(lines) {
			key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
			if key == "parent" {
				name = value
			} else if _, have := all[key]; !have {
				all[key] = value
			}
		}
	}
	return all
}

// resolve names the locale to use for a language tag: its own, or the nearest
// that it inherits from, or fallback.
func resolve(tag string) string {
	t, err := language.Parse(tag)
	if err != nil {
		return fallback
	}
	if _, ok := record(t.String()); ok {
		return t.String()
	}
	for _, t := range []language.Tag{withScript(t), t} {
		for ; t != language.Und; t = t.Parent() {
			if _, ok := record(t.String()); ok {
				return t.String()
			}
		}
	}
	return fallback
}

// withScript adds the script that a tag implies: zh-HK is zh-Hant-HK.
func withScript(t language.Tag) language.Tag {
	base, _ := t.Base()
	script, _ := t.Script()
	region, _ := t.Region()
	full, err := language.Compose(base, script, region)
	if err != nil {
		return t
	}
	return full
}

var (
	locales  sync.Map // *Locale by the name in the table
	resolved sync.Map // name in the table by language tag
)

// For returns the locale of a language tag such as sv or sv-FI, in any case.
// Of a language that it does not know it returns the English one. It keeps
// what it made, so the tags should be few: an author's, not a recipient's.
func For(tag string) *Locale {
	name, ok := resolved.Load(tag)
	if !ok {
		name, _ = resolved.LoadOrStore(tag, resolve(tag))
	}
	l, ok := locales.Load(name)
	if !ok {
		l, _ = locales.LoadOrStore(name, newLocale(name.(string)))
	}
	return l.(*Locale)
}
