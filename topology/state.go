package topology

import (
	"fmt"
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
	Redrives          int
	Attempt           int
	Status            Status
	Reason            Reason
	Detail            string
	Template          TemplateRef
	Provider          string
	ProviderMessageID string
	UpdatedAt         time.Time

	// The stages passed: the first time of each; zero when not passed. An
	// event is pending from when it was received, which its entries say too,
	// as they outlive its record.
	PendingAt         time.Time
	PendingDeliveryAt time.Time
	// Scheduled is the latest time that any copy of the event asked for.
	Scheduled time.Time
}

// StateOf is the state of an event of which e is all that is known.
func StateOf(e *Entry) State {
	at := rankTime(e.At)
	s := State{
		EventID:           e.EventID,
		Source:            e.Source,
		Lane:              e.Lane,
		Type:              e.Type,
		Channel:           e.Channel,
		Rank:              rankOf(e),
		Redrives:          e.Redrives,
		Attempt:           e.Attempt,
		Status:            e.Status,
		Reason:            e.Reason,
		Detail:            e.Detail,
		Template:          e.Template,
		Provider:          e.Provider,
		ProviderMessageID: e.ProviderMessageID,
		UpdatedAt:         at,
	}
	if !e.ReceivedAt.IsZero() {
		s.PendingAt = rankTime(e.ReceivedAt)
	}
	switch e.Status {
	case Pending:
		s.PendingAt = earlier(s.PendingAt, at)
	case PendingDelivery:
		s.PendingDeliveryAt = at
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
	s.mergeIdentity(o)
	if o.Rank > s.Rank {
		s.Rank, s.Redrives, s.Attempt = o.Rank, o.Redrives, o.Attempt
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

// mergeIdentity takes the identity with the lesser Source. Entries about the
// same copy may differ in how much of it they name, so there each field is
// the greater text, which is never the empty one.
func (s *State) mergeIdentity(o *State) {
	switch {
	case o.Source == s.Source:
		s.Lane, s.Type, s.Channel = max(s.Lane, o.Lane), max(s.Type, o.Type), max(s.Channel, o.Channel)
	case s.Source == "", o.Source != "" && o.Source < s.Source:
		s.Source, s.Lane, s.Type, s.Channel = o.Source, o.Lane, o.Type, o.Channel
	}
}

// earlier is the earlier of two times, where zero means none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
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
	FieldRedrives          = "redrives"
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
	s.Redrives = int(read.number(FieldRedrives))
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
