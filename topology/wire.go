package topology

import (
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/tidwall/gjson"
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
		w.b = gjson.AppendJSONString(w.b, v)
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
		w.b = v.UTC().AppendFormat(w.b, TimeFormat)
		w.b = append(w.b, '"')
	}
}

func (w *objectWriter) raw(k string, v []byte) {
	w.key(k)
	w.b = append(w.b, v...)
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

// wireValue is one value of a JSON object.
type wireValue = gjson.Result

// objectReader reads the fields of one JSON object and keeps the first fault.
type objectReader struct {
	object gjson.Result
	first  *Fault
}

// newObjectReader checks that value is one JSON object in valid UTF-8, no
// deeper than MaxDepth. Its error is a *Fault.
func newObjectReader(value []byte) (*objectReader, error) {
	if f := checkJSON(value); f != nil {
		return nil, f
	}
	return &objectReader{object: gjson.ParseBytes(value)}, nil
}

func (d *objectReader) each(visit func(key string, v wireValue)) {
	d.object.ForEach(func(key, v gjson.Result) bool {
		visit(key.String(), v)
		return true
	})
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

// text reads a string; JSON null counts as absent.
func (d *objectReader) text(key string, v wireValue) string {
	switch v.Type {
	case gjson.String:
		return v.Str
	case gjson.Null:
		return ""
	}
	d.fail(ReasonWrongType, key, "must be a string")
	return ""
}

// number reads a whole number from 0 to limit.
func (d *objectReader) number(key string, v wireValue, limit int) int {
	n, err := strconv.Atoi(v.Raw)
	if v.Type != gjson.Number || err != nil {
		d.fail(ReasonWrongType, key, "must be a whole number")
		return 0
	}
	if n < 0 || n > limit {
		d.fail(ReasonBadValue, key, "must be from 0 to "+strconv.Itoa(limit))
		return 0
	}
	return n
}

func (d *objectReader) time(key string, v wireValue) time.Time {
	text := d.text(key, v)
	if text == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		d.fail(ReasonBadValue, key, "must be a time such as 2026-12-01T08:00:00.000Z")
		return time.Time{}
	}
	return t.UTC()
}

func (d *objectReader) raw(v wireValue) []byte { return []byte(v.Raw) }

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
