package topology

import (
	"fmt"
	"hash/fnv"
	"strconv"
	"time"
)

// State is what Redis holds of one event: the fold of all its entries.
//
// Merge is commutative, associative and idempotent, so the order in which
// entries are folded, and how often each of them is, does not matter.
type State struct {
	EventID EventID

	// Identity, from the copy of the event with the least Source.
	Source  Source
	Lane    Lane
	Type    string
	Channel Channel

	// The winning entry.
	Rank              Rank
	Generation        int
	Attempt           int
	Status            Status
	Reason            Reason
	Detail            string
	Template          TemplateRef
	Provider          string
	ProviderMessageID string
	UpdatedAt         time.Time

	// The stages passed: the first time of each; zero when not passed.
	PendingAt         time.Time
	PendingDeliveryAt time.Time
	// Scheduled is the latest time that any copy of the event asked for.
	Scheduled time.Time
}

// Rank orders the entries of one event: the greater string wins. It is
// generation, attempt, rank of the status, time, and a digest of the rest, so
// that two entries of equal rank say the same.
type Rank string

// Highest generation and attempt that a Rank has room for.
const (
	MaxGeneration = 999_999
	MaxAttempt    = 9_999
)

// maxMillis is the last time, in Unix milliseconds, that a Rank has room for.
const maxMillis = 9_999_999_999_999

// StateOf is the state of an event of which e is all that is known.
func StateOf(e *Entry) State {
	s := State{
		EventID:           e.EventID,
		Source:            e.Source,
		Lane:              e.Lane,
		Type:              e.Type,
		Channel:           e.Channel,
		Rank:              rankOf(e),
		Generation:        e.Generation,
		Attempt:           e.Attempt,
		Status:            e.Status,
		Reason:            e.Reason,
		Detail:            e.Detail,
		Template:          e.Template,
		Provider:          e.Provider,
		ProviderMessageID: e.ProviderMessageID,
		UpdatedAt:         e.At,
	}
	switch e.Status {
	case Pending:
		s.PendingAt = e.At
	case PendingDelivery:
		s.PendingDeliveryAt = e.At
	}
	return s
}

// FinalAt is when the event came to rest; zero while it has not.
func (s *State) FinalAt() time.Time {
	if s.Status.Final() {
		return s.UpdatedAt
	}
	return time.Time{}
}

// Merge folds what another state of the same event knows into s.
func (s *State) Merge(o *State) {
	if o.Source != "" && (s.Source == "" || o.Source < s.Source) {
		s.Source, s.Lane, s.Type, s.Channel = o.Source, o.Lane, o.Type, o.Channel
	}
	if o.Rank > s.Rank {
		s.Rank, s.Generation, s.Attempt = o.Rank, o.Generation, o.Attempt
		s.Status, s.Reason, s.Detail = o.Status, o.Reason, o.Detail
		s.Template, s.Provider, s.ProviderMessageID = o.Template, o.Provider, o.ProviderMessageID
		s.UpdatedAt = o.UpdatedAt
	}
	s.PendingAt = earlier(s.PendingAt, o.PendingAt)
	s.PendingDeliveryAt = earlier(s.PendingDeliveryAt, o.PendingDeliveryAt)
	if o.Scheduled.After(s.Scheduled) {
		s.Scheduled = o.Scheduled
	}
}

// earlier is the earlier of two times, where zero means none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

func rankOf(e *Entry) Rank {
	b := make([]byte, 0, 40)
	b = appendPadded(b, int64(e.Generation), 6)
	b = append(b, '.')
	b = appendPadded(b, int64(e.Attempt), 4)
	b = append(b, '.')
	b = appendPadded(b, int64(e.Status.rank()), 1)
	b = append(b, '.')
	b = appendPadded(b, min(max(e.At.UnixMilli(), 0), maxMillis), 13)
	b = append(b, '.')
	return Rank(appendDigest(b, e))
}

func appendPadded(b []byte, n int64, width int) []byte {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits); i < width; i++ {
		b = append(b, '0')
	}
	return append(b, digits...)
}

// appendDigest appends 16 hex digits over the fields that the winner brings,
// each with its length, so that no two sets of fields run together.
func appendDigest(b []byte, e *Entry) []byte {
	h := fnv.New64a()
	var length [1]byte
	for _, field := range [...]string{string(e.Reason), e.Detail, string(e.Template), e.Provider, e.ProviderMessageID} {
		length[0] = byte(len(field))
		h.Write(length[:])
		h.Write([]byte(field))
	}
	const hexDigits = "0123456789abcdef"
	for sum, shift := h.Sum64(), 60; shift >= 0; shift -= 4 {
		b = append(b, hexDigits[sum>>shift&0xf])
	}
	return b
}

// Names of the fields of an event's hash in Redis.
const (
	FieldStatus            = "status"
	FieldReason            = "reason"
	FieldDetail            = "detail"
	FieldLane              = "lane"
	FieldType              = "type"
	FieldChannel           = "channel"
	FieldTemplate          = "template"
	FieldGeneration        = "generation"
	FieldAttempt           = "attempt"
	FieldProvider          = "provider"
	FieldProviderMessageID = "provider_message_id"
	FieldSource            = "source"
	FieldPendingAt         = "pending_at"
	FieldPendingDeliveryAt = "pending_delivery_at"
	FieldFinalAt           = "final_at"
	FieldUpdatedAt         = "updated_at"
	FieldScheduledAt       = "scheduled_at"
	FieldRank              = "rank"
)

// ParseState reads an event's hash as Redis returns it. An absent event is an
// empty hash, which is not an error: ok is false.
func ParseState(id EventID, hash map[string]string) (s State, ok bool, err error) {
	if len(hash) == 0 {
		return State{}, false, nil
	}
	s = State{
		EventID:           id,
		Source:            Source(hash[FieldSource]),
		Lane:              Lane(hash[FieldLane]),
		Type:              hash[FieldType],
		Channel:           Channel(hash[FieldChannel]),
		Rank:              Rank(hash[FieldRank]),
		Reason:            Reason(hash[FieldReason]),
		Detail:            hash[FieldDetail],
		Template:          TemplateRef(hash[FieldTemplate]),
		Provider:          hash[FieldProvider],
		ProviderMessageID: hash[FieldProviderMessageID],
	}
	if s.Status, err = ParseStatus(hash[FieldStatus]); err != nil {
		return s, true, fmt.Errorf("event %s: %w", id, err)
	}
	read := hashReader{hash: hash}
	s.Generation = int(read.number(FieldGeneration))
	s.Attempt = int(read.number(FieldAttempt))
	s.UpdatedAt = read.time(FieldUpdatedAt)
	s.PendingAt = read.time(FieldPendingAt)
	s.PendingDeliveryAt = read.time(FieldPendingDeliveryAt)
	s.Scheduled = read.time(FieldScheduledAt)
	if read.err != nil {
		return s, true, fmt.Errorf("event %s: %w", id, read.err)
	}
	return s, true, nil
}

// hashReader reads numbers out of a Redis hash and keeps the first fault.
type hashReader struct {
	hash map[string]string
	err  error
}

func (r *hashReader) number(field string) int64 {
	text := r.hash[field]
	if text == "" {
		return 0
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("field %s is %q, not a whole number", field, text)
	}
	return n
}

func (r *hashReader) time(field string) time.Time {
	if millis := r.number(field); millis > 0 {
		return time.UnixMilli(millis).UTC()
	}
	return time.Time{}
}
