package topology

import "bytes"

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
	mediaType, _, _ := bytes.Cut(contentType, []byte{';'})
	return equalFoldASCII(bytes.TrimSpace(mediaType), cloudEventType)
}

// isEnvelope reports whether the object is a CloudEvent in structured mode that
// no header announces.
func (m *eventMembers) isEnvelope() bool {
	return m.specVersion.v != nil && m.data.v != nil && m.ctx.v == nil
}

// unwrap replaces the members of a CloudEvent's envelope by those of its data.
// The envelope's id and type win over the data's; its source is the origin
// unless the data has one.
func (d *objectReader) unwrap(m *eventMembers) {
	envelope := *m
	*m, d.from = eventMembers{}, "data."
	d.checkSpecVersion(&envelope.specVersion)
	switch {
	case !envelope.dataBase64.v.isNull():
		d.fail(ReasonBadValue, "data_base64", "is not read: put the event into data, as a JSON object")
	case envelope.data.v.isNull():
		d.fail(ReasonMissingField, "data", "is required: an object with ctx, and channel, email and so on")
	case !envelope.data.v.isObject():
		d.fail(ReasonWrongType, "data", "must be an object with ctx, and channel, email and so on")
	default:
		// The data was checked with the whole, so this cannot be a fault.
		fields := m.fields()
		_ = d.read(envelope.data.v, eventLimits, fields[:])
	}
	m.prefer(&envelope.id, &envelope.kind, &envelope.source)
}

func (m *eventMembers) prefer(id, kind, source *member) {
	if id.given() {
		m.id = *id
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
	if raw, _ := d.raw("specversion", m); string(raw) != "1.0" {
		d.fail(ReasonBadValue, m.from+"specversion", "must be 1.0: that is the CloudEvents version that is read")
	}
}
