package topology

import (
	"encoding/json"
	"errors"
	"time"
)

// wireTime is a time in the wire's form for encoding/json, by which the
// records are written that are rare.
type wireTime time.Time

func (t wireTime) MarshalText() ([]byte, error) { return appendTime(nil, time.Time(t)), nil }

func (t wireTime) IsZero() bool { return time.Time(t).IsZero() }

// marshal appends the JSON of v, which has only what JSON can hold, to b.
func marshal(b []byte, v any) []byte {
	value, err := json.Marshal(v)
	if err != nil {
		return b // cannot be: no part of a record refuses
	}
	return append(b, value...)
}

func unmarshal(value []byte, v any) *Fault {
	if f := walk(value, wrapLimits, func([]byte, wireValue) {}); f != nil {
		return f
	}
	err := json.Unmarshal(value, v)
	if wrongType, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return &Fault{Reason: ReasonWrongType, Field: wrongType.Field,
			Detail: "has another JSON type than the schema gives it"}
	}
	if err != nil {
		return &Fault{Reason: ReasonBadValue, Detail: "a time or a duration is not of its form: " +
			"write times such as 2026-12-01T08:00:00.000Z and durations such as 90s"}
	}
	return nil
}
