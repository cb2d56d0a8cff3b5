package template

import (
	"encoding/json"
)

// access is one place where a template reads data.
type access struct {
	path  []string // keys, from what is read
	shown string   // how errors name it
}

// accesses are all such places of one part. The rewriter puts a call of one of
// its methods at each, with the place's number.
type accesses struct{ list []access }

func (a *accesses) add(path []string, shown string) int {
	a.list = append(a.list, access{path, shown})
	return len(a.list) - 1
}

// value reads what must be there.
func (a *accesses) value(from any, n int) (any, error) {
	if v := a.maybe(from, n); v != nil {
		return v, nil
	}
	return nil, &missing{a.list[n].shown}
}

// maybe reads what may be missing; then it is nil.
func (a *accesses) maybe(from any, n int) any {
	for _, key := range a.list[n].path {
		if from = member(from, key); from == nil {
			return nil
		}
	}
	return from
}

// text reads what must be there and can be written out.
func (a *accesses) text(from any, n int) (any, error) {
	v, err := a.value(from, n)
	if err == nil && !isScalar(v) {
		return nil, misuse(a.list[n].shown + " is not a text or a number: name one of its fields")
	}
	return v, err
}

// index reads an element of a list, or the value under a key that is no
// identifier.
func (a *accesses) index(n int, from any, keys ...any) (any, error) {
	for _, key := range keys {
		if from = element(from, key); from == nil {
			return nil, &missing{a.list[n].shown}
		}
	}
	return from, nil
}

func element(from, key any) any {
	if list, ok := from.([]any); ok {
		if i, ok := toNumber(key); ok && i.whole && i.int >= 0 && i.int < int64(len(list)) {
			return list[i.int]
		}
		return nil
	}
	if key, ok := key.(string); ok {
		return member(from, key)
	}
	return nil
}

// list checks what a template ranges over.
func (a *accesses) iterable(n int, v any) (any, error) {
	switch v.(type) {
	case []any, map[string]any, int:
		return v, nil
	}
	return nil, misuse(a.list[n].shown + " is not a list")
}

// isScalar tells whether a value has one obvious text.
func isScalar(v any) bool {
	switch v.(type) {
	case string, json.Number, bool, int, int64, float64:
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

// truth tells whether a value counts as true: not false, not zero, not empty.
func truth(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case string:
		return v != ""
	case []any:
		return len(v) > 0
	case map[string]any:
		return len(v) > 0
	case *data, *eventData:
		return true
	}
	n, ok := toNumber(v)
	return ok && n.float != 0
}

// falsy passes v on, but as false when it counts as false: to Go's templates
// alone the number 0 of JSON would be a text that is not empty.
func falsy(v any) any {
	if truth(v) {
		return v
	}
	return false
}
