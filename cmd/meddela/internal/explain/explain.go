// Package explain says why an event becomes the message that it becomes, or none: it lets
// the matcher's own function decide, with a trace, and words what that did.
package explain

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/consumer/match"
	"github.com/meddela/meddela/topology"
)

// Question is which decision to explain.
type Question struct {
	Record    topology.Record // its Topic is empty when the event is not on a topic
	Lane      topology.Lane
	Names     topology.Topics
	Catalogue *catalogue.Catalogue
	Now       time.Time // of the decision
	Show      bool      // puts the recipient and the content of the message into the answer
}

// Explanation is a decision and how it came about.
type Explanation struct {
	Event      Event           `json:"event"`
	Fault      *topology.Fault `json:"fault,omitempty"` // of an event that breaks the contract; then nothing was chosen
	Candidates []Candidate     `json:"candidates"`      // for the type and channel, in the order of preference
	Others     []Other         `json:"others"`          // that are no candidates, and nearly were
	Language   *Language       `json:"language,omitempty"`
	Validity   Validity        `json:"validity"`
	Decision   Decision        `json:"decision"`
	Message    *Message        `json:"message,omitempty"` // when one is due
}

// Decision is what the matcher makes of the event.
type Decision struct {
	match.Decision
	At time.Time `json:"at"` // when it is made
}

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
	FromPosition   IDFrom = "position"   // the record's position, as it has no valid id of its own
)

// Explain decides on the event as the matcher does, and says why.
func Explain(q Question) *Explanation {
	event, err := q.Names.DecodeEvent(q.Record, q.Lane)
	receipt := topology.ReceiptOf(&q.Record)
	e := &Explanation{Candidates: []Candidate{}, Others: []Other{}}
	e.Event = Event{
		Format: formatOf(&q.Record, event.Raw), Bytes: len(q.Record.Value), ID: event.ID, IDFrom: idFrom(&q.Record, &event),
		Type: event.Type, Channel: event.Channel, To: maskedAddress(event.To, q.Show), Language: event.Language,
		Lane: q.Lane, Redrives: receipt.Redrives,
	}
	if q.Record.Topic != "" {
		e.Event.Source = receipt.Source
	}
	e.Validity = Validity{Received: receipt.At.UTC(), Scheduled: event.Scheduled.UTC(), Expiration: event.Expiration.UTC()}
	if errors.As(err, &e.Fault) {
		e.Decision = Decision{match.Decision{
			Status: topology.NotCovered, Reason: topology.ReasonInvalid,
			Detail: string(e.Fault.Reason) + ": " + e.Fault.Error(),
		}, q.Now}
		e.Validity.judge(q.Now)
		return e
	}
	var trace match.Trace
	d := match.Decide(&event, receipt.At, q.Catalogue, q.Now, &trace)
	d.Expires = d.Expires.UTC()
	e.Decision = Decision{d, q.Now}
	e.Candidates = candidatesOf(&event, q.Catalogue, &d, trace)
	e.Others = othersOf(&event, q.Catalogue)
	e.Validity.Expires = event.Expiration.UTC()
	if chosen, ok := q.Catalogue.ByRef(d.Template); ok {
		e.Language = languageOf(event.Language, chosen.Languages(), d.Language)
		e.Validity.TTL, e.Validity.Expires = chosen.Record().TTL, d.Expires
		if d.Status == topology.PendingDelivery {
			e.Message = messageOf(chosen, &event, d.Language, q.Show)
		}
	}
	e.Validity.judge(q.Now)
	return e
}

// Validity is how long the message is worth sending.
type Validity struct {
	Received   time.Time         `json:"received"`
	Scheduled  time.Time         `json:"scheduled,omitzero"`
	Expiration time.Time         `json:"expiration,omitzero"` // the event's own
	TTL        topology.Duration `json:"ttl,omitempty"`       // the chosen template's
	Expires    time.Time         `json:"expires,omitzero"`    // none: for ever
	State      State             `json:"state"`
}

// State is what the times of an event say of its message.
type State string

const (
	Valid   State = "valid"
	Waiting State = "waiting" // valid, and not to be sent before the scheduled time
	Ended   State = "ended"
)

func (v *Validity) judge(now time.Time) {
	v.State = Valid
	switch {
	case !v.Expires.IsZero() && !now.Before(v.Expires):
		v.State = Ended
	case v.Scheduled.After(now):
		v.State = Waiting
	}
}

func formatOf(r *topology.Record, value []byte) Format {
	if contentType, ok := r.Header("content-type"); ok &&
		bytes.HasPrefix(bytes.ToLower(bytes.TrimSpace(contentType)), []byte("application/cloudevents+json")) {
		return StructuredCloudEvent
	}
	if slices.ContainsFunc(r.Headers, func(h topology.Header) bool {
		return slices.Contains([]string{"ce_specversion", "ce_id", "ce_type"}, strings.ToLower(h.Key))
	}) {
		return BinaryCloudEvent
	}
	if m := gjson.GetManyBytes(value, "specversion", "data", "data_base64", "ctx"); m[0].Exists() &&
		(m[1].Exists() || m[2].Exists()) && !m[3].Exists() {
		return StructuredCloudEvent
	}
	return Plain
}

// idFrom finds the id where it was read.
func idFrom(r *topology.Record, event *topology.Event) IDFrom {
	source, _ := event.ID.Split()
	is := func(text string) bool {
		return text == string(event.ID) || source != "" && topology.QualifiedID(source, text) == event.ID
	}
	if header, _ := r.Header("ce_id"); is(string(header)) {
		return FromCloudEvent
	}
	for _, path := range []string{"id", "data.id"} {
		if is(gjson.GetBytes(event.Raw, path).Str) {
			return FromValue
		}
	}
	if header, _ := r.Header(topology.HeaderEventID); is(string(header)) {
		return FromOperator
	}
	return FromPosition
}
