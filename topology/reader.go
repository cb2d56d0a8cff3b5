package topology

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// wireValue is the bytes of one valid JSON value; nil when there is none.
type wireValue []byte

func (v wireValue) isText() bool { return len(v) > 0 && v[0] == '"' }

// isNull reports whether the value is absent or JSON null, which mean the same.
func (v wireValue) isNull() bool { return len(v) == 0 || v[0] == 'n' }

func (v wireValue) isObject() bool { return len(v) > 0 && v[0] == '{' }

func (v wireValue) isNumber() bool { return len(v) > 0 && (v[0] == '-' || isDigit(v[0])) }

// bytes is what a JSON string stands for. The result may share v's memory.
func (v wireValue) bytes() []byte {
	if bytes.IndexByte(v, '\\') >= 0 {
		return unescape(v)
	}
	return v[1 : len(v)-1]
}

// objectReader reads the members of one JSON object and keeps the first fault.
type objectReader struct {
	first *Fault
	// texts holds the texts that were read, so that they share an allocation.
	texts strings.Builder
	room  int // to make in texts at first
}

// read checks value and calls visit with each member of its object. A key that
// comes twice is visited twice. Its error is a *Fault; then what was visited
// means nothing.
func (d *objectReader) read(value []byte, l limits, visit func(key []byte, v wireValue)) error {
	d.room = min(len(value), 384) // enough for the texts of most records
	f := walk(value, l, func(key, v []byte) { visit(key, v) })
	if f != nil {
		return f
	}
	return nil
}

func (d *objectReader) fail(r Reason, field, detail string) {
	if d.first == nil {
		d.first = &Fault{Reason: r, Field: field, Detail: detail}
	}
}

// fault returns the first fault as an error, or a nil error.
func (d *objectReader) fault() error {
	if d.first == nil {
		return nil
	}
	return d.first
}

// keep makes a string of b.
func (d *objectReader) keep(b []byte) string {
	if d.texts.Cap() == 0 {
		d.texts.Grow(max(d.room, len(b)))
	}
	start := d.texts.Len()
	d.texts.Write(b)
	return d.texts.String()[start:]
}

const textWanted = "must be a string"

// text reads a string; JSON null counts as absent.
func (d *objectReader) text(key []byte, v wireValue) string {
	switch {
	case v.isText():
		return d.keep(v.bytes())
	case !v.isNull():
		d.fail(ReasonWrongType, string(key), textWanted)
	}
	return ""
}

// clipped reads a string and cuts it to at most limit bytes.
func (d *objectReader) clipped(key []byte, v wireValue, limit int) string {
	if v.isText() {
		return clip(d.keep(v.bytes()), limit)
	}
	return d.text(key, v)
}

// number reads a whole number from 0 to limit, in any way in which JSON can
// write it; JSON null counts as absent.
func (d *objectReader) number(key []byte, v wireValue, limit int) int {
	if !v.isNumber() {
		if !v.isNull() {
			d.fail(ReasonWrongType, string(key), "must be a number")
		}
		return 0
	}
	n, _ := strconv.ParseFloat(string(v), 64) // what is too great is infinite, and whole
	switch {
	case n != math.Trunc(n):
		d.fail(ReasonBadValue, string(key), "must be a whole number")
	case n < 0 || n > float64(limit):
		d.fail(ReasonBadValue, string(key), "must be from 0 to "+strconv.Itoa(limit))
	default:
		return int(n)
	}
	return 0
}

// time reads a time to the millisecond.
func (d *objectReader) time(key []byte, v wireValue) time.Time {
	switch {
	case v.isNull():
	case !v.isText():
		d.fail(ReasonWrongType, string(key), textWanted)
	default:
		if t, ok := parseTime(v.bytes()); ok {
			return t.Truncate(time.Millisecond)
		}
		d.fail(ReasonBadValue, string(key), timeWanted)
	}
	return time.Time{}
}

const timeWanted = "must be an RFC 3339 time such as 2026-12-01T08:00:00.000Z, with its offset"

// parseTime reads an RFC 3339 time of any offset. Empty text is the zero time.
func parseTime(text []byte) (time.Time, bool) {
	var t time.Time
	if len(text) == 0 {
		return t, true
	}
	if err := t.UnmarshalText(text); err != nil || !isStrict(text) {
		return time.Time{}, false
	}
	t = t.UTC()
	year := t.Year() // of times at the edges, UTC may need a fifth digit
	return t, 0 <= year && year <= 9999
}

// isStrict refuses what package time takes beside RFC 3339: an hour of one
// digit, a comma before the fraction, and offsets of a day or more.
func isStrict(text []byte) bool {
	const hourEnd, secondEnd = len("2006-01-02T15"), len("2006-01-02T15:04:05")
	if len(text) <= secondEnd || text[hourEnd] != ':' || text[secondEnd] == ',' {
		return false
	}
	if text[len(text)-1] == 'Z' {
		return true
	}
	offset := string(text[len(text)-len("07:00"):])
	return offset < "24" && offset[len("07:"):] < "60"
}

func (d *objectReader) require(key, v string) {
	if v == "" {
		d.fail(ReasonMissingField, key, "is required")
	}
}

func (d *objectReader) requireID(key string, id EventID) {
	d.require(key, string(id))
	if id != "" && !id.Valid() {
		d.fail(ReasonBadID, key, badIDDetail)
	}
}

func (d *objectReader) requireLane(key string, l Lane) {
	d.require(key, string(l))
	if _, err := ParseLane(string(l)); l != "" && err != nil {
		d.fail(ReasonBadValue, key, "must be realtime or batch")
	}
}

func (d *objectReader) checkChannel(key string, c Channel) {
	if c != "" && !c.known() {
		d.fail(ReasonUnknownChannel, key, channelWanted)
	}
}

// clip cuts s to at most n bytes, at a character's edge.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
