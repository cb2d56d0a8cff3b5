package topology

import (
	"slices"
	"strings"
	"time"
)

// EventID identifies an event, and is its idempotency key: the same id published
// again is one message, for as long as claims are kept.
type EventID string

// MaxIDBytes is the greatest length of an EventID, but for that of a QualifiedID.
const MaxIDBytes = 128

const (
	badIDDetail      = "must be 1 to 128 of A-Z a-z 0-9 . _ : -"
	longIDDetail     = "must have at most 2048 bytes together with its source, with what is percent-encoded"
	positionIDDetail = "must not be of the form LANE-PARTITION-OFFSET, which is that of ids of events that came without one"
)

// Valid reports whether the id has only the characters that ids may have.
func (id EventID) Valid() bool {
	if source, own := id.Split(); source != "" {
		return own != "" && len(id) <= maxQualifiedIDBytes && !strings.ContainsFunc(string(id), isNoURI)
	}
	if len(id) == 0 || len(id) > MaxIDBytes {
		return false
	}
	for i := 0; i < len(id); i++ {
		switch c := id[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '.', c == '_', c == ':', c == '-':
		default:
			return false
		}
	}
	return true
}

const maxQualifiedIDBytes = 2048

// QualifiedID is the id of an event whose own is unique within its source only, such as that
// of a CloudEvent: "<source>#<id>". What a URI may not have is percent-encoded, and in the id
// # and % too, so that two ids are never one.
func QualifiedID(source, id string) EventID {
	return EventID(appendQualified(nil, []byte(source), []byte(id)))
}

func appendQualified(b, source, id []byte) []byte {
	for i, c := range slices.Concat(source, []byte{'#'}, id) {
		if isNoURI(rune(c)) || i > len(source) && (c == '#' || c == '%') {
			b = append(b, '%', "0123456789ABCDEF"[c>>4], "0123456789ABCDEF"[c&15])
		} else {
			b = append(b, c)
		}
	}
	return b
}

func isNoURI(c rune) bool {
	return (c|0x20 < 'a' || 'z' < c|0x20) && !strings.ContainsRune("0123456789-._~:/?#[]@!$&'()*+,;=%", c)
}

// Split takes a QualifiedID apart, encoded as it is; the source of another is empty.
func (id EventID) Split() (source, own string) {
	i := strings.LastIndexByte(string(id), '#')
	return string(id[:max(i, 0)]), string(id[i+1:])
}

// Channel is a way to reach a recipient.
type Channel string

const (
	Email   Channel = "email"
	SMS     Channel = "sms"
	Push    Channel = "push"
	Webhook Channel = "webhook"
)

// Channels lists every channel.
func Channels() []Channel { return []Channel{Email, SMS, Push, Webhook} }

func (c Channel) known() bool { return slices.Contains(Channels(), c) }

// addressField is the event's field that holds an address on the channel;
// empty for a channel whose target is the template's own.
func (c Channel) addressField() string {
	switch c {
	case Email, "":
		return "email"
	case SMS:
		return "mobilePhone"
	case Push:
		return "registrationToken"
	}
	return ""
}

// MaxSchedule is how far ahead an event may be scheduled: what waits is written again
// every few hours.
const MaxSchedule = 366 * day

// Greatest lengths of an event's texts, in characters.
const (
	MaxTypeLength     = 128
	MaxEmailLength    = 254
	MaxPhoneLength    = 32
	MaxTokenLength    = 4096
	MaxLanguageLength = 256 // what browsers say in Accept-Language is longer than a tag
	MaxCountryLength  = 64
	MaxTimezoneLength = 64
	MaxOriginLength   = 512 // of origin, externalId and correlationId
)

// UnknownLanguage is the Language of an event whose own cannot be one: it costs the event no
// more than that.
const UnknownLanguage = "und"

// Event is something that happened upstream.
type Event struct {
	ID            EventID
	Type          string
	Channel       Channel
	To            string // the address on Channel; empty when the event has none
	Language      string // a tag such as sv-FI, or what a browser said in Accept-Language
	Country       string
	Timezone      string // of the recipient, an IANA name such as Europe/Stockholm
	Origin        string
	ExternalID    string
	CorrelationID string
	Scheduled     time.Time
	Expiration    time.Time
	Ctx           []byte // the personalisation data, a JSON object
	Raw           []byte // the upstream bytes, untouched but for what is around their JSON
}

// Append appends the event's plain wire form, a JSON object, to b. Ctx is
// written as it is, and nil as an empty object; Raw is not written. Append
// checks nothing: DecodeEvent of the result reports whether the pipeline takes
// it.
func (e *Event) Append(b []byte) []byte {
	address, to := e.Channel.addressField(), e.To
	if address == "" {
		to = ""
	}
	scheduled, ctx := ceilMilli(e.Scheduled), e.Ctx
	if len(ctx) == 0 {
		ctx = []byte("{}")
	}
	return appendObject(b, []field{
		{"id", (*string)(&e.ID), 0},
		{"type", &e.Type, 0},
		{"channel", (*string)(&e.Channel), 0},
		{address, &to, 0},
		{"language", &e.Language, 0},
		{"country", &e.Country, 0},
		{"timezone", &e.Timezone, 0},
		{"origin", &e.Origin, 0},
		{"externalId", &e.ExternalID, 0},
		{"correlationId", &e.CorrelationID, 0},
		{"scheduled", &scheduled, 0},
		{"expiration", &e.Expiration, 0},
		{"ctx", &ctx, 0},
	})
}
