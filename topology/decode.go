package topology

import (
	"bytes"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// DecodeEvent reads the event in a record of a lane's events topic: plain
// JSON, or a CloudEvent in binary or structured mode. Its error is a *Fault,
// and then the event has what could be read.
//
// The id on the redrive topic is the one in HeaderEventID; else it is the CloudEvent's,
// with its source a QualifiedID, else the value's, else the record's PositionID. The last is
// also the id of a record whose own id is a fault or cannot be read, so the id is never empty.
//
// Decoding is more lenient than the schema, which has the form to write: the
// letter case of channel does not matter, wishedChannel may be a number in
// quotes, times may have any offset, empty texts and nulls count as absent,
// of a key that comes twice the last counts, and members that the event does
// not use are not looked at. What serializers put around the JSON is left out. Missing
// addresses are no faults: delivery ignores the event. Nor is an expiration before the
// scheduled time: such an event expires. A language that cannot be one is UnknownLanguage.
func DecodeEvent(r Record, lane Lane) (Event, error) { return decodeEvent(r, lane, false) }

// DecodeEvent is DecodeEvent for the events of the installation.
func (t Topics) DecodeEvent(r Record, lane Lane) (Event, error) {
	return decodeEvent(r, lane, t.IDWithOrigin)
}

func decodeEvent(r Record, lane Lane, idWithOrigin bool) (Event, error) {
	e := Event{Raw: r.Value}
	if n := len(r.Value); n > 0 && (r.Value[0] != '{' || r.Value[n-1] != '}') {
		e.Raw = unframed(r.Value)
	}
	id, kind, source := attribute(&r, "ce_id"), attribute(&r, "ce_type"), attribute(&r, "ce_source")
	d := objectReader{idWithOrigin: idWithOrigin}
	var members eventMembers
	fields := members.fields()
	err := d.read(e.Raw, eventLimits, fields[:])
	if err == nil {
		if isStructured(&r) || members.isEnvelope() {
			d.unwrap(&members)
		} else {
			members.source = member{} // which means something in an envelope only
		}
		if version := attribute(&r, "ce_specversion"); version.bare {
			d.checkSpecVersion(&version)
		}
		members.prefer(&id, &kind, &source) // headers win over what the value says
		d.event(&e, &members)
		err = d.fault()
	} else {
		err = foreign(&r, err)
		members = eventMembers{id: id, source: source, hasSource: true}
		e.ID = d.id(&members)
	}
	if given, _ := r.Header(HeaderEventID); r.isRedrive() && EventID(given).Valid() {
		e.ID = EventID(given)
	}
	if e.ID == "" {
		e.ID = PositionID(lane, r.Partition, r.Offset)
	}
	return e, err
}

func (d *objectReader) event(e *Event, m *eventMembers) {
	d.room = m.textBytes()
	e.ID = d.id(m)
	e.Type = d.text("type", &m.kind, MaxTypeLength)
	if e.Type == "" {
		wanted := "is required: it picks the template"
		if bytes.Contains(e.Raw, []byte(`"payload"`)) && bytes.Contains(e.Raw, []byte(`"schema"`)) {
			wanted += "; if Kafka Connect has wrapped the event, set value.converter.schemas.enable=false"
		}
		d.fail(ReasonMissingField, "type", wanted)
	}
	e.Channel = d.channel(m)
	e.To = d.address(e.Channel, m)
	e.Language = d.language(&m.language)
	e.Country = d.text("country", &m.country, MaxCountryLength)
	e.Timezone = d.text("timezone", &m.timezone, MaxTimezoneLength)
	e.Origin = d.text("origin", &m.origin, MaxOriginLength)
	e.ExternalID = d.text("externalId", &m.externalID, MaxOriginLength)
	e.CorrelationID = d.text("correlationId", &m.correlationID, MaxOriginLength)
	e.Scheduled = ceilMilli(d.time("scheduled", &m.scheduled))
	e.Expiration = d.time("expiration", &m.expiration).Truncate(time.Millisecond)
	e.Ctx = d.ctx(m)
}

// id reads the id; empty when there is none, or none that may be used.
func (d *objectReader) id(m *eventMembers) EventID {
	if !m.id.given() {
		return ""
	}
	raw, ok := d.raw("id", &m.id)
	if !ok {
		return ""
	}
	var of []byte
	if m.hasSource && m.source.given() {
		of, _ = d.raw("source", &m.source)
	} else if d.idWithOrigin && bytes.IndexByte(raw, '#') < 0 {
		of, _ = d.raw("origin", &m.origin)
	}
	wrong := badIDDetail
	var room [256]byte
	if len(of) > 0 && len(raw) > 0 {
		raw, wrong = appendQualified(room[:0], of, raw), longIDDetail
	}
	id := EventID(d.keep(raw))
	switch {
	case !id.Valid():
		unseen := func(r rune) bool { return r != ' ' && IsUnseen(r) }
		if at := bytes.IndexFunc(raw, unseen); at >= 0 && len(of) == 0 {
			wrong += ": it has an invisible character at " + strconv.Itoa(at)
		}
	case id.isPosition():
		wrong = positionIDDetail
	default:
		return id
	}
	d.fail(ReasonBadID, m.id.from+"id", wrong)
	return ""
}

// text reads a string of at most limit characters, none of them a control character: texts
// go into message headers and logs. What is unseen around it is left out.
func (d *objectReader) text(name string, m *member, limit int) string {
	raw, _ := d.raw(name, m)
	raw = trimUnseen(raw)
	switch {
	case len(raw) == 0:
		return ""
	case m.bare && !utf8.Valid(raw):
		d.fail(ReasonNotUTF8, m.from+name, "must be UTF-8")
	case len(raw) > limit && utf8.RuneCount(raw) > limit:
		d.fail(ReasonBadValue, m.from+name, "must have at most "+strconv.Itoa(limit)+" characters")
	case hasControl(raw):
		d.fail(ReasonBadValue, m.from+name, "must not have control characters such as line breaks")
	default:
		return d.keep(raw)
	}
	return ""
}

// language reads the language. What cannot be one is no fault.
func (d *objectReader) language(m *member) string {
	before := d.first
	text := d.text("language", m, MaxLanguageLength)
	if d.first != before {
		d.first, text = before, UnknownLanguage
	}
	return text
}

// IsUnseen reports whether a character is there without being seen. Control characters are left to fail.
func IsUnseen(r rune) bool {
	return r == ' ' || r >= 0xa0 && (unicode.IsSpace(r) || unicode.Is(unicode.Cf, r))
}

func trimUnseen(text []byte) []byte {
	if n := len(text); n > 0 && isSeen(text[0]) && isSeen(text[n-1]) {
		return text // as most are
	}
	return bytes.TrimFunc(text, IsUnseen)
}

func isSeen(c byte) bool { return ' ' < c && c < utf8.RuneSelf }

func hasControl(text []byte) bool {
	for _, c := range text {
		if c < ' ' || c == 0x7f {
			return true
		}
	}
	return false
}

const channelWanted = "must be email, sms, push or webhook"

// channel reads the channel: by its name, else by the number that the
// reference knows it by, else e-mail.
func (d *objectReader) channel(m *eventMembers) Channel {
	name, isText := d.raw("channel", &m.channel)
	if !isText || len(name) == 0 {
		return d.wishedChannel(&m.wishedChannel)
	}
	for _, c := range Channels() {
		if equalFoldASCII(name, string(c)) {
			return c
		}
	}
	d.fail(ReasonUnknownChannel, m.channel.from+"channel", channelWanted)
	return Email
}

func (d *objectReader) wishedChannel(m *member) Channel {
	number := m.v
	switch {
	case m.v.isNull():
		return Email
	case m.v.isText():
		number = m.v.bytes()
	case !m.v.isNumber():
		d.fail(ReasonWrongType, m.from+"wishedChannel", "must be a number")
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
	d.fail(ReasonUnknownChannel, m.from+"wishedChannel", "must be 0 (e-mail), 1 (SMS), 41 or 42 (push)")
	return Email
}

// equalFoldASCII compares text with a name in small letters. Letters outside
// ASCII are never equal to any in it, unlike in bytes.EqualFold.
func equalFoldASCII(text []byte, lower string) bool {
	return len(text) == len(lower) && strings.EqualFold(string(text), lower) // others have more bytes
}

// address reads the address on the channel that was chosen. The others are
// not looked at.
func (d *objectReader) address(c Channel, m *eventMembers) string {
	switch c {
	case Email:
		return d.text("email", &m.email, MaxEmailLength)
	case SMS:
		return d.text("mobilePhone", &m.mobilePhone, MaxPhoneLength)
	case Push:
		return d.text("registrationToken", &m.token, MaxTokenLength)
	}
	return ""
}

func (d *objectReader) ctx(m *eventMembers) []byte {
	switch {
	case m.ctx.v.isNull():
		d.fail(ReasonMissingField, d.from+"ctx", "is required: an object of the data for the message, {} when there is none")
	case !m.ctx.v.isObject():
		d.fail(ReasonWrongType, m.ctx.from+"ctx", "must be an object")
	default:
		return m.ctx.v
	}
	return nil
}
