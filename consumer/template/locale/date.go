package locale

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Style is how much of a date is written: Full has the day of the week, Short
// has numbers alone.
type Style int

// The styles, from the longest to the shortest.
const (
	Full Style = iota
	Long
	Medium
	Short
)

// StyleOf returns the style of that name: full, long, medium or short.
func StyleOf(name string) (s Style, ok bool) {
	i := slices.Index([]string{Full: "full", Long: "long", Medium: "medium", Short: "short"}, name)
	return Style(max(i, 0)), i >= 0
}

// Date writes a date.
func (l *Locale) Date(t time.Time, s Style) string {
	return string(l.appendTime(nil, l.dates[s], t))
}

// Time writes a time of day: with its seconds, unless the style is Short.
func (l *Locale) Time(t time.Time, s Style) string {
	if s == Short {
		return string(l.appendTime(nil, l.times[1], t))
	}
	return string(l.appendTime(nil, l.times[0], t))
}

// DateTime writes a date in a style, and the time of day without its seconds.
func (l *Locale) DateTime(t time.Time, s Style) string {
	var b []byte
	rest := l.together[s]
	for rest != "" {
		switch {
		case strings.HasPrefix(rest, "{0}"):
			b = l.appendTime(b, l.times[1], t)
			rest = rest[3:]
		case strings.HasPrefix(rest, "{1}"):
			b = l.appendTime(b, l.dates[s], t)
			rest = rest[3:]
		default:
			var text string
			text, rest = literal(rest)
			b = append(b, text...)
		}
	}
	return string(b)
}

// literal takes what stands for itself off a pattern's head: a quoted text, or
// one character.
func literal(pattern string) (text, rest string) {
	if pattern[0] == '\'' {
		if text, rest, closed := strings.Cut(pattern[1:], "'"); closed {
			if text == "" {
				text = "'"
			}
			return text, rest
		}
	}
	_, size := utf8.DecodeRuneInString(pattern)
	return pattern[:size], pattern[size:]
}

// appendTime writes what a pattern says.
func (l *Locale) appendTime(b []byte, pattern string, t time.Time) []byte {
	for pattern != "" {
		if !isLetter(pattern[0]) {
			var text string
			text, pattern = literal(pattern)
			b = append(b, text...)
			continue
		}
		width := 1
		for width < len(pattern) && pattern[width] == pattern[0] {
			width++
		}
		b = l.appendField(b, pattern[0], width, t)
		pattern = pattern[width:]
	}
	return b
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

func (l *Locale) appendField(b []byte, field byte, width int, t time.Time) []byte {
	switch field {
	case 'y':
		if width == 2 {
			return l.appendInt(b, t.Year()%100, 2)
		}
		return l.appendInt(b, t.Year(), width)
	case 'M':
		return l.appendMonth(b, width, t)
	case 'd':
		return l.appendInt(b, t.Day(), width)
	case 'E':
		return append(b, pickName(l.days.wide, l.days.short, width)[t.Weekday()]...)
	case 'c':
		return append(b, pickName(l.days.wideAlone, l.days.shortAlone, width)[t.Weekday()]...)
	case 'H':
		return l.appendInt(b, t.Hour(), width)
	case 'h':
		return l.appendInt(b, (t.Hour()+11)%12+1, width)
	case 'm':
		return l.appendInt(b, t.Minute(), width)
	case 's':
		return l.appendInt(b, t.Second(), width)
	case 'a':
		return append(b, l.halves[t.Hour()/12]...)
	}
	return b
}

func (l *Locale) appendMonth(b []byte, width int, t time.Time) []byte {
	if width <= 2 {
		return l.appendInt(b, int(t.Month()), width)
	}
	return append(b, pickName(l.months.wide, l.months.short, width)[t.Month()-1]...)
}

func pickName(wide, short []string, width int) []string {
	if width >= 4 {
		return wide
	}
	return short
}

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

// startsLower reports whether a short name is the head of another word, which
// Go's time package leaves alone.
func startsLower(rest, word string) bool {
	return len(word) == 3 && rest != "" && 'a' <= rest[0] && rest[0] <= 'z'
}

// inflects reports whether a month is named in one way with a day, and in another
// alone.
func (l *Locale) inflects() bool {
	return !slices.Equal(l.months.wide, l.months.wideAlone) || !slices.Equal(l.months.short, l.months.shortAlone)
}

// hasDay reports whether a layout writes the day of the month: whether it writes
// two Thursdays of one month in two ways.
func hasDay(layout string) bool {
	first := time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
	return first.Format(layout) != first.AddDate(0, 0, 7).Format(layout)
}

// IsLayout reports whether Go's time package finds anything to fill in.
func IsLayout(layout string) bool {
	a := time.Date(2011, time.November, 23, 22, 44, 55, 666777888, time.UTC)
	b := time.Date(2033, time.August, 8, 9, 8, 7, 123456789, time.FixedZone("X", 3600))
	return a.Format(layout) != layout || b.Format(layout) != layout
}
