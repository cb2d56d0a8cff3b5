package topology

import (
	"strconv"
	"time"
)

// Headers of an event's record that an operator has published again. They
// make it the same event: upstream systems do not write them.
const (
	// HeaderEventID is the event's id, where the value has none of its own.
	HeaderEventID = "x-event-id"
	// HeaderRedrives counts the redrives: how often operators have published the
	// event again. Each asks for a message of its own.
	HeaderRedrives = "x-redrives"
	// HeaderSource is the place of the event's first record.
	HeaderSource = "x-source"
	// HeaderReceivedAt is the time of the event's first record, RFC 3339 with
	// milliseconds.
	HeaderReceivedAt = "x-received-at"
)

// Receipt is where and when an event was received first, and how often an
// operator has published it again since.
type Receipt struct {
	Redrives int
	Source   Source
	At       time.Time
}

// ReceiptOf is the receipt of the event in a record: the record's own place and
// time, unless its headers have those of an earlier one. A header that is not
// of its form counts as absent.
func ReceiptOf(r *Record) Receipt {
	receipt := Receipt{At: r.Time}
	for i := range r.Headers {
		switch h := &r.Headers[i]; h.Key {
		case HeaderRedrives:
			if n, err := strconv.Atoi(string(h.Value)); err == nil && 0 <= n && n <= MaxRedrives {
				receipt.Redrives = n
			}
		case HeaderSource:
			if len(h.Value) <= maxEntryTextBytes {
				receipt.Source = Source(h.Value)
			}
		case HeaderReceivedAt:
			if t, ok := parseTime(h.Value); ok && !t.IsZero() {
				receipt.At = t
			}
		}
	}
	if receipt.Source == "" {
		receipt.Source = r.Source()
	}
	return receipt
}

// Again is the event's record to be published again, as one redrive
// more: the same bytes and headers, and its receipt.
func (r Record) Again(id EventID, receipt Receipt) Record {
	r.Headers = append(without(r.Headers, HeaderEventID, HeaderRedrives, HeaderSource, HeaderReceivedAt),
		Header{HeaderEventID, []byte(id)},
		Header{HeaderRedrives, strconv.AppendInt(nil, int64(receipt.Redrives)+1, 10)},
		Header{HeaderSource, []byte(receipt.Source)},
		Header{HeaderReceivedAt, receipt.At.UTC().AppendFormat(nil, TimeFormat)},
	)
	return r
}

// idOf is the id of an event whose value has none: the one that an operator
// gave with it, else its record's position.
func idOf(r *Record, lane Lane) EventID {
	if value, ok := r.Header(HeaderEventID); ok {
		if id := EventID(value); id.Valid() {
			return id
		}
	}
	return PositionID(lane, r.Partition, r.Offset)
}
