package suppress

import (
	"fmt"
	"slices"
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

// addition is what add.lua is given to make an entry: the Unix milliseconds at
// which it ends, or 0, and its STRING in Redis, which has the same, the cause, and
// the milliseconds at which it was added, with tabs between.
func (e *Entry) addition() []any {
	until := int64(0)
	if !e.Until.IsZero() {
		until = e.Until.UnixMilli()
	}
	return []any{until, fmt.Sprintf("%d\t%s\t%d", until, e.Cause, e.Added.UnixMilli())}
}

// parseEntry reads that STRING. One that is not of that form still suppresses, for
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

// over reports whether the entry has ended, also where Redis has not noticed yet.
func (e *Entry) over(now time.Time) bool { return !e.Until.IsZero() && !now.Before(e.Until) }

// Cause is why an address is suppressed: the detail of an entry with
// topology.ReasonSuppressed. The list is closed.
type Cause string

const (
	Unsubscribed Cause = "unsubscribed" // the recipient said so
	Bounced      Cause = "bounced"      // the address does not exist, or takes no mail
	Complaint    Cause = "complaint"    // the recipient called a message spam
	Manual       Cause = "manual"       // an operator's own reason
)

// Causes lists every cause.
func Causes() []Cause { return []Cause{Unsubscribed, Bounced, Complaint, Manual} }

// ParseCause reads a cause.
func ParseCause(s string) (Cause, error) {
	if c := Cause(s); slices.Contains(Causes(), c) {
		return c, nil
	}
	return "", fmt.Errorf("use %s, %s, %s or %s", Unsubscribed, Bounced, Complaint, Manual)
}
