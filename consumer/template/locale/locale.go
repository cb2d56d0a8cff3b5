package locale

import (
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
