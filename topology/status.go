package topology

import (
	"fmt"
	"slices"
)

// Status is the latest word on an event.
type Status string

// What each means is in docs/statuses.md.
const (
	Pending         Status = "pending"
	PendingDelivery Status = "pending_delivery"
	Sent            Status = "sent"
	Ignored         Status = "ignored"
	Expired         Status = "expired"
	NotCovered      Status = "not_covered"
	DeliveryError   Status = "delivery_error"
)

var statuses = []Status{Pending, PendingDelivery, Sent, Ignored, Expired, NotCovered, DeliveryError}

// labels are by rank, as statuses are.
var labels = []string{"Pending", "Pending delivery", "Sent", "Ignored by the delivery", "Event expired",
	"Event not covered", "Delivery error"}

// Statuses lists every status by rank: of two statuses of the same
// redrive and attempt, the later in this list wins.
func Statuses() []Status { return slices.Clone(statuses) }

// ParseStatus reads a status by its wire value.
func ParseStatus(s string) (Status, error) {
	if status := Status(s); status.rank() >= 0 {
		return status, nil
	}
	return "", fmt.Errorf("unknown status %q", s)
}

// Final reports whether nothing more is expected to happen by itself.
func (s Status) Final() bool { return s.rank() >= Sent.rank() }

// rank is an index of statuses; -1 for what is no status.
func (s Status) rank() int { return slices.Index(statuses, s) }

// Label is the name that operators of message centres know.
func (s Status) Label() string {
	if rank := s.rank(); rank >= 0 {
		return labels[rank]
	}
	return string(s)
}
