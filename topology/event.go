package topology

import (
	"strconv"
	"time"
)

// EventID identifies an event, and is its idempotency key: the same id
// published twice is one message.
type EventID string

// MaxIDBytes is the greatest length of an EventID.
const MaxIDBytes = 128

const badIDDetail = "must be 1 to 128 of A-Z a-z 0-9 . _ : -"

// Valid tells whether the id has only the characters that ids may have.
func (id EventID) Valid() bool {
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

// Event is something that happened upstream.
type Event struct {
	ID            EventID
	Type          string
	Channel       Channel
	To            string // the address on Channel; empty when the event has none
	Language      string
	Country       string
	Origin        string
	ExternalID    string
	CorrelationID string
	Scheduled     time.Time
	Expiration    time.Time
	Ctx           []byte // the personalisation data, a JSON object
	Raw           []byte // the upstream bytes, untouched
}

// positionID is the id of an event that brings none: "lane-partition-offset".
func positionID(r Record, lane Lane) EventID {
	b := make([]byte, 0, len(lane)+24)
	b = append(b, lane...)
	b = append(b, '-')
	b = strconv.AppendInt(b, int64(r.Partition), 10)
	b = append(b, '-')
	b = strconv.AppendInt(b, r.Offset, 10)
	return EventID(b)
}
