package topology

import (
	"strings"
	"time"
)

// Headers of a record that waits on a delay topic.
const (
	HeaderDue       = "x-due"          // when it is due, RFC 3339 with milliseconds
	HeaderTarget    = "x-target-topic" // where it goes then
	HeaderHeldUntil = "x-held-until"   // when it was let go, in the same form: from then on it is in a hurry again
)

// Released returns the headers of a record that has waited until due.
func Released(headers []Header, due time.Time) []Header {
	return append(withoutWaiting(headers), Header{HeaderHeldUntil, ceilMilli(due).UTC().AppendFormat(nil, TimeFormat)})
}

// HeldUntil is when a record that has waited was let go; zero if it has not.
func HeldUntil(r *Record) time.Time {
	text, _ := r.Header(HeaderHeldUntil)
	at, _ := parseTime(text) // else as if it were not there
	return at
}

// Delayed makes r, which is meant for r.Topic, wait on a delay topic until due.
func (t Topics) Delayed(l Lane, r Record, due, now time.Time) Record {
	r.Headers = append(withoutWaiting(r.Headers),
		Header{HeaderDue, ceilMilli(due).UTC().AppendFormat(nil, TimeFormat)},
		Header{HeaderTarget, []byte(r.Topic)},
	)
	r.Topic = t.Delay(l, TierFor(due.Sub(now)))
	return r
}

// Headers of a job that waits on the paused topic.
const (
	// HeaderOrders names the set of orders that the job was last looked at with.
	HeaderOrders = "x-orders"
	// HeaderPausedProviders are the providers, with commas between, of which
	// one must be resumed; absent where something else of the job is paused.
	HeaderPausedProviders = "x-paused-providers"
)

// Pausing makes r, a job, wait on the paused topic. orders names the set of
// orders in force; providers are those of the job's channel if it is they that
// are paused, all of them.
func (t Topics) Pausing(l Lane, r Record, orders string, providers []string) Record {
	r.Headers = append(withoutWaiting(r.Headers), Header{HeaderOrders, []byte(orders)})
	if len(providers) > 0 {
		r.Headers = append(r.Headers, Header{HeaderPausedProviders, []byte(strings.Join(providers, ","))})
	}
	r.Topic = t.Paused(l)
	return r
}

// withoutWaiting returns a copy of headers, without those of delay topics and of
// the paused topic, and with room for theirs.
func withoutWaiting(headers []Header) []Header {
	return without(headers, HeaderDue, HeaderTarget, HeaderHeldUntil, HeaderOrders, HeaderPausedProviders)
}

// ceilMilli rounds up to the wire's precision, so that nothing is due early.
func ceilMilli(t time.Time) time.Time {
	if floor := t.Truncate(time.Millisecond); floor.Before(t) {
		return floor.Add(time.Millisecond)
	}
	return t
}
