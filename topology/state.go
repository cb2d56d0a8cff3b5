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

// Has reports whether s knows all that o says of the same event.
func (s *State) Has(o *State) bool {
	merged := *s
	merged.Merge(o)
	return merged == *s
}

// Sound reports whether the rank is that of what the state says, as it is of every
// fold.
func (s *State) Sound() bool {
	return s.Rank == rankOf(&Entry{
		Redrives: s.Redrives, Attempt: s.Attempt, Status: s.Status, At: s.UpdatedAt, Reason: s.Reason, Detail: s.Detail,
		Template: s.Template, Provider: s.Provider, ProviderMessageID: s.ProviderMessageID,
	})
}

// StateOfJob is a state without a status, whose rank is less than that of any entry about the job or
// what comes after it, and greater than those before.
func StateOfJob(j *Job, at time.Time) State {
	b := append(appendPadded(nil, int64(j.Redrives), MaxRedrives), '.')
	b = append(appendPadded(b, 0, MaxAttempt), '.')
	b = appendPadded(b, int64(PendingDelivery.rank()), 9)
	return State{EventID: j.EventID, Rank: Rank(b), UpdatedAt: rankTime(at)}
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

// fields are those of the state's JSON, in its order. The hash in Redis has its
// Rank besides, and neither its id nor what follows from the status.
func (s *State) fields() []field {
	label, final, finalAt := s.Status.Label(), strconv.AppendBool(nil, s.Status.Final()), s.FinalAt()
	return []field{
		{"event_id", (*string)(&s.EventID), 0},
		{FieldStatus, (*string)(&s.Status), 0},
		{"label", &label, 0},
		{"final", &final, 0},
		{FieldReason, (*string)(&s.Reason), 0},
		{FieldDetail, &s.Detail, 0},
		{FieldLane, (*string)(&s.Lane), 0},
		{FieldType, &s.Type, 0},
		{FieldChannel, (*string)(&s.Channel), 0},
		{FieldTemplate, (*string)(&s.Template), 0},
		{FieldRedrives, &s.Redrives, 0},
		{FieldAttempt, &s.Attempt, 0},
		{FieldProvider, &s.Provider, 0},
		{FieldProviderMessageID, &s.ProviderMessageID, 0},
		{FieldSource, (*string)(&s.Source), 0},
		{FieldPendingAt, &s.PendingAt, 0},
		{FieldPendingDeliveryAt, &s.PendingDeliveryAt, 0},
		{FieldScheduledAt, &s.Scheduled, 0},
		{FieldFinalAt, &finalAt, 0},
		{FieldUpdatedAt, &s.UpdatedAt, 0},
	}
}

// MarshalJSON writes the fields of the hash by their names, with times as in the
// topics, and what the status is called.
func (s *State) MarshalJSON() ([]byte, error) { return appendObject(nil, s.fields()), nil }

// ParseState reads an event's hash as Redis returns it. An absent event is an
// empty hash, which is not an error: ok is false.
func ParseState(id EventID, hash map[string]string) (s State, ok bool, err error) {
	if len(hash) == 0 {
		return State{}, false, nil
	}
	number := func(field string) (n int64) {
		text := hash[field]
		if text == "" {
			return 0
		}
		n, wrong := strconv.ParseInt(text, 10, 64)
		if wrong != nil && err == nil {
			err = fmt.Errorf("event %s: field %s is %q, not a whole number", id, field, text)
		}
		return n
	}
	for _, f := range s.fields() {
		switch at := f.at.(type) {
		case *string:
			*at = hash[f.key]
		case *int:
			*at = int(number(f.key))
		case *time.Time:
			if millis := number(f.key); millis > 0 {
				*at = time.UnixMilli(millis).UTC()
			}
		}
	}
	s.EventID, s.Rank = id, Rank(hash[FieldRank])
	if _, wrong := ParseStatus(string(s.Status)); wrong != nil {
		err = fmt.Errorf("event %s: %w", id, wrong)
	}
	return s, true, err
}
