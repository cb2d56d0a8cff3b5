package topology

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Suppression says that a channel does not write to an address, for one cause. It
// is a record of the suppressions topic, keyed by the three, so that no cause takes
// the place of another; one without a value takes it back.
type Suppression struct {
	Channel Channel     `json:"channel"`
	Hash    AddressHash `json:"hash"`
	Cause   Cause       `json:"reason"`
	Added   time.Time   `json:"added,omitzero"`
	Until   time.Time   `json:"until,omitzero"` // zero is for good
}

// Cause is why an address is suppressed: the detail of an entry with
// ReasonSuppressed. The list is closed.
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

// Subject is the address on its channel, as Redis has it.
func (s *Suppression) Subject() string { return string(s.Channel) + ":" + string(s.Hash) }

// Key is the record's.
func (s *Suppression) Key() string { return s.Subject() + ":" + string(s.Cause) }

// Append appends the record's value to b.
func (s *Suppression) Append(b []byte) []byte {
	if s.Added.IsZero() && s.Until.IsZero() {
		return append(b, "{}"...)
	}
	return appendObject(b, []field{{"added", &s.Added, 0}, {"until", &s.Until, 0}})
}

// Over reports whether the suppression has ended.
func (s *Suppression) Over(now time.Time) bool { return !s.Until.IsZero() && !now.Before(s.Until) }

// Outlasts reports whether s ends no sooner than another.
func (s *Suppression) Outlasts(o *Suppression) bool {
	return s.Until.IsZero() || !o.Until.IsZero() && !s.Until.Before(o.Until)
}

// DecodeSuppression reads a record that has a value. Its error is a *Fault; where
// that is the value's, the suppression is for good: it was put there for that.
func DecodeSuppression(r *Record) (s Suppression, known bool, err error) {
	parts := strings.Split(string(r.Key), ":")
	if len(parts) != 3 || !Channel(parts[0]).known() || !isAddressHash(parts[1]) {
		return s, false, &Fault{Reason: ReasonBadValue, Field: "key", Detail: "must be CHANNEL:HASH:REASON"}
	}
	s.Channel, s.Hash = Channel(parts[0]), AddressHash(parts[1])
	if s.Cause, err = ParseCause(parts[2]); err != nil {
		return s, false, &Fault{Reason: ReasonBadValue, Field: "key", Detail: "has an unknown reason"}
	}
	var value struct{ Added, Until time.Time }
	if r.Value != nil {
		if f := unmarshal(r.Value, &value); f != nil {
			return s, true, f
		}
	}
	s.Added, s.Until = value.Added.UTC(), value.Until.UTC()
	return s, true, nil
}

const addressHashLength = 32

func isAddressHash(text string) bool {
	return len(text) == addressHashLength && strings.Trim(text, "0123456789abcdef") == ""
}

// SuppressionBuckets is into how many HASHes Redis's copy of the suppressions is cut.
const SuppressionBuckets = 64

// Bucket is the one that has an address: the number of its first two digits, modulo
// SuppressionBuckets.
func (h AddressHash) Bucket() int {
	n, _ := strconv.ParseUint(string(h[:2]), 16, 8) // a hash has hexadecimal digits only
	return int(n) % SuppressionBuckets
}

// SuppressionHead is the key of the first record of the suppressions topic, which is
// never replaced: it says with which pepper its hashes are made, by the pepper's
// fingerprint, and tells the topic from every other.
func SuppressionHead(fingerprint AddressHash, id string) string {
	return "pepper:" + string(fingerprint) + ":" + id
}

// PepperOf is the fingerprint in such a key; ok is false for another record's key.
func PepperOf(head string) (fingerprint AddressHash, ok bool) {
	parts := strings.Split(head, ":")
	if len(parts) != 3 || parts[0] != "pepper" || !isAddressHash(parts[1]) || parts[2] == "" ||
		strings.Contains(head, " ") {
		return "", false
	}
	return AddressHash(parts[1]), true
}
