package locale

import (
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
	switch name {
	case "full":
		return Full, true
	case "long":
		return Long, true
	case "medium":
		return Medium, true
	case "short":
		return Short, true
	}
	return 0, false
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
