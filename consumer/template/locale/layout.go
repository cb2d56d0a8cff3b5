package locale

import (
	"slices"
	"strings"
	"time"
)

// Layout writes a time in a layout of Go's time package, with the locale's own
// names of months and days. A month without a day is named as it is when it
// stands alone.
func (l *Locale) Layout(t time.Time, layout string) string {
	months, monthsShort := l.months.wide, l.months.short
	if l.inflects() && !hasDay(layout) {
		months, monthsShort = l.months.wideAlone, l.months.shortAlone
	}
	var b []byte
	for layout != "" {
		at, word := nextName(layout)
		b = t.AppendFormat(b, layout[:at])
		switch word {
		case "January":
			b = append(b, months[t.Month()-1]...)
		case "Jan":
			b = append(b, monthsShort[t.Month()-1]...)
		case "Monday":
			b = append(b, l.days.wide[t.Weekday()]...)
		case "Mon":
			b = append(b, l.days.short[t.Weekday()]...)
		}
		layout = layout[at+len(word):]
	}
	return string(b)
}

// nextName finds the first name of a month or a day in a layout; at its end
// there is an empty one.
func nextName(layout string) (at int, word string) {
	for at := range len(layout) {
		for _, word := range [...]string{"January", "Monday", "Jan", "Mon"} {
			if strings.HasPrefix(layout[at:], word) && !startsLower(layout[at+len(word):], word) {
				return at, word
			}
		}
	}
	return len(layout), ""
}

// startsLower tells whether a short name is the head of another word, which
// Go's time package leaves alone.
func startsLower(rest, word string) bool {
	return len(word) == 3 && rest != "" && 'a' <= rest[0] && rest[0] <= 'z'
}

// inflects tells whether a month is named in one way with a day, and in another
// alone.
func (l *Locale) inflects() bool {
	return !slices.Equal(l.months.wide, l.months.wideAlone) || !slices.Equal(l.months.short, l.months.shortAlone)
}

// hasDay tells whether a layout writes the day of the month: whether it writes
// two Thursdays of one month in two ways.
func hasDay(layout string) bool {
	first := time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
	return first.Format(layout) != first.AddDate(0, 0, 7).Format(layout)
}

// IsLayout tells whether Go's time package finds anything to fill in.
func IsLayout(layout string) bool {
	a := time.Date(2011, time.November, 23, 22, 44, 55, 666777888, time.UTC)
	b := time.Date(2033, time.August, 8, 9, 8, 7, 123456789, time.FixedZone("X", 3600))
	return a.Format(layout) != layout || b.Format(layout) != layout
}
