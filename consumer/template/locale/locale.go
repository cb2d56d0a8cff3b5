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
	tag     language.Tag
	names   map[string][]string          // of months, days and the halves of a day, by key of the table
	moments map[string]map[string]string // patterns of "date", "time" and "datetime", by style

	numerals                  []string // of the digits 0 to 9; nil for those of ASCII
	number, percent           pattern
	currency, currencyLetters pattern // the latter for symbols that are letters
	leastGrouped              int     // digits before the first group sign
	symbols                   string  // of currencies: "|EUR €|SEK kr|"
}

func newLocale(name string) *Locale {
	f := fields(name)
	list := func(key string) []string { return strings.Split(f[key], "|") }
	signs, patterns := list("signs"), list("patterns")
	plain := signSet{decimal: signs[0], group: signs[1], minus: signs[2], percent: signs[3]}
	money := signSet{decimal: signs[4], group: signs[5], minus: signs[2], percent: signs[3]}
	l := &Locale{
		tag:             language.Make(name),
		names:           make(map[string][]string),
		number:          newPattern(patterns[0], plain),
		percent:         newPattern(patterns[1], plain),
		currency:        newPattern(patterns[2], money),
		currencyLetters: newPattern(patterns[3], money),
		symbols:         "|" + f["symbols"] + "|",
	}
	for _, key := range []string{
		"months", "months.short", "months.alone", "months.short.alone",
		"days", "days.short", "days.alone", "days.short.alone", "halves",
	} {
		l.names[key] = list(key)
	}
	times, date, both := list("times"), make(map[string]string), make(map[string]string)
	for i, style := range []string{"full", "long", "medium", "short"} {
		date[style] = list("dates")[i]
		both[style] = strings.NewReplacer("{0}", times[1], "{1}", date[style]).Replace(list("together")[i])
	}
	clock := map[string]string{"medium": times[0], "short": times[1]} // with seconds, and without
	l.moments = map[string]map[string]string{"date": date, "time": clock, "datetime": both}
	l.leastGrouped, _ = strconv.Atoi(f["grouping"])
	if f["numerals"] != "0123456789" {
		l.numerals = strings.Split(f["numerals"], "")
	}
	return l
}

// Name is the locale's own, such as "en" for a tag that the table does not have.
func (l *Locale) Name() string { return l.tag.String() }

func (l *Locale) appendDigits(b []byte, digits string) []byte {
	if l.numerals == nil {
		return append(b, digits...)
	}
	for _, c := range []byte(digits) {
		b = append(b, l.numerals[c-'0']...)
	}
	return b
}

// table has a record for each locale, made by testdata/cldr.mjs: a line "@name", then lines "key=value".
// What a record lacks, its parent has.
//
//go:embed cldr.txt
var table string

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
// that it inherits from, or English.
func resolve(tag string) string {
	const fallback = "en"
	t, err := language.Parse(tag)
	if err != nil {
		return fallback
	}
	if _, ok := record(t.String()); ok {
		return t.String()
	}
	base, _ := t.Base()
	script, _ := t.Script() // that the tag implies: zh-HK is zh-Hant-HK
	region, _ := t.Region()
	full, _ := language.Compose(base, script, region)
	for _, t := range []language.Tag{full, t} {
		for ; t != language.Und; t = t.Parent() {
			if _, ok := record(t.String()); ok {
				return t.String()
			}
		}
	}
	return fallback
}

// locales are those that were asked for, by tag.
var locales sync.Map

// For returns the locale of a language tag such as sv or sv-FI, in any case.
// Of a language that it does not know it returns the English one. It keeps
// what it made, so the tags should be few: an author's, not a recipient's.
func For(tag string) *Locale {
	l, ok := locales.Load(tag)
	if !ok {
		l, _ = locales.LoadOrStore(tag, newLocale(resolve(tag)))
	}
	return l.(*Locale)
}
