package topology

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"
)

// JobID is the idempotency key of one message: a hash of the event id
// and the number of redrives. The same event published again has the same JobID.
type JobID string

// JobIDOf makes the JobID of an event after so many redrives.
func JobIDOf(id EventID, redrives int) JobID {
	b := make([]byte, 0, len(id)+12)
	b = append(b, id...)
	b = append(b, '#') // not a character of ids
	b = strconv.AppendInt(b, int64(redrives), 10)
	sum := sha256.Sum256(b)
	return JobID(hex.EncodeToString(sum[:16]))
}

// TemplateRef names one version of a template: "name@version".
type TemplateRef string

// Job asks for one delivery.
type Job struct {
	JobID      JobID
	EventID    EventID
	Lane       Lane
	Redrives   int // 0, and one more at each redrive by an operator
	Attempt    int // 1, and one more at each retry
	Template   TemplateRef
	Type       string
	Channel    Channel
	To         string // the recipient's address; empty when the event has none
	Language   string // of the template's body to send
	NotBefore  time.Time
	Expires    time.Time
	ReceivedAt time.Time // the Kafka time of the event record
	Source     Source    // of the event record
	Event      []byte    // the upstream bytes, untouched
}

// Append appends the job's wire form, a JSON object, to b.
func (j *Job) Append(b []byte) []byte {
	w := objectWriter{b: b}
	w.open()
	w.text("job_id", string(j.JobID))
	w.text("event_id", string(j.EventID))
	w.text("lane", string(j.Lane))
	w.number("redrives", j.Redrives)
	w.number("attempt", j.Attempt)
	w.text("template", string(j.Template))
	w.text("type", j.Type)
	w.text("channel", string(j.Channel))
	w.text("to", j.To)
	w.text("language", j.Language)
	w.time("not_before", ceilMilli(j.NotBefore))
	w.time("expires", j.Expires)
	w.time("received_at", j.ReceivedAt)
	w.text("source", string(j.Source))
	w.raw("event", j.Event)
	w.close()
	return w.b
}

// DecodeJob reads a job's wire form. Its error is a *Fault. The job's Event
// shares value's memory.
func DecodeJob(value []byte) (Job, error) {
	var j Job
	var d objectReader
	err := d.read(value, wrapLimits, func(key []byte, v wireValue) {
		switch string(key) {
		case "job_id":
			j.JobID = JobID(d.text(key, v))
		case "event_id":
			j.EventID = EventID(d.text(key, v))
		case "lane":
			j.Lane = Lane(d.text(key, v))
		case "redrives":
			j.Redrives = d.number(key, v, MaxRedrives)
		case "attempt":
			j.Attempt = d.number(key, v, MaxAttempt)
		case "template":
			j.Template = TemplateRef(d.text(key, v))
		case "type":
			j.Type = d.text(key, v)
		case "channel":
			j.Channel = Channel(d.text(key, v))
		case "to":
			j.To = d.text(key, v)
		case "language":
			j.Language = d.text(key, v)
		case "not_before":
			j.NotBefore = d.time(key, v)
		case "expires":
			j.Expires = d.time(key, v)
		case "received_at":
			j.ReceivedAt = d.time(key, v)
		case "source":
			j.Source = Source(d.text(key, v))
		case "event":
			j.Event = v
		}
	})
	if err != nil {
		return Job{}, err
	}
	d.checkJob(&j)
	return j, d.fault()
}

func (d *objectReader) checkJob(j *Job) {
	d.requireID("job_id", EventID(j.JobID))
	d.requireID("event_id", j.EventID)
	d.requireLane("lane", j.Lane)
	if j.Attempt == 0 {
		d.fail(ReasonMissingField, "attempt", "is required: 1 is the first")
	}
	d.require("template", string(j.Template))
	d.require("type", j.Type)
	d.require("channel", string(j.Channel))
	d.checkChannel("channel", j.Channel)
	switch event := wireValue(j.Event); {
	case event.isNull():
		d.fail(ReasonMissingField, "event", "is required: the upstream event")
	case !event.isObject():
		d.fail(ReasonWrongType, "event", "must be an object")
	}
}

// DecodeEvent reads the event that the job carries, of which headers are the
// job record's. Its error is a *Fault.
func (j *Job) DecodeEvent(headers []Header) (Event, error) {
	e, err := DecodeEvent(Record{Value: j.Event, Headers: headers}, j.Lane)
	e.ID = j.EventID // which may be the position of the event's own record
	return e, err
}
