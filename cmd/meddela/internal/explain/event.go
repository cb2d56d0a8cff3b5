package explain

import (
	"bytes"
	"time"

	"github.com/tidwall/gjson"

	"github.com/meddela/meddela/topology"
)

// Event is how the record was read.
type Event struct {
	Format   Format           `json:"format"`
	Bytes    int              `json:"bytes"`
	ID       topology.EventID `json:"id"`
	IDFrom   IDFrom           `json:"id_from"`
	Type     string           `json:"type"`
	Channel  topology.Channel `json:"channel"`
	To       string           `json:"to"` // masked unless asked for; empty when there is none
	Language string           `json:"language,omitempty"`
	Lane     topology.Lane    `json:"lane"`
	Redrives int              `json:"redrives"`
	Source   topology.Source  `json:"source,omitempty"` // of the first record; none when it is not on a topic
}

// Format is the form of an event's record.
type Format string

const (
	Plain                Format = "plain"
	BinaryCloudEvent     Format = "cloudevent_binary"     // its attributes in ce_ headers
	StructuredCloudEvent Format = "cloudevent_structured" // all of it in the value
)

// IDFrom says where an event's id came from.
type IDFrom string

const (
	FromCloudEvent IDFrom = "ce_id"      // the header of a CloudEvent
	FromValue      IDFrom = "value"      // the event itself
	FromOperator   IDFrom = "x-event-id" // the header of an event that was published again
	FromPosition   IDFrom = "position"   // the record's place, as it has no valid id of its own
)

// Fault is what is wrong with an event that breaks the contract.
type Fault struct {
	Reason topology.Reason `json:"reason"`
	Field  string          `json:"field,omitempty"`
	Detail string          `json:"detail"`
}

func eventOf(q *Question, event *topology.Event, receipt *topology.Receipt) Event {
	e := Event{
		Format: formatOf(&q.Record), Bytes: len(q.Record.Value),
		ID: event.ID, IDFrom: idFrom(&q.Record, event.ID),
		Type: event.Type, Channel: event.Channel, To: maskedAddress(event.To, q.Show), Language: event.Language,
		Lane: q.Lane, Redrives: receipt.Redrives,
	}
	if q.Record.Topic != "" {
		e.Source = receipt.Source
	}
	return e
}

func formatOf(r *topology.Record) Format {
	if contentType, ok := r.Header("content-type"); ok && bytes.HasPrefix(bytes.ToLower(bytes.TrimSpace(contentType)), []byte("application/cloudevents+json")) {
		return StructuredCloudEvent
	}
	for _, header := range []string{"ce_specversion", "ce_id", "ce_type"} {
		if _, ok := r.Header(header); ok {
			return BinaryCloudEvent
		}
	}
	if members := gjson.GetManyBytes(r.Value, "specversion", "data", "ctx"); members[0].Exists() && members[1].Exists() && !members[2].Exists() {
		return StructuredCloudEvent
	}
	return Plain
}

// idFrom finds the id where it was read.
func idFrom(r *topology.Record, id topology.EventID) IDFrom {
	if header, ok := r.Header("ce_id"); ok && string(header) == string(id) {
		return FromCloudEvent
	}
	for _, path := range []string{"id", "data.id"} {
		if gjson.GetBytes(r.Value, path).Str == string(id) {
			return FromValue
		}
	}
	if header, ok := r.Header(topology.HeaderEventID); ok && string(header) == string(id) {
		return FromOperator
	}
	return FromPosition
}

// Validity is how long the message is worth sending.
type Validity struct {
	Received   time.Time         `json:"received"`
	Scheduled  *time.Time        `json:"scheduled,omitempty"`
	Expiration *time.Time        `json:"expiration,omitempty"` // the event's own
	TTL        topology.Duration `json:"ttl,omitempty"`        // the chosen template's
	Expires    *time.Time        `json:"expires,omitempty"`    // none: for ever
	Verdict    Verdict           `json:"verdict"`
}

// Verdict is what the times say.
type Verdict string

const (
	Valid   Verdict = "valid"
	Waiting Verdict = "waiting" // valid, and not to be sent before the scheduled time
	Ended   Verdict = "ended"
)

func validityOf(event *topology.Event, received time.Time, ttl time.Duration, expires, now time.Time) Validity {
	v := Validity{
		Received: received.UTC(), Scheduled: maybe(event.Scheduled), Expiration: maybe(event.Expiration),
		TTL: topology.Duration(ttl), Expires: maybe(expires), Verdict: Valid,
	}
	switch {
	case !expires.IsZero() && !now.Before(expires):
		v.Verdict = Ended
	case event.Scheduled.After(now):
		v.Verdict = Waiting
	}
	return v
}
