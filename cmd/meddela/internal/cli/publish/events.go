package publish

import (
	"github.com/oklog/ulid/v2"
	"github.com/tidwall/gjson"

	"github.com/meddela/meddela/topology"
)

// record makes an event's record of a line; its error is a *topology.Fault.
func (l *line) record(lane topology.Lane, addID bool) (topology.Record, error) {
	if l.tooLong {
		return topology.Record{}, &topology.Fault{
			Reason: topology.ReasonTooLarge, Detail: "the line is longer than an event may be, 1 MiB",
		}
	}
	record := topology.Record{Value: l.text}
	if addID {
		record.Value = withID(record, lane)
	}
	return record, nil
}

// withID returns the event in a record, with a new id if it has none. What
// is no event stays as it is: the producer says what is wrong with it.
func withID(r topology.Record, lane topology.Lane) []byte {
	if _, err := topology.DecodeEvent(r, lane); err != nil || gjson.GetBytes(r.Value, "id").Exists() {
		return r.Value
	}
	// An event has at least its type, so that a comma is right.
	value := make([]byte, 0, len(r.Value)+40)
	value = append(value, `{"id":"`...)
	value = append(value, ulid.Make().String()...)
	value = append(value, `",`...)
	return append(value, r.Value[1:]...)
}
