package topology

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
)

// cloudEventType is the media type of a CloudEvent in structured mode.
const cloudEventType = "application/cloudevents+json"

// attribute is one of a CloudEvent, as a header has it in the Kafka binding of
// CloudEvents 1.0; null is none.
func attribute(r *Record, key string) member {
	value, _ := r.Header(key)
	return member{v: value, from: "ce_", bare: value != nil}
}

// isStructured reports whether the record's headers say that its value is a
// whole CloudEvent.
func isStructured(r *Record) bool {
	contentType, _ := r.Header("content-type")
	if len(contentType) > maxCarriedBytes {
		return false // as it is not carried on either
	}
	return equalFoldASCII(mediaType(contentType), cloudEventType)
}

// mediaType is a content type without its parameters.
func mediaType(contentType []byte) []byte {
	kind, _, _ := bytes.Cut(contentType, []byte{';'})
	return bytes.TrimSpace(kind)
}

// isEnvelope reports whether the object is a CloudEvent in structured mode that
// no header announces.
func (m *eventMembers) isEnvelope() bool {
	return m.specVersion.v != nil && (m.data.v != nil || m.dataBase64.v != nil) && m.ctx.v == nil
}

// unwrap replaces the members of a CloudEvent's envelope by those of its data.
// The envelope's id and type win over the data's; its source is the origin
// unless the data has one.
func (d *objectReader) unwrap(m *eventMembers) {
	envelope := *m
	*m, d.from = eventMembers{}, "data."
	d.checkSpecVersion(&envelope.specVersion)
	name, data := "data", envelope.data.v
	switch {
	case data.isText():
		data = data.bytes()
	case data.isNull() && envelope.dataBase64.v.isText():
		var err error
		name = "data_base64"
		if data, err = base64.StdEncoding.AppendDecode([]byte{}, envelope.dataBase64.v.bytes()); err != nil {
			d.fail(ReasonBadValue, name, "must be Base64 of a JSON object; or put the event into data")
		}
	case !data.isNull() && !envelope.dataBase64.v.isNull():
		d.fail(ReasonBadValue, "data_base64", "stands beside data: write one of them")
	}
	fields := m.fields()
	switch data = bytes.TrimLeft(data, space); {
	case data.isNull():
		d.fail(ReasonMissingField, name, "is required: an object with ctx, and channel, email and so on")
	case !data.isObject():
		d.fail(ReasonWrongType, name, "must be an object with ctx, and channel, email and so on")
	default:
		if fault, bad := errors.AsType[*Fault](d.read(data, eventLimits, fields[:])); bad { // in a text
			d.fail(fault.Reason, name, fault.Detail)
			*m = eventMembers{}
		}
	}
	m.prefer(&envelope.id, &envelope.kind, &envelope.source)
}

func (m *eventMembers) prefer(id, kind, source *member) {
	if id.given() {
		m.id, m.hasSource = *id, true
	}
	if source.given() {
		m.source = *source
	}
	if kind.given() {
		m.kind = *kind
	}
	if source.given() && !m.origin.given() {
		m.origin = *source
	}
}

func (m *member) given() bool { return m.bare || !m.v.isNull() }

func (d *objectReader) checkSpecVersion(m *member) {
	switch raw, _ := d.raw("specversion", m); {
	case string(raw) == "1.0":
	case len(raw) == 0:
		d.fail(ReasonMissingField, m.from+"specversion", "is required: 1.0 is the CloudEvents version that is read")
	case len(raw) <= len("99.9.9") && isDigits(strings.ReplaceAll(string(raw), ".", "")):
		d.fail(ReasonBadValue, m.from+"specversion", "is "+string(raw)+": 1.0 is the CloudEvents version that is read")
	default:
		d.fail(ReasonBadValue, m.from+"specversion", "must be 1.0: that is the CloudEvents version that is read")
	}
}
