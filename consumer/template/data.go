package template

import (
	"encoding/json"

	"github.com/tidwall/gjson"

	"github.com/meddela/meddela/topology"
)

// data is what a template sees: "ctx", decoded, and "event".
type data struct {
	ctx   any
	event *topology.Event
	clean cleaner
}

// eventData is the "event" of data.
type eventData data

// cleaner is what texts go through on their way into a message. People are
// shown them tamed; machines are given them as they are.
type cleaner func(string) string

func cleanerOf(c topology.Channel) cleaner {
	if c == topology.Webhook {
		return func(s string) string { return s }
	}
	return tame
}

const errBadCtx = misuse("the event's ctx is not a JSON object")

func newData(ev *topology.Event, clean cleaner) (*data, error) {
	if !gjson.ValidBytes(ev.Ctx) {
		return nil, errBadCtx
	}
	root := gjson.ParseBytes(ev.Ctx)
	if !root.IsObject() {
		return nil, errBadCtx
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
	if v.IsArray() {
		return c.decodeList(v, depth+1)
	}
	return c.decodeObject(v, depth+1)
}

func (c cleaner) decodeObject(v gjson.Result, depth int) (map[string]any, error) {
	object := make(map[string]any)
	var err error
	v.ForEach(func(key, value gjson.Result) bool {
		object[c(key.Str)], err = c.decode(value, depth)
		return err == nil
	})
	return object, err
}

func (c cleaner) decodeList(v gjson.Result, depth int) ([]any, error) {
	list := []any{}
	var err error
	v.ForEach(func(_, value gjson.Result) bool {
		var element any
		element, err = c.decode(value, depth)
		list = append(list, element)
		return err == nil
	})
	return list, err
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
	switch key {
	case "id":
		return string(e.ID)
	case "type":
		return e.Type
	case "channel":
		return string(e.Channel)
	case "to":
		return e.To
	case "language":
		return e.Language
	case "country":
		return e.Country
	case "origin":
		return e.Origin
	case "externalId":
		return e.ExternalID
	case "correlationId":
		return e.CorrelationID
	case "scheduled":
		if !e.Scheduled.IsZero() {
			return e.Scheduled.UTC().Format(topology.TimeFormat)
		}
	case "expiration":
		if !e.Expiration.IsZero() {
			return e.Expiration.UTC().Format(topology.TimeFormat)
		}
	}
	return ""
}

// wireValue is v as JSON can hold it.
func wireValue(v any) (any, error) {
	switch v := v.(type) {
	case *data, *eventData:
		return nil, misuse("json takes a value of ctx, not the whole event: name it")
	default:
		return v, nil
	}
}
