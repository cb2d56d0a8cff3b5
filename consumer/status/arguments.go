package status

import (
	"time"

	"github.com/meddela/meddela/consumer/internal/script"
	"github.com/meddela/meddela/topology"
)

// arguments adds what merge.lua is given of one event: its names' values, in their
// order.
func arguments(a *script.Args, s *topology.State) {
	// A hash has no room for times before 1970.
	milliseconds := func(at time.Time) any {
		if at.UnixMilli() <= 0 {
			return ""
		}
		return a.Int(at.UnixMilli())
	}
	final := time.Time{}
	if s.Status.Final() {
		final = s.UpdatedAt
	}
	a.Add(
		(*string)(&s.Rank), (*string)(&s.Source), (*string)(&s.Lane), &s.Type, (*string)(&s.Channel),
		milliseconds(s.PendingAt), milliseconds(s.PendingDeliveryAt), milliseconds(s.Scheduled),
		(*string)(&s.Status), a.Int(s.UpdatedAt.UnixMilli()), a.Int(int64(s.Redrives)), a.Int(int64(s.Attempt)),
		(*string)(&s.Template), &s.Provider, &s.ProviderMessageID, milliseconds(final), (*string)(&s.Reason), &s.Detail,
	)
}
