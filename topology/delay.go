package topology

import "time"

// Headers of a record that waits on a delay topic.
const (
	// HeaderDue is when the record is due, RFC 3339 with milliseconds.
	HeaderDue = "x-due"
	// HeaderTarget is the topic that it goes to then.
	HeaderTarget = "x-target-topic"
)

// Delayed makes r, which is meant for r.Topic, wait on a delay topic until due.
func (t Topics) Delayed(l Lane, r Record, due, now time.Time) Record {
	headers := make([]Header, 0, len(r.Headers)+2)
	for _, h := range r.Headers {
		if h.Key != HeaderDue && h.Key != HeaderTarget {
			headers = append(headers, h)
		}
	}
	r.Headers = append(headers,
		Header{HeaderDue, ceilMilli(due).UTC().AppendFormat(nil, TimeFormat)},
		Header{HeaderTarget, []byte(r.Topic)},
	)
	r.Topic = t.Delay(l, TierFor(due.Sub(now)))
	return r
}

// ceilMilli rounds up to the wire's precision, so that nothing is due early.
func ceilMilli(t time.Time) time.Time {
	if floor := t.Truncate(time.Millisecond); floor.Before(t) {
		return floor.Add(time.Millisecond)
	}
	return t
}
