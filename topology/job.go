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
	Key        string    // of idempotency, another one after each attempt that surely failed; empty for JobID
	Event      []byte    // the upstream bytes, untouched
}

func (j *Job) fields() [16]field {
	return [...]field{
		{"job_id", (*string)(&j.JobID), 0},
		{"event_id", (*string)(&j.EventID), 0},
		{"lane", (*string)(&j.Lane), 0},
		{"redrives", &j.Redrives, MaxRedrives},
		{"attempt", &j.Attempt, MaxAttempt},
		{"template", (*string)(&j.Template), 0},
		{"type", &j.Type, 0},
		{"channel", (*string)(&j.Channel), 0},
		{"to", &j.To, 0},
		{"language", &j.Language, 0},
		{"not_before", &j.NotBefore, 0},
		{"expires", &j.Expires, 0},
		{"received_at", &j.ReceivedAt, 0},
		{"source", (*string)(&j.Source), 0},
		{"key", &j.Key, 0},
		{"event", &j.Event, 0},
	}
}

// Append appends the job's wire form, a JSON object, to b.
func (j *Job) Append(b []byte) []byte {
	written := *j
	written.NotBefore = ceilMilli(j.NotBefore)
	fields := written.fields()
	return appendObject(b, fields[:])
}

// DecodeJob reads a job's wire form. Its error is a *Fault. The job's Event
// shares value's memory.
func DecodeJob(value []byte) (Job, error) {
	var j Job
	var d objectReader
	fields := j.fields()
	if err := d.read(value, wrapLimits, fields[:]); err != nil {
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

// Expired reports whether the job's validity has ended.
func (j *Job) Expired(now time.Time) bool { return !j.Expires.IsZero() && !now.Before(j.Expires) }

// DecodeEvent reads the event that the job carries, of which headers are the
// job record's. Its error is a *Fault.
func (j *Job) DecodeEvent(headers []Header) (Event, error) {
	e, err := DecodeEvent(Record{Value: j.Event, Headers: headers}, j.Lane)
	e.ID = j.EventID // which may be the position of the event's own record
	return e, err
}
