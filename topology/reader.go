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
	room  int    // to make in texts at first
	from  string // what stands before a member's name in a fault

	idWithOrigin bool // as in Topics
}

// read checks value, and reads the members of its object that are fields; of a key
// that comes twice the last counts. Its error is a *Fault of value itself, after
// which what was read means nothing.
func (d *objectReader) read(value []byte, l limits, fields []field) error {
	d.room = min(len(value), 384) // enough for the texts of most records
	last := -1
	f := walk(value, l, func(key []byte, v wireValue) {
		for range fields {
			if last++; last == len(fields) {
				last = 0
			}
			if f := &fields[last]; f.key == string(key) { // mostly the one after that before
				d.field(f, v)
				return
			}
		}
	})
	if f != nil {
		return f
	}
	return nil
}

func (d *objectReader) field(f *field, v wireValue) {
	m := member{v: v, from: d.from}
	switch at := f.at.(type) {
	case *string:
		text, _ := d.raw(f.key, &m)
		*at = clip(d.keep(text), f.most)
	case *int:
		*at = d.number(f.key, v, f.most)
	case *time.Time:
		*at = d.time(f.key, &m).Truncate(time.Millisecond)
	case *[]byte:
		*at = v
	case *member:
		*at = m
	}
}

func (d *objectReader) fail(r Reason, field, detail string) {
	if d.first == nil {
		// A copy, so that nothing of a list of fields outlives its function.
		d.first = &Fault{Reason: r, Field: strings.Clone(field), Detail: detail}
	}
}

// fault returns the first fault as an error, or a nil error.
func (d *objectReader) fault() error {
	if d.first == nil {
		return nil
	}
	return d.first
}

func (d *objectReader) keep(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if d.texts.Cap() == 0 {
		d.texts.Grow(max(d.room, len(b)))
	}
	start := d.texts.Len()
	d.texts.Write(b)
	return d.texts.String()[start:]
}

// raw reads a string's bytes; ok tells that there is a string. JSON null counts as
// absent.
func (d *objectReader) raw(name string, m *member) (text []byte, ok bool) {
	switch {
	case m.bare:
		return m.v, true
	case m.v.isText():
		return m.v.bytes(), true
	case !m.v.isNull():
		d.fail(ReasonWrongType, m.from+name, "must be a string")
	}
	return nil, false
}

// number reads a whole number from 0 to limit, in any way in which JSON can
// write it; JSON null counts as absent.
func (d *objectReader) number(key string, v wireValue, limit int) int {
	if !v.isNumber() {
		if !v.isNull() {
			d.fail(ReasonWrongType, key, "must be a number")
		}
		return 0
	}
	n, _ := strconv.ParseFloat(string(v), 64) // what is too great is infinite, and whole
	switch {
	case n != math.Trunc(n):
		d.fail(ReasonBadValue, key, "must be a whole number")
	case n < 0 || n > float64(limit):
		d.fail(ReasonBadValue, key, "must be from 0 to "+strconv.Itoa(limit))
	default:
		return int(n)
	}
	return 0
}

func (d *objectReader) time(name string, m *member) time.Time {
	if m.v.isNumber() && !m.bare {
		d.fail(ReasonWrongType, m.from+name, timeWanted+": "+timeIsNumber)
	}
	text, _ := d.raw(name, m)
	t, ok := parseTime(text)
	if !ok {
		d.fail(ReasonBadValue, m.from+name, timeFault(string(text)))
	}
	return t
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

// clip cuts s to at most n bytes, at a character's edge; 0 is no bound.
func clip(s string, n int) string {
	if n == 0 || len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
