package topology

import "time"

// Entry is one line of the delivery log: what became of one event at one
// moment. It never holds the recipient's address or the message.
type Entry struct {
	EventID           EventID
	JobID             JobID
	Lane              Lane
	Redrives          int
	Attempt           int // 0 in the matcher's, so that a job's own entries outrank them
	Status            Status
	Reason            Reason
	Detail            string
	Type              string
	Channel           Channel
	Language          string // that the event asked for, where no template was linked
	Template          TemplateRef
	Provider          string
	ProviderMessageID string
	Source            Source    // of the event record
	ReceivedAt        time.Time // the Kafka time of the event record
	At                time.Time
	Due               time.Time // of what waits, when it goes on; zero where that is not known, as while it is paused
}

// MaxDetailBytes bounds an entry's detail; what is longer is cut.
const MaxDetailBytes = 500

// EntryOf starts an entry about a job.
func EntryOf(j *Job, status Status, reason Reason, at time.Time) Entry {
	return Entry{
		EventID:    j.EventID,
		JobID:      j.JobID,
		Lane:       j.Lane,
		Redrives:   j.Redrives,
		Attempt:    j.Attempt,
		Status:     status,
		Reason:     reason,
		Type:       j.Type,
		Channel:    j.Channel,
		Template:   j.Template,
		Source:     j.Source,
		ReceivedAt: j.ReceivedAt,
		At:         at,
	}
}

// Greatest length of an entry's other texts, in bytes; what is longer is cut,
// because an outcome matters more than its particulars.
const maxEntryTextBytes = 512

func (e *Entry) fields() [18]field {
	return [...]field{
		{"event_id", (*string)(&e.EventID), 0},
		{"job_id", (*string)(&e.JobID), 0},
		{"lane", (*string)(&e.Lane), 0},
		{"redrives", &e.Redrives, MaxRedrives},
		{"attempt", &e.Attempt, MaxAttempt},
		{"status", (*string)(&e.Status), 0},
		{"reason", (*string)(&e.Reason), 0},
		{"detail", &e.Detail, MaxDetailBytes},
		{"type", &e.Type, maxEntryTextBytes},
		{"channel", (*string)(&e.Channel), 0},
		{"language", &e.Language, maxEntryTextBytes},
		{"template", (*string)(&e.Template), maxEntryTextBytes},
		{"provider", &e.Provider, maxEntryTextBytes},
		{"provider_message_id", &e.ProviderMessageID, maxEntryTextBytes},
		{"source", (*string)(&e.Source), maxEntryTextBytes},
		{"received_at", &e.ReceivedAt, 0},
		{"at", &e.At, 0},
		{"due", &e.Due, 0},
	}
}

// Append appends the entry's wire form, a JSON object, to b.
func (e *Entry) Append(b []byte) []byte {
	fields := e.fields()
	return appendObject(b, fields[:])
}

// DecodeEntry reads an entry's wire form. Its error is a *Fault.
//
// Anyone may write entries, so only event_id, status and at are required. A
// final status needs a reason unless it is sent: one that is not of Reasons,
// or none, is read as ReasonExternal.
func DecodeEntry(value []byte) (Entry, error) {
	var e Entry
	var d objectReader
	fields := e.fields()
	if err := d.read(value, eventLimits, fields[:]); err != nil {
		return Entry{}, err
	}
	d.checkEntry(&e)
	e.Reason = e.Reason.known(e.Status)
	return e, d.fault()
}

func (d *objectReader) checkEntry(e *Entry) {
	d.requireID("event_id", e.EventID)
	if e.JobID != "" && !EventID(e.JobID).Valid() {
		d.fail(ReasonBadID, "job_id", badIDDetail)
	}
	if e.Lane != "" {
		d.requireLane("lane", e.Lane)
	}
	d.require("status", string(e.Status))
	if e.Status.rank() < 0 {
		d.fail(ReasonBadValue, "status", "must be one of the seven statuses")
	}
	d.checkChannel("channel", e.Channel)
	if e.At.IsZero() {
		d.fail(ReasonMissingField, "at", "is required: when this happened")
	}
}
