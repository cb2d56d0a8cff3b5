package topology

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// TimeFormat is the wire form of times: RFC 3339, UTC, milliseconds.
const TimeFormat = "2006-01-02T15:04:05.000Z07:00"

// field is a member of a record's JSON object: how it is written, and read. The
// order is that in which they are written.
type field struct {
	key string
	// at is where the record has the value: a *string, an *int, a *time.Time, or a
	// *[]byte that is JSON itself; a *member that is only read has it as it is.
	at any
	// most is the greatest number; of a text it is how many bytes are kept, 0 for all.
	most int
}

// appendObject appends one flat JSON object, which is never empty. Empty texts and
// zero times are left out.
func appendObject(b []byte, fields []field) []byte {
	begin := len(b)
	for i := range fields {
		f, before := &fields[i], len(b)
		b = append(b, ',', '"') // the first comma becomes the brace
		b = append(b, f.key...)
		b = append(b, '"', ':')
		value := len(b)
		switch at := f.at.(type) {
		case *string:
			if *at != "" {
				b = appendText(b, clip(*at, f.most))
			}
		case *int:
			b = strconv.AppendInt(b, int64(*at), 10)
		case *time.Time:
			if !at.IsZero() {
				b = append(appendTime(append(b, '"'), *at), '"')
			}
		case *[]byte:
			b = append(b, *at...)
		}
		if len(b) == value {
			b = b[:before]
		}
	}
	b[begin] = '{'
	return append(b, '}')
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

// appendTime appends t in TimeFormat: in two steps, as package time is fast at
// RFC 3339 itself only, and every record has several times.
func appendTime(b []byte, t time.Time) []byte {
	b = t.UTC().AppendFormat(b, time.RFC3339)
	millis := t.Nanosecond() / int(time.Millisecond)
	return append(b[:len(b)-1], '.', byte('0'+millis/100), byte('0'+millis/10%10), byte('0'+millis%10), 'Z')
}
