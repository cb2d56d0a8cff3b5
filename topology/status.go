package topology

import "fmt"

// Status is the latest word on an event.
type Status string

// What each means is in statuses.
const (
	Pending         Status = "pending"
	PendingDelivery Status = "pending_delivery"
	Sent            Status = "sent"
	Ignored         Status = "ignored"
	Expired         Status = "expired"
	NotCovered      Status = "not_covered"
	DeliveryError   Status = "delivery_error"
)

// statuses is every status by rank, with its label and its meaning.
var statuses = []struct {
	Status
	label, meaning string
}{
	{Pending, "Pending", "in a queue, no template linked yet"},
	{PendingDelivery, "Pending delivery", "a template is linked, and delivery is at work, or waits"},
	{Sent, "Sent", "a provider has accepted the message"},
	{Ignored, "Ignored by the delivery", "delivery skipped it on purpose: never a failure"},
	{Expired, "Event expired", "its validity ended before it could be sent"},
	{NotCovered, "Event not covered", "no template could be linked"},
	{DeliveryError, "Delivery error", "delivery failed for good"},
}

// Statuses lists every status by rank: of two statuses of the same
// redrive and attempt, the later in this list wins.
func Statuses() []Status {
	list := make([]Status, len(statuses))
	for i, s := range statuses {
		list[i] = s.Status
	}
	return list
}

// ParseStatus reads a status by its wire value.
func ParseStatus(s string) (Status, error) {
	if status := Status(s); status.rank() >= 0 {
		return status, nil
	}
	return "", fmt.Errorf("unknown status %q", s)
}

// Final reports whether nothing more is expected to happen by itself.
func (s Status) Final() bool { return s.rank() >= Sent.rank() }

// rank is an index of statuses; -1 for what is no status. It is asked of every
// entry, so it builds nothing.
func (s Status) rank() int {
	for i := range statuses {
		if statuses[i].Status == s {
			return i
		}
	}
	return -1
}

// Label is the name that operators of message centres know.
func (s Status) Label() string {
	if rank := s.rank(); rank >= 0 {
		return statuses[rank].label
	}
	return string(s)
}
