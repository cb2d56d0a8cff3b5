package topology

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// DecodeEvent reads the event in a record of a lane's events topic: plain
// JSON, or a CloudEvent in binary or structured mode. Its error is a *Fault,
// and then the event has what could be read.
//
// The id is the CloudEvent's, else the value's, else the one in HeaderEventID,
// else the record's PositionID. The last is also the id of a record whose own id is a fault or cannot be
// read, so the id is never empty.
//
// Decoding is more lenient than the schema, which has the form to write: the
// letter case of channel does not matter, wishedChannel may be a number in
// quotes, times may have any offset, empty texts and nulls count as absent,
// of a key that comes twice the last counts, and members that the event does
// not use are not looked at. Missing addresses are no faults: delivery ignores
// the event. Nor is an expiration before the scheduled time: such an event
// expires.
func DecodeEvent(r Record, lane Lane) (Event, error) {
	e := Event{Raw: r.Value}
	ce := headerAttributes(r.Headers)
	var d eventReader
	var members eventMembers
	err := d.read(r.Value, eventLimits, func(key []byte, v wireValue) { members.keep(key, v) })
	if err == nil {
		if ce.structured || members.isEnvelope() {
			d.unwrap(&members)
		}
		if ce.specVersion.bare {
			d.checkSpecVersion(&ce.specVersion)
		}
		members.prefer(&ce.id, &ce.kind, &ce.source) // headers win over what the value says
		d.event(&e, &members)
		err = d.fault()
	} else if id := EventID(ce.id.v); id.Valid() {
		e.ID = id
	}
	if e.ID == "" {
		e.ID = idOf(&r, lane)
	}
	return e, err
}

// eventReader reads an event's members.
type eventReader struct{ objectReader }

func (d *eventReader) event(e *Event, m *eventMembers) {
	d.room = m.textBytes()
	e.ID = d.id(&m.id)
	e.Type = d.text(&m.kind, MaxTypeLength)
	if e.Type == "" {
		d.fail(ReasonMissingField, "type", "is required: it picks the template")
	}
	e.Channel = d.channel(m)
	e.To = d.address(e.Channel, m)
	e.Language = d.text(&m.language, MaxLanguageLength)
	e.Country = d.text(&m.country, MaxCountryLength)
	e.Timezone = d.text(&m.timezone, MaxTimezoneLength)
	e.Origin = d.text(&m.origin, MaxOriginLength)
	e.ExternalID = d.text(&m.externalID, MaxOriginLength)
	e.CorrelationID = d.text(&m.correlationID, MaxOriginLength)
	e.Scheduled = ceilMilli(d.time(&m.scheduled))
	e.Expiration = d.time(&m.expiration).Truncate(time.Millisecond)
	e.Ctx = d.ctx(m)
}

// id reads the id; empty when there is none, or none that may be used.
func (d *eventReader) id(m *member) EventID {
	if m.v.isNull() && !m.bare {
		return ""
	}
	raw, ok := d.raw(m)
	if !ok {
		return ""
	}
	if id := EventID(d.keep(raw)); id.Valid() {
		return id
	}
	d.fail(ReasonBadID, m.path(), badIDDetail)
	return ""
}

// raw reads a string's bytes; ok tells that there is a string.
func (d *eventReader) raw(m *member) (text []byte, ok bool) {
	switch {
	case m.bare:
		return m.v, true
	case m.v.isText():
		return m.v.bytes(), true
	case !m.v.isNull():
		d.fail(ReasonWrongType, m.path(), textWanted)
	}
	return nil, false
}

// text reads a string of at most limit characters, none of them a control
// character: texts go into message headers and logs.
func (d *eventReader) text(m *member, limit int) string {
	raw, _ := d.raw(m)
	switch {
	case len(raw) == 0:
		return ""
	case m.bare && !utf8.Valid(raw):
		d.fail(ReasonNotUTF8, m.path(), "must be UTF-8")
	case len(raw) > limit && utf8.RuneCount(raw) > limit:
		d.fail(ReasonBadValue, m.path(), "must have at most "+strconv.Itoa(limit)+" characters")
	case hasControl(raw):
		d.fail(ReasonBadValue, m.path(), "must not have control characters such as line breaks")
	default:
		return d.keep(raw)
	}
	return ""
}

func hasControl(text []byte) bool {
	for _, c := range text {
		if c < ' ' || c == 0x7f {
			return true
		}
	}
	return false
}

func (d *eventReader) time(m *member) time.Time {
	raw, _ := d.raw(m)
	t, ok := parseTime(raw)
	if !ok {
		d.fail(ReasonBadValue, m.path(), timeWanted)
	}
	return t
}

const channelWanted = "must be email, sms, push or webhook"

// channel reads the channel: by its name, else by the number that the
// reference knows it by, else e-mail.
func (d *eventReader) channel(m *eventMembers) Channel {
	name, isText := d.raw(&m.channel)
	if !isText || len(name) == 0 {
		return d.wishedChannel(&m.wishedChannel)
	}
	for _, c := range Channels() {
		if equalFoldASCII(name, string(c)) {
			return c
		}
	}
	d.fail(ReasonUnknownChannel, m.channel.path(), channelWanted)
	return Email
}

func (d *eventReader) wishedChannel(m *member) Channel {
	number := m.v
	switch {
	case m.v.isNull():
		return Email
	case m.v.isText():
		number = m.v.bytes()
	case !m.v.isNumber():
		d.fail(ReasonWrongType, m.path(), "must be a number")
		return Email
	}
	switch string(number) {
	case "", "0":
		return Email
	case "1":
		return SMS
	case "41", "42":
		return Push
	}
	d.fail(ReasonUnknownChannel, m.path(), "must be 0 (e-mail), 1 (SMS), 41 or 42 (push)")
	return Email
}

// equalFoldASCII compares text with a name in small letters. Letters outside
// ASCII are never equal to any in it, unlike in bytes.EqualFold.
func equalFoldASCII(text []byte, lower string) bool {
	return len(text) == len(lower) && strings.EqualFold(string(text), lower) // others have more bytes
}

// address reads the address on the channel that was chosen. The others are
// not looked at.
func (d *eventReader) address(c Channel, m *eventMembers) string {
	switch c {
	case Email:
		return d.text(&m.email, MaxEmailLength)
	case SMS:
		return d.text(&m.mobilePhone, MaxPhoneLength)
	case Push:
		return d.text(&m.token, MaxTokenLength)
	}
	return ""
}

func (d *eventReader) ctx(m *eventMembers) []byte {
	switch {
	case m.ctx.v.isNull():
		d.fail(ReasonMissingField, m.from+"ctx", "is required: an object of the data for the message, {} when there is none")
	case !m.ctx.v.isObject():
		d.fail(ReasonWrongType, m.ctx.path(), "must be an object")
	default:
		return m.ctx.v
	}
	return nil
}
