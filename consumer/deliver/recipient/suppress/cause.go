package suppress

import (
	"fmt"
	"slices"
)

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
