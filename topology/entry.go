package topology

import "time"

// Entry is one line of the delivery log: what became of one event at one
// moment. It never holds the recipient's address or the message.
type Entry struct {
	EventID           EventID
	JobID             JobID
	Lane              Lane
	Redrives          int
	Attempt           int // 0 before a job was made, so that a job's own entries outrank the matcher's
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

// Append appends the entry's wire form, a JSON object, to b.
func (e *Entry) Append(b []byte) []byte {
	w := objectWriter{b: b}
	w.open()
	w.text("event_id", string(e.EventID))
	w.text("job_id", string(e.JobID))
	w.text("lane", string(e.Lane))
	w.number("redrives", e.Redrives)
	w.number("attempt", e.Attempt)
	w.text("status", string(e.Status))
	w.text("reason", string(e.Reason))
	w.text("detail", clip(e.Detail, MaxDetailBytes))
	w.text("type", e.Type)
	w.text("channel", string(e.Channel))
	w.text("language", e.Language)
	w.text("template", string(e.Template))
	w.text("provider", e.Provider)
	w.text("provider_message_id", e.ProviderMessageID)
	w.text("source", string(e.Source))
	w.time("received_at", e.ReceivedAt)
	w.time("at", e.At)
	w.close()
	return w.b
}

// Greatest lengths of an entry's other texts, in bytes; what is longer is cut,
// because an outcome matters more than its particulars.
const maxEntryTextBytes = 512

// DecodeEntry reads an entry's wire form. Its error is a *Fault.
//
// Anyone may write entries, so only event_id, status and at are required. A
// final status needs a reason unless it is sent: one that is not of Reasons,
// or none, is read as ReasonExternal.
func DecodeEntry(value []byte) (Entry, error) {
	var e Entry
	var d objectReader
	err := d.read(value, eventLimits, func(key []byte, v wireValue) {
		switch string(key) {
		case "event_id":
			e.EventID = EventID(d.text(key, v))
		case "job_id":
			e.JobID = JobID(d.text(key, v))
		case "lane":
			e.Lane = Lane(d.text(key, v))
		case "redrives":
			e.Redrives = d.number(key, v, MaxRedrives)
		case "attempt":
			e.Attempt = d.number(key, v, MaxAttempt)
		case "status":
			e.Status = Status(d.text(key, v))
		case "reason":
			e.Reason = Reason(d.text(key, v))
		case "detail":
			e.Detail = d.clipped(key, v, MaxDetailBytes)
		case "type":
			e.Type = d.clipped(key, v, maxEntryTextBytes)
		case "channel":
			e.Channel = Channel(d.text(key, v))
		case "language":
			e.Language = d.clipped(key, v, maxEntryTextBytes)
		case "template":
			e.Template = TemplateRef(d.clipped(key, v, maxEntryTextBytes))
		case "provider":
			e.Provider = d.clipped(key, v, maxEntryTextBytes)
		case "provider_message_id":
			e.ProviderMessageID = d.clipped(key, v, maxEntryTextBytes)
		case "source":
			e.Source = Source(d.clipped(key, v, maxEntryTextBytes))
		case "received_at":
			e.ReceivedAt = d.time(key, v)
		case "at":
			e.At = d.time(key, v)
		}
	})
	if err != nil {
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
