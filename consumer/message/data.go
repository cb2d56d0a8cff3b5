package message

import (
	"encoding/json"

	"github.com/tidwall/gjson"

	"github.com/meddela/meddela/topology"
)

// data is what a template sees: "ctx", decoded, and "event".
type data struct {
	ctx   any
	event *topology.Event
}

const errBadCtx = misuse("the event's ctx is not a JSON object")

func newData(ev *topology.Event) (*data, error) {
	if !gjson.ValidBytes(ev.Ctx) {
		return nil, errBadCtx
	}
	root := gjson.ParseBytes(ev.Ctx)
	if !root.IsObject() {
		return nil, errBadCtx
	}
	ctx, err := decode(root, 0)
	return &data{ctx: ctx, event: ev}, err
}

// decode keeps numbers as they were sent: 129.90 stays 129.90.
func decode(v gjson.Result, depth int) (any, error) {
	switch v.Type {
	case gjson.String:
		return v.Str, nil
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
		return decodeList(v, depth+1)
	}
	return decodeObject(v, depth+1)
}

func decodeObject(v gjson.Result, depth int) (map[string]any, error) {
	object := make(map[string]any)
	var err error
	v.ForEach(func(key, value gjson.Result) bool {
		object[key.Str], err = decode(value, depth)
		return err == nil
	})
	return object, err
}

func decodeList(v gjson.Result, depth int) ([]any, error) {
	list := []any{}
	var err error
	v.ForEach(func(_, value gjson.Result) bool {
		var element any
		element, err = decode(value, depth)
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
			return v.event
		}
	case *topology.Event:
		if text := eventField(v, key); text != "" {
			return text
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
	case *data, *topology.Event:
		return nil, misuse("json takes a value of ctx, not the whole event: name it")
	default:
		return v, nil
	}
}
