package locale

import (
	"strconv"
	"strings"
	"time"
)

// Moment writes the "date", the "time" or the "datetime" of t in a style of the
// language: full, long, medium or short, of which a time has the latter two. It
// is not ok when there is no such style.
func (l *Locale) Moment(kind, style string, t time.Time) (s string, ok bool) {
	pattern, ok := l.moments[kind][style]
	var b []byte
	for pattern != "" {
		switch c := pattern[0]; {
		case c == '\'':
			text, rest, _ := strings.Cut(pattern[1:], "'")
			b, pattern = append(b, text...), rest
		case 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z':
			rest := strings.TrimLeft(pattern, pattern[:1])
			b = l.appendField(b, c, len(pattern)-len(rest), t)
			pattern = rest
		default:
			b, pattern = append(b, c), pattern[1:]
		}
	}
	return string(b), ok
}

func (l *Locale) appendField(b []byte, field byte, width int, t time.Time) []byte {
	short := ""
	if width < 4 {
		short = ".short"
	}
	switch {
	case field == 'M' && width > 2:
		return append(b, l.names["months"+short][t.Month()-1]...)
	case field == 'E':
		return append(b, l.names["days"+short][t.Weekday()]...)
	case field == 'c':
		return append(b, l.names["days"+short+".alone"][t.Weekday()]...)
	case field == 'a':
		return append(b, l.names["halves"][t.Hour()/12]...)
	case field == 'y' && width == 2:
		return l.appendInt(b, t.Year()%100, width)
	}
	return l.appendInt(b, numbers[field](t), width)
}

// numbers are the fields that are written in digits.
var numbers = map[byte]func(time.Time) int{
	'y': time.Time.Year, 'd': time.Time.Day, 'H': time.Time.Hour, 'm': time.Time.Minute, 's': time.Time.Second,
	'M': func(t time.Time) int { return int(t.Month()) },
	'h': func(t time.Time) int { return (t.Hour()+11)%12 + 1 },
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

// Layout writes a time in a layout of Go's time package, with the locale's own
// names of months and days. A month without a day is named as it is when it
// stands alone.
func (l *Locale) Layout(t time.Time, layout string) string {
	alone := ""
	if first := time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC); !Differ(layout, first, first.AddDate(0, 0, 7)) {
		alone = ".alone"
	}
	var b []byte
	for layout != "" {
		at, word := nextName(layout)
		b = t.AppendFormat(b, layout[:at])
		switch word {
		case "January":
			b = append(b, l.names["months"+alone][t.Month()-1]...)
		case "Jan":
			b = append(b, l.names["months.short"+alone][t.Month()-1]...)
		case "Monday":
			b = append(b, l.names["days"][t.Weekday()]...)
		case "Mon":
			b = append(b, l.names["days.short"][t.Weekday()]...)
		}
		layout = layout[at+len(word):]
	}
	return string(b)
}

// nextName finds the first name of a month or a day in a layout; at its end
// there is an empty one. A short name is none as the head of another word.
func nextName(layout string) (at int, word string) {
	for at := range len(layout) {
		for _, word := range [...]string{"January", "Monday", "Jan", "Mon"} {
			rest, found := strings.CutPrefix(layout[at:], word)
			if found && (len(word) > 3 || rest == "" || rest[0] < 'a' || rest[0] > 'z') {
				return at, word
			}
		}
	}
	return len(layout), ""
}

// IsLayout reports whether Go's time package finds anything to fill in.
func IsLayout(layout string) bool {
	return Differ(layout, time.Date(2011, time.November, 23, 22, 44, 55, 666777888, time.UTC),
		time.Date(2033, time.August, 8, 9, 8, 7, 123456789, time.FixedZone("X", 3600)))
}

// Differ reports whether a layout writes two times in two ways.
func Differ(layout string, a, b time.Time) bool {
	const most = 64 // usually; more has to be allocated
	return string(a.AppendFormat(make([]byte, 0, most), layout)) != string(b.AppendFormat(make([]byte, 0, most), layout))
}
