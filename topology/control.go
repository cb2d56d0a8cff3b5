package topology

import (
	"fmt"
	"strings"
	"time"
)

// ControlAction is what an operator orders.
type ControlAction string

const (
	Pause  ControlAction = "pause"  // makes what it is about wait, until it is resumed
	Resume ControlAction = "resume" // ends a Pause or a Kill
	Kill   ControlAction = "kill"   // makes what it is about be ignored, queued work included
)

// SubjectKind is a kind of thing that can be paused or killed.
type SubjectKind string

const (
	SubjectTemplate SubjectKind = "template" // by name, whatever its version
	SubjectType     SubjectKind = "type"     // an event type
	SubjectChannel  SubjectKind = "channel"
	SubjectProvider SubjectKind = "provider" // by its name in the delivery log
	SubjectLane     SubjectKind = "lane"
)

// SubjectKinds lists every kind.
func SubjectKinds() []SubjectKind {
	return []SubjectKind{SubjectTemplate, SubjectType, SubjectChannel, SubjectProvider, SubjectLane}
}

// Subject is what an order is about, such as "template:order_confirmation".
// It is the key of the order's record, so that the last order counts.
type Subject string

const subjectForms = "template:NAME, type:NAME, channel:NAME, provider:NAME or lane:NAME"

// SubjectOf makes a Subject.
func SubjectOf(kind SubjectKind, name string) Subject { return Subject(string(kind) + ":" + name) }

// ParseSubject reads a Subject.
func ParseSubject(text string) (Subject, error) {
	kind, name := Subject(text).Split()
	for _, known := range SubjectKinds() {
		if kind == known && validSubjectName(kind, name) {
			return Subject(text), nil
		}
	}
	return "", fmt.Errorf("%q is nothing that can be controlled: use "+subjectForms, text)
}

func validSubjectName(kind SubjectKind, name string) bool {
	switch kind {
	case SubjectChannel:
		return Channel(name).known()
	case SubjectLane:
		_, err := ParseLane(name)
		return err == nil
	}
	return name != "" && len(name) <= MaxTypeLength && !hasControl([]byte(name))
}

// Split returns the kind and the name of a Subject.
func (s Subject) Split() (SubjectKind, string) {
	kind, name, _ := strings.Cut(string(s), ":")
	return SubjectKind(kind), name
}

// ControlRecord is an operator's order on the control topic, keyed by its
// Subject. It is read rarely, so its wire form is plain encoding/json.
type ControlRecord struct {
	Subject Subject       `json:"subject"`
	Action  ControlAction `json:"action"`
	By      string        `json:"by,omitempty"`     // who ordered it
	Reason  string        `json:"reason,omitempty"` // why, for people
	At      time.Time     `json:"at"`
	Until   time.Time     `json:"until,omitzero"` // when it ends by itself; zero for never
}

// InForce reports whether the order still stops its subject at that time.
func (c *ControlRecord) InForce(now time.Time) bool {
	return (c.Action == Pause || c.Action == Kill) && (c.Until.IsZero() || now.Before(c.Until))
}

// DecodeControl reads a control record's wire form. Its error is a *Fault.
func DecodeControl(value []byte) (ControlRecord, error) {
	var c ControlRecord
	if f := unmarshal(value, &c); f != nil {
		return ControlRecord{}, f
	}
	var d objectReader
	if _, err := ParseSubject(string(c.Subject)); err != nil {
		d.fail(ReasonBadValue, "subject", "must be "+subjectForms)
	}
	if c.Action != Pause && c.Action != Resume && c.Action != Kill {
		d.fail(ReasonBadValue, "action", "must be pause, resume or kill")
	}
	if c.At.IsZero() {
		d.fail(ReasonMissingField, "at", "is required: when this was ordered")
	}
	c.At, c.Until = c.At.UTC(), c.Until.UTC()
	return c, d.fault()
}

// Append appends the record's wire form to b.
func (c *ControlRecord) Append(b []byte) []byte {
	type plain ControlRecord
	return marshal(b, struct {
		*plain
		At    wireTime `json:"at"` // both in the wire's form, instead of plain's
		Until wireTime `json:"until,omitzero"`
	}{(*plain)(c), wireTime(c.At), wireTime(c.Until)})
}
