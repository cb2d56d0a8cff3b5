package suppress

import (
	"strconv"
	"strings"
	"time"

	"github.com/meddela/meddela/topology"
)

// Entry is one address that a channel does not write to.
type Entry struct {
	Channel topology.Channel     `json:"channel"`
	Hash    topology.AddressHash `json:"hash"`
	Cause   Cause                `json:"reason"`
	Added   time.Time            `json:"added,omitzero"`
	Until   time.Time            `json:"until,omitzero"` // zero is for good
}

// value is the entry's STRING in Redis: the Unix milliseconds at which it
// ends, or 0, the cause, and those at which it was added, with tabs between.
func (e *Entry) value() string {
	b := make([]byte, 0, 48)
	b = strconv.AppendInt(b, untilMillis(e.Until), 10)
	b = append(b, '\t')
	b = append(b, e.Cause...)
	b = append(b, '\t')
	b = strconv.AppendInt(b, e.Added.UnixMilli(), 10)
	return string(b)
}

func untilMillis(until time.Time) int64 {
	if until.IsZero() {
		return 0
	}
	return until.UnixMilli()
}

// parseEntry reads a value. One that is not of that form still suppresses, for
// good and as Manual: whatever is there was put there for that.
func parseEntry(value string) Entry {
	until, rest, _ := strings.Cut(value, "\t")
	cause, added, _ := strings.Cut(rest, "\t")
	ends, err := strconv.ParseInt(until, 10, 64)
	began, err2 := strconv.ParseInt(added, 10, 64)
	word, err3 := ParseCause(cause)
	if err != nil || err2 != nil || err3 != nil || ends < 0 {
		return Entry{Cause: Manual}
	}
	e := Entry{Cause: word, Added: time.UnixMilli(began).UTC()}
	if ends > 0 {
		e.Until = time.UnixMilli(ends).UTC()
	}
	return e
}

// over tells whether the entry has ended, also where Redis has not noticed yet.
func (e *Entry) over(now time.Time) bool { return !e.Until.IsZero() && !now.Before(e.Until) }
