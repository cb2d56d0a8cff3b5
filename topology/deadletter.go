package topology

import (
	"strconv"
	"time"
)

// Headers that a dead letter carries beside the record's own.
const (
	HeaderOriginalTopic     = "x-original-topic"
	HeaderOriginalPartition = "x-original-partition"
	HeaderOriginalOffset    = "x-original-offset"
	HeaderReason            = "x-reason"
	HeaderError             = "x-error"
	HeaderRole              = "x-role"
	HeaderAttempts          = "x-attempts"
	HeaderFailedAt          = "x-failed-at"
)

// DeadLetter makes the record that keeps r, bytes and headers, with the cause
// and the place where it was found.
func (t Topics) DeadLetter(l Lane, r *Record, fault *Fault, role Role, at time.Time) Record {
	redrives, _ := r.Header(HeaderRedrives)
	headers := append(without(r.Headers, HeaderOriginalTopic, HeaderOriginalPartition, HeaderOriginalOffset, HeaderReason,
		HeaderError, HeaderRole, HeaderAttempts, HeaderFailedAt, HeaderRedrives),
		Header{HeaderOriginalTopic, []byte(r.Topic)},
		Header{HeaderOriginalPartition, []byte(strconv.Itoa(r.Partition))},
		Header{HeaderOriginalOffset, []byte(strconv.FormatInt(r.Offset, 10))},
		Header{HeaderReason, []byte(fault.Reason)},
		Header{HeaderError, []byte(clip(fault.Error(), MaxDetailBytes))},
		Header{HeaderRole, []byte(role)},
		Header{HeaderAttempts, []byte("1")},
		Header{HeaderFailedAt, []byte(at.UTC().Format(TimeFormat))},
		Header{HeaderRedrives, redrivesOf(redrives)},
	)
	return Record{Topic: t.DeadLetters(l), Key: r.Key, Value: r.Value, Headers: headers}
}

// redrivesOf is a count of redrives as a header has it; what is no count, which
// is not from here, is none.
func redrivesOf(value []byte) []byte {
	if n, err := strconv.ParseUint(string(value), 10, 31); err == nil {
		return strconv.AppendUint(nil, n, 10)
	}
	return []byte("0")
}

// HeaderChannel is a job record's channel, so that who delivers another channel
// need not read the job.
const HeaderChannel = "x-channel"

// JobHeaders are the headers of a job's record, made of those of the record
// that it comes from: the trace context, what makes its event a CloudEvent, with
// which a job's event reads the same, and the channel.
func JobHeaders(from []Header, c Channel) []Header {
	carried := only(from, "traceparent", "tracestate", "content-type", "ce_id", "ce_type",
		"ce_source", "ce_specversion")
	return append(carried, Header{HeaderChannel, []byte(c)})
}

// CarriedByEntries returns the headers of an event that its entries carry too:
// the trace context. Others may hold what no log should.
func CarriedByEntries(headers []Header) []Header { return only(headers, "traceparent", "tracestate") }
