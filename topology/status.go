package topology

import "fmt"

// Status is the latest word on an event.
type Status string

const (
	// Pending: in a queue, no template linked yet.
	Pending Status = "pending"
	// PendingDelivery: a template is linked, and delivery is at work.
	PendingDelivery Status = "pending_delivery"
	// Sent: a provider has accepted the message.
	Sent Status = "sent"
	// Ignored: delivery skipped it on purpose. Never a failure.
	Ignored Status = "ignored"
	// Expired: its validity ended, or its tries were used up, before it
	// could be sent.
	Expired Status = "expired"
	// NotCovered: no template could be linked.
	NotCovered Status = "not_covered"
	// DeliveryError: delivery failed.
	DeliveryError Status = "delivery_error"
)

// Statuses lists every status by rank: of two statuses of the same
// redrive and attempt, the later in this list wins.
func Statuses() []Status {
	return []Status{Pending, PendingDelivery, Sent, Ignored, Expired, NotCovered, DeliveryError}
}

// ParseStatus reads a status by its wire value.
func ParseStatus(s string) (Status, error) {
	if status := Status(s); status.rank() >= 0 {
		return status, nil
	}
	return "", fmt.Errorf("unknown status %q", s)
}

// Final tells whether nothing more is expected to happen by itself.
func (s Status) Final() bool { return s.rank() >= Sent.rank() }

func (s Status) rank() int {
	switch s {
	case Pending:
		return 0
	case PendingDelivery:
		return 1
	case Sent:
		return 2
	case Ignored:
		return 3
	case Expired:
		return 4
	case NotCovered:
		return 5
	case DeliveryError:
		return 6
	}
	return -1
}

// Label is the name that operators of message centres know.
func (s Status) Label() string {
	switch s {
	case Pending:
		return "Pending"
	case PendingDelivery:
		return "Pending delivery"
	case Sent:
		return "Sent"
	case Ignored:
		return "Ignored by the delivery"
	case Expired:
		return "Event expired"
	case NotCovered:
		return "Event not covered"
	case DeliveryError:
		return "Delivery error"
	}
	return string(s)
}
