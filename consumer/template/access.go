package template

import (
	"encoding/json"
	"text/template"
	"text/template/parse"
	"time"

	"github.com/tidwall/gjson"

	"github.com/meddela/meddela/consumer/template/condition"
	"github.com/meddela/meddela/topology"
)

// access is one read of data in a template.
type access struct {
	path    []string // keys, from what is read
	shown   string   // how errors name it
	lenient bool     // what is missing is nil
	written bool     // it must be a text or a number
	source  *source
	at      parse.Pos
}

// readError is the error of a read that found nothing, or what does not fit. Its
// text has nothing of the value.
type readError struct {
	*access
	missing bool
	detail  string
}

func (e *readError) Error() string { return e.detail }

// data is what a template sees: "ctx", decoded, and "event".
type data struct {
	ctx   any
	event *topology.Event
	clean cleaner
}

// eventData is the "event" of data.
type eventData data

// cleaner is what texts go through on their way into a message. People are
// shown them sanitized; machines are given them as they are.
type cleaner func(string) string

func cleanerOf(c topology.Channel) cleaner {
	if c == topology.Webhook {
		return func(s string) string { return s }
	}
	return sanitize
}

func newData(ev *topology.Event, clean cleaner) (*data, error) {
	root := gjson.ParseBytes(ev.Ctx)
	if !gjson.ValidBytes(ev.Ctx) || !root.IsObject() {
		return nil, misuse("the event's ctx is not a JSON object")
	}
	ctx, err := clean.decode(root, 0)
	return &data{ctx: ctx, event: ev, clean: clean}, err
}

// decode keeps numbers as they were sent: 129.90 stays 129.90.
func (c cleaner) decode(v gjson.Result, depth int) (any, error) {
	switch v.Type {
	case gjson.String:
		return c(v.Str), nil
	case gjson.Number:
		return json.Number(v.Raw), nil
	case gjson.True, gjson.False:
		return v.Type == gjson.True, nil
	case gjson.Null:
		return nil, nil
	}
	if depth == topology.MaxDepth {
		return nil, misuse("the event's ctx nests too deep")
	}
	list, object, isList := []any{}, map[string]any(nil), v.IsArray()
	if !isList {
		object = make(map[string]any)
	}
	var err error
	v.ForEach(func(key, value gjson.Result) bool {
		var element any
		if element, err = c.decode(value, depth+1); isList {
			list = append(list, element)
		} else {
			object[c(key.Str)] = element
		}
		return err == nil
	})
	if isList {
		return list, err
	}
	return object, err
}

// member returns the value under a key; nil when there is none.
func member(v any, key string) any {
	switch v := v.(type) {
	case map[string]any:
		return v[key]
	case *data:
		switch key {
		case "ctx":
			return v.ctx
		case "event":
			return (*eventData)(v)
		}
	case *eventData:
		if text := eventField(v.event, key); text != "" {
			return v.clean(text)
		}
	}
	return nil
}

// eventField returns a field of an event by its wire name; empty when the
// event does not have it.
func eventField(e *topology.Event, key string) string {
	var at time.Time
	switch key {
	case "scheduled":
		at = e.Scheduled
	case "expiration":
		at = e.Expiration
	default:
		if text, ok := condition.Texts[key]; ok {
			return text(e)
		}
	}
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(topology.TimeFormat)
}

// accesses are all reads of one part. The rewriter puts a call of one of the
// methods at each, with its number.
type accesses struct{ list []*access }

func (a *accesses) missing(n int) error {
	return &readError{a.list[n], true, a.list[n].shown + " is missing"}
}

// read follows the path of an access.
func (a *accesses) read(from any, n int) (any, error) {
	one := a.list[n]
	for _, key := range one.path {
		if from = member(from, key); from == nil {
			break
		}
	}
	switch {
	case from == nil && !one.lenient:
		return nil, a.missing(n)
	case one.written && !isScalar(from):
		return nil, &readError{one, false, one.shown + " is not a text or a number: name one of its fields"}
	}
	return from, nil
}

// index reads an element of a list, or the value under a key that is no
// identifier.
func (a *accesses) index(n int, from any, keys ...any) (any, error) {
	for _, key := range keys {
		if from = element(from, key); from == nil {
			return nil, a.missing(n)
		}
	}
	return from, nil
}

func element(from, key any) any {
	if list, ok := from.([]any); ok {
		if i, ok := toInt(key, 0, len(list)-1); ok {
			return list[i]
		}
		return nil
	}
	if key, ok := key.(string); ok {
		return member(from, key)
	}
	return nil
}

// iterable checks what a template ranges over.
func (a *accesses) iterable(n int, v any) (any, error) {
	switch v.(type) {
	case []any, map[string]any, int:
		return v, nil
	}
	return nil, &readError{a.list[n], false, a.list[n].shown + " is not a list"}
}

// isScalar reports whether a value has one obvious text.
func isScalar(v any) bool {
	switch v.(type) {
	case string, json.Number, bool, int, float64:
		return true
	}
	return false
}

// scalar passes on what can be written out.
func scalar(v any) (any, error) {
	switch {
	case v == nil:
		return nil, misuse("there is no value to write")
	case !isScalar(v):
		return nil, misuse("the value is not a text or a number")
	}
	return v, nil
}

// truth reports whether a value counts as true: not false, not zero, not empty.
func truth(v any) bool {
	switch v.(type) {
	case json.Number, int, float64:
		n, ok := toNumber(v)
		return ok && n.float != 0
	}
	is, _ := template.IsTrue(v)
	return is
}

// falsy passes v on, but as false when it counts as false: to Go's templates
// alone the number 0 of JSON would be a text that is not empty.
func falsy(v any) any {
	if truth(v) {
		return v
	}
	return false
}
