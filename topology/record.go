package topology

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Record is bytes on a topic.
type Record struct {
	Topic     Topic
	Partition int
	Offset    int64
	Time      time.Time // when Kafka says that it was written
	Key       []byte
	Value     []byte // nil is Kafka's null, which differs from empty
	Headers   []Header
}

// Header is one Kafka record header. A nil Value is Kafka's null.
type Header struct {
	Key   string
	Value []byte
}

// MostHeaders bounds those of a record that is read: they cost many times what they are sent as.
const MostHeaders = 1000

// eventHeaders are all that an event is read by, beside its value, and the trace context.
var eventHeaders = []string{"traceparent", "tracestate", "content-type", "ce_id", "ce_type", "ce_source",
	"ce_specversion"}

// extended returns a record's own headers and others. Where that were more than are read, its own are those alone by
// which it is read as the same event again.
func extended(own []Header, others ...Header) []Header {
	if len(own)+len(others) > MostHeaders {
		own = only(own, append(eventHeaders, HeaderEventID, HeaderSource, HeaderReceivedAt)...)
	}
	return append(own, others...)
}

// Source is where the record is.
func (r Record) Source() Source { return SourceOf(r.Topic, r.Partition, r.Offset) }

// Header returns the value of the last header with that key, in any letter case, and
// whether there is one.
func (r Record) Header(key string) ([]byte, bool) {
	for i := len(r.Headers) - 1; i >= 0; i-- {
		if isSameKey(r.Headers[i].Key, key) {
			return r.Headers[i].Value, true
		}
	}
	return nil, false
}

func isSameKey(a, b string) bool { return len(a) == len(b) && (a == b || strings.EqualFold(a, b)) }

// maxCarriedBytes bounds a header that is carried on: a CloudEvent's source, the
// longest that is read, has no more.
const maxCarriedBytes = 4 * MaxOriginLength

// only returns the headers of those names that are of a form to be carried on, of
// each name the last. They are named as here, whatever letter case they came in.
func only(headers []Header, names ...string) (kept []Header) {
	for i, h := range headers {
		isSame := func(other Header) bool { return isSameKey(other.Key, h.Key) }
		n := slices.IndexFunc(names, func(name string) bool { return isSameKey(name, h.Key) })
		if n < 0 || slices.ContainsFunc(headers[i+1:], isSame) {
			continue
		}
		if h.Key = names[n]; h.isCarried() {
			kept = append(kept, h)
		}
	}
	return kept
}

// isCarried keeps what is no trace context out of the log, and what is too large for
// it to take.
func (h *Header) isCarried() bool {
	switch h.Key {
	case "traceparent":
		return isTraceParent(h.Value)
	case "tracestate":
		return len(h.Value) <= 512 && !slices.ContainsFunc(h.Value, func(c byte) bool { return c < ' ' || c > '~' })
	}
	return len(h.Value) <= maxCarriedBytes
}

// isTraceParent reports whether it is of the form of W3C's trace context.
func isTraceParent(v []byte) bool {
	const form = "00-00000000000000000000000000000000-0000000000000000-00"
	if len(v) != len(form) {
		return false
	}
	for i, c := range v {
		if isDash := form[i] == '-'; isDash != (c == '-') || !isDash && (!isHex(c) || c < '0' || 'A' <= c && c <= 'F') {
			return false
		}
	}
	return true
}

// without returns a copy of headers that has none of those names, and room for
// as many more.
func without(headers []Header, names ...string) []Header {
	all := append(make([]Header, 0, len(headers)+len(names)), headers...)
	return slices.DeleteFunc(all, func(h Header) bool { return slices.Contains(names, h.Key) })
}

// Source says where a record came from: "topic/partition/offset".
type Source string

// SourceOf makes a Source.
func SourceOf(t Topic, partition int, offset int64) Source {
	return Source(string(t) + "/" + strconv.Itoa(partition) + "/" + strconv.FormatInt(offset, 10))
}

// Split takes a Source apart; ok reports whether it has the form of one.
func (s Source) Split() (t Topic, partition int, offset int64, ok bool) {
	name, place, _ := strings.Cut(string(s), "/")
	middle, last, _ := strings.Cut(place, "/")
	number, err := strconv.ParseUint(middle, 10, 31)
	position, err2 := strconv.ParseUint(last, 10, 63)
	if name == "" || err != nil || err2 != nil {
		return "", 0, 0, false
	}
	return Topic(name), int(number), int64(position), true
}

// PositionID is the id of an event that came without a valid one of its own:
// "<lane>-<partition>-<offset>", which its producer can work out from the
// broker's acknowledgement. Upstream gives no ids of that form: they would be
// another event's.
func PositionID(lane Lane, partition int, offset int64) EventID {
	return EventID(string(lane) + "-" + strconv.Itoa(partition) + "-" + strconv.FormatInt(offset, 10))
}

// isPosition reports whether the id is of the form of PositionID.
func (id EventID) isPosition() bool {
	lane, rest, _ := strings.Cut(string(id), "-")
	partition, offset, _ := strings.Cut(rest, "-")
	_, err := ParseLane(lane)
	return err == nil && isDigits(partition) && isDigits(offset)
}

func isDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// Headers of an event's record that an operator has published again. They make it
// the same event, on the redrive topic and nowhere else.
const (
	HeaderEventID    = "x-event-id"    // the event's id
	HeaderRedrives   = "x-redrives"    // how often it was published again, each time for a message of its own
	HeaderSource     = "x-source"      // the place of the event's first record
	HeaderReceivedAt = "x-received-at" // the time of that record, RFC 3339 with milliseconds
)

// Receipt is where and when an event was received first, and how often an
// operator has published it again since.
type Receipt struct {
	Redrives int
	Source   Source
	At       time.Time
}

func (r *Record) isRedrive() bool { return strings.HasSuffix(string(r.Topic), "."+redrive) }

// ReceiptOf is the receipt of the event in a record: the record's own place and
// time, unless it is of the redrive topic and its headers have those of an earlier
// one. A header that is not of its form counts as absent.
func ReceiptOf(r *Record) Receipt {
	receipt := Receipt{At: r.Time}
	if !r.isRedrive() {
		receipt.Source = r.Source()
		return receipt
	}
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
// more: the same bytes and headers, or, of nearly MostHeaders, those that count; and its receipt.
func (t Topics) Again(l Lane, r Record, id EventID, receipt Receipt) Record {
	r.Topic, r.Time = t.Redrive(l), time.Time{} // or its retention would begin with the event
	r.Headers = extended(without(r.Headers, HeaderEventID, HeaderRedrives, HeaderSource, HeaderReceivedAt, HeaderDue),
		Header{HeaderEventID, []byte(id)},
		Header{HeaderRedrives, strconv.AppendInt(nil, int64(receipt.Redrives)+1, 10)},
		Header{HeaderSource, []byte(receipt.Source)},
		Header{HeaderReceivedAt, receipt.At.UTC().AppendFormat(nil, TimeFormat)},
	)
	return r
}

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
	HeaderBuild             = "x-build" // of the program that failed
)

// letterHeaders are all that a dead letter says. The first is of its original, too.
var letterHeaders = []string{HeaderRedrives, HeaderOriginalTopic, HeaderOriginalPartition, HeaderOriginalOffset,
	HeaderReason, HeaderError, HeaderRole, HeaderAttempts, HeaderFailedAt, HeaderBuild}

// DeadLetter makes the record that keeps r, bytes and headers, with the cause
// and the place where it was found. Of nearly MostHeaders it has those by which it is read; where r is
// larger than its topic takes, the place alone.
func (t Topics) DeadLetter(l Lane, r *Record, fault *Fault, role Role, at time.Time) Record {
	why := []Header{
		{HeaderOriginalTopic, []byte(r.Topic)},
		{HeaderOriginalPartition, []byte(strconv.Itoa(r.Partition))},
		{HeaderOriginalOffset, []byte(strconv.FormatInt(r.Offset, 10))},
		{HeaderReason, []byte(fault.Reason)},
		{HeaderError, []byte(clip(fault.Error(), MaxDetailBytes))},
		{HeaderRole, []byte(role)},
		{HeaderAttempts, []byte("1")},
		{HeaderFailedAt, []byte(at.UTC().Format(TimeFormat))},
		{HeaderRedrives, []byte(strconv.Itoa(ReceiptOf(r).Redrives))},
	}
	if t.Build != "" {
		why = append(why, Header{HeaderBuild, []byte(t.Build)})
	}
	letter := Record{Topic: t.DeadLetters(l), Key: r.Key, Value: r.Value,
		Headers: extended(without(r.Headers, letterHeaders...), why...)}
	if letter.bytes() > wrappedEventBytes {
		return letter.Place()
	}
	return letter
}

// Letter is what a dead letter says.
type Letter struct {
	Original Record // as it was, but that its time is when it failed
	Reason   Reason
	Error    string
	Role     Role
	Build    string // empty where an earlier release failed
}

// LetterOf takes a dead letter apart.
func LetterOf(r *Record) Letter {
	text := func(name string) string { value, _ := r.Header(name); return string(value) }
	o := *r
	o.Headers = without(r.Headers, letterHeaders[1:]...)
	o.Topic, o.Partition, o.Offset, _ = Source(text(HeaderOriginalTopic) + "/" + text(HeaderOriginalPartition) + "/" +
		text(HeaderOriginalOffset)).Split()
	if at, ok := parseTime([]byte(text(HeaderFailedAt))); ok && !at.IsZero() {
		o.Time = at
	}
	return Letter{o, Reason(text(HeaderReason)), text(HeaderError), Role(text(HeaderRole)), text(HeaderBuild)}
}

// Place is a dead letter without what it would keep: why that is one, and where it is.
func (r *Record) Place() Record {
	return Record{Topic: r.Topic, Headers: only(r.Headers, letterHeaders...)}
}

func (r *Record) bytes() int {
	n := len(r.Key) + len(r.Value)
	for i := range r.Headers {
		n += len(r.Headers[i].Key) + len(r.Headers[i].Value)
	}
	return n
}

// HeaderChannel is a job record's channel, so that who delivers another channel
// need not read the job.
const HeaderChannel = "x-channel"

// JobHeaders are the headers of a job's record, made of those of the record
// that it comes from: the trace context, what makes its event a CloudEvent, with
// which a job's event reads the same, and the channel.
func JobHeaders(from []Header, c Channel) []Header {
	return append(only(from, eventHeaders...), Header{HeaderChannel, []byte(c)})
}

// CarriedByEntries returns the headers of an event that its entries carry too:
// the trace context. Others may hold what no log should.
func CarriedByEntries(headers []Header) []Header { return only(headers, "traceparent", "tracestate") }
