package deliver

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/meddela/meddela/topology"
)

// outcome is what became of a job. It holds all of an entry that the job's
// record does not, so that a repeated job makes the same entry again.
type outcome struct {
	attempt   int
	retry     bool      // a failure for now, after which a higher attempt tries
	ambiguous bool      // it may have been sent all the same; with retry
	due       time.Time // of that attempt
	digest    string    // of the event that came to it, if it is final; empty if that is not known
	status    topology.Status
	at        time.Time
	reason    topology.Reason
	template  topology.TemplateRef
	provider  string
	messageID string // the provider's
	detail    string

	owner string // who waits for a late answer, and claims the job for that
	lease time.Duration
}

// newOutcome makes an outcome that means the same when it is read from Redis.
func newOutcome(job *topology.Job, end ending, at time.Time) outcome {
	return outcome{
		attempt:  job.Attempt,
		status:   end.status,
		at:       at.UTC().Truncate(time.Millisecond),
		reason:   end.reason,
		template: topology.TemplateRef(field(string(job.Template))),
		detail:   field(end.detail),
	}
}

// entry is the line of the delivery log about the job.
func (o *outcome) entry(job *topology.Job) topology.Entry {
	e := topology.EntryOf(job, o.status, o.reason, o.at)
	e.Attempt, e.Template, e.Detail = o.attempt, o.template, o.detail
	e.Provider, e.ProviderMessageID, e.Due = o.provider, o.messageID, o.due
	return e
}

// The first field of a claim's value.
const (
	stateFinal     = "final"
	stateRetry     = "retry"
	stateAmbiguous = "ambiguous" // a retry follows, and this attempt may have been accepted
)

const (
	outcomeFields = 10
	outcomeBytes  = 192 // that most values stay below
)

// append appends the value that claims hold, as claim.lua describes it.
func (o *outcome) append(b []byte) []byte {
	state := stateFinal
	switch {
	case o.lease > 0: // which counts from when it is recorded
		return fmt.Appendf(b, "claimed\t%d\t%d\t%s", o.attempt, o.lease.Milliseconds(), o.owner)
	case o.retry && o.ambiguous:
		state = stateAmbiguous
	case o.retry:
		state = stateRetry
	}
	b = append(append(b, state...), '\t')
	b = append(strconv.AppendInt(b, int64(o.attempt), 10), '\t')
	b = append(append(b, o.status...), '\t')
	b = append(strconv.AppendInt(b, o.at.UnixMilli(), 10), '\t')
	if o.retry {
		b = strconv.AppendInt(b, o.due.UnixMilli(), 10)
	} else {
		b = append(b, o.digest...)
	}
	for _, text := range [...]string{string(o.reason), string(o.template), o.provider, o.messageID, o.detail} {
		b = append(append(b, '\t'), text...)
	}
	return b
}

// parseOutcome reads what append wrote; ok is false for anything else.
func parseOutcome(value string) (o outcome, ok bool) {
	fields := strings.SplitN(value, "\t", outcomeFields)
	if len(fields) < outcomeFields {
		return outcome{}, false
	}
	attempt, err1 := strconv.Atoi(fields[1])
	status, err2 := topology.ParseStatus(fields[2])
	at, err3 := strconv.ParseInt(fields[3], 10, 64)
	o = outcome{
		attempt: attempt, status: status, at: time.UnixMilli(at).UTC(),
		reason: topology.Reason(fields[5]), template: topology.TemplateRef(fields[6]),
		provider: fields[7], messageID: fields[8], detail: fields[9],
	}
	var err4 error
	switch fields[0] {
	case stateFinal:
		o.digest = fields[4]
	case stateRetry, stateAmbiguous:
		var due int64
		due, err4 = strconv.ParseInt(fields[4], 10, 64)
		o.retry, o.ambiguous, o.due = true, fields[0] == stateAmbiguous, time.UnixMilli(due).UTC()
	default:
		return outcome{}, false
	}
	return o, errors.Join(err1, err2, err3, err4) == nil
}

// field is text as a value's field can hold it: of bounded length, and without
// the tabs that stand between fields, or any other control characters.
func field(text string) string {
	if len(text) > topology.MaxDetailBytes {
		text = strings.ToValidUTF8(text[:topology.MaxDetailBytes], "")
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
}
