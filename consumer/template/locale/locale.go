// Package locale writes dates, numbers and amounts of money as the readers of a
// language write them, and knows which plural form a number takes.
//
// Names, patterns and symbols are those of the Unicode Common Locale Data
// Repository, in the table cldr.txt; plural rules and language tags are those
// of golang.org/x/text. Numbers are decimals throughout, never floats. Dates are
// of the Gregorian calendar in every language.
package locale

import (
	_ "embed"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/text/language"
)

// Locale knows how one language writes. It is immutable, and safe for use by
// several goroutines.
type Locale struct {
	tag language.Tag

	months, days names
	halves       []string  // of the day: AM, PM
	dates        [4]string // patterns, by Style
	together     [4]string // patterns of a date {1} with a time {0}, by Style
	times        [2]string // patterns, with seconds and without

	numerals                  []string // of the digits 0 to 9; nil for those of ASCII
	number, percent           pattern
	currency, currencyLetters pattern // the latter for symbols that are letters
	leastGrouped              int     // digits before the first group sign
	symbols                   string  // of currencies: "|EUR €|SEK kr|"

	categories func() []Category
}

// names are those of months or days.
type names struct {
	wide, short, wideAlone, shortAlone []string
}

func newLocale(name string) *Locale {
	f := fields(name)
	list := func(key string) []string { return strings.Split(f[key], "|") }
	four := func(key string) [4]string { return [4]string(list(key)) }
	allNames := func(key string) names {
		return names{list(key), list(key + ".short"), list(key + ".alone"), list(key + ".short.alone")}
	}
	signs, patterns := list("signs"), list("patterns")
	money := signSet{decimal: signs[4], group: signs[5], minus: signs[2], percent: signs[3]}
	plain := signSet{decimal: signs[0], group: signs[1], minus: signs[2], percent: signs[3]}
	l := &Locale{
		tag:             language.Make(name),
		months:          allNames("months"),
		days:            allNames("days"),
		halves:          list("halves"),
		dates:           four("dates"),
		together:        four("together"),
		times:           [2]string(list("times")),
		number:          newPattern(patterns[0], plain),
		percent:         newPattern(patterns[1], plain),
		currency:        newPattern(patterns[2], money),
		currencyLetters: newPattern(patterns[3], money),
		symbols:         "|" + f["symbols"] + "|",
	}
	l.leastGrouped, _ = strconv.Atoi(f["grouping"])
	if f["numerals"] != "0123456789" {
		l.numerals = strings.Split(f["numerals"], "")
	}
	l.categories = sync.OnceValue(l.findCategories)
	return l
}

// Name is the locale's own, such as "en" for a tag that the table does not have.
func (l *Locale) Name() string { return l.tag.String() }

// appendDigits appends ASCII digits as the locale's own.
func (l *Locale) appendDigits(b []byte, digits string) []byte {
	if l.numerals == nil {
		return append(b, digits...)
	}
	for _, c := range []byte(digits) {
		b = append(b, l.numerals[c-'0']...)
	}
	return b
}

// appendInt appends a number that is not negative, with zeros before it up to
// the width.
func (l *Locale) appendInt(b []byte, n, width int) []byte {
	digits := strconv.Itoa(n)
	for range width - len(digits) {
		b = l.appendDigits(b, "0")
	}
	return l.appendDigits(b, digits)
}

// table has a record for each locale, made by testdata/cldr.mjs: a line "@name", then lines "key=value".
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
