package topology

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// TimeFormat is the wire form of times: RFC 3339, UTC, milliseconds.
const TimeFormat = "2006-01-02T15:04:05.000Z07:00"

// objectWriter appends one flat JSON object. Empty texts and zero times are
// left out.
type objectWriter struct {
	b     []byte
	comma bool
}

func (w *objectWriter) open()  { w.b = append(w.b, '{') }
func (w *objectWriter) close() { w.b = append(w.b, '}') }

func (w *objectWriter) key(k string) {
	if w.comma {
		w.b = append(w.b, ',')
	}
	w.comma = true
	w.b = append(w.b, '"')
	w.b = append(w.b, k...)
	w.b = append(w.b, '"', ':')
}

func (w *objectWriter) text(k, v string) {
	if v != "" {
		w.key(k)
		w.b = appendText(w.b, v)
	}
}

func (w *objectWriter) number(k string, v int) {
	w.key(k)
	w.b = strconv.AppendInt(w.b, int64(v), 10)
}

func (w *objectWriter) time(k string, v time.Time) {
	if !v.IsZero() {
		w.key(k)
		w.b = append(w.b, '"')
		w.b = appendTime(w.b, v)
		w.b = append(w.b, '"')
	}
}

// raw writes v, which must be JSON, as it is.
func (w *objectWriter) raw(k string, v []byte) {
	if len(v) > 0 {
		w.key(k)
		w.b = append(w.b, v...)
	}
}

// appendText appends s as a JSON string. Bytes that are not UTF-8 become
// U+FFFD.
func appendText(b []byte, s string) []byte {
	b = append(b, '"')
	if isPlain(s) {
		return append(append(b, s...), '"')
	}
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < ' ':
			const hexDigits = "0123456789abcdef"
			b = append(b, '\\', 'u', '0', '0', hexDigits[r>>4], hexDigits[r&0xf])
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}

// isPlain reports whether s is ASCII that stands for itself in a JSON string.
func isPlain(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c >= utf8.RuneSelf || !plain[c] {
			return false
		}
	}
	return true
}

// appendTime appends t in TimeFormat, by hand because every record has
// several times.
func appendTime(b []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	if year < 0 || year > 9999 {
		return t.AppendFormat(b, TimeFormat)
	}
	hour, minute, second := t.Clock()
	b = appendTwo(b, year/100)
	b = appendTwo(b, year%100)
	b = appendTwo(append(b, '-'), int(month))
	b = appendTwo(append(b, '-'), day)
	b = appendTwo(append(b, 'T'), hour)
	b = appendTwo(append(b, ':'), minute)
	b = appendTwo(append(b, ':'), second)
	millis := t.Nanosecond() / int(time.Millisecond)
	b = append(b, '.', byte('0'+millis/100))
	return append(appendTwo(b, millis%100), 'Z')
}

func appendTwo(b []byte, n int) []byte { return append(b, byte('0'+n/10), byte('0'+n%10)) }
