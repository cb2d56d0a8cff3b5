package deliver

import (
	"time"

	"github.com/meddela/meddela/topology"
)

// wait is where a job goes that must not be sent yet. It is not claimed: when
// it comes back, it is as if it came for the first time.
type wait struct {
	due       time.Time // when it is to come back; zero for a paused one
	orders    string    // the mark of the orders that pause it
	providers []string  // if it is they that are paused
}

// hold is the first stage: it returns the jobs that go on, and settles those
// that wait. Operators' orders are looked at here, right before a job is
// claimed, so that they count for whatever is queued. A job whose validity has
// ended waits for nothing.
func (h *Handler) hold(deliveries []*delivery) (ready []*delivery) {
	orders, now := h.config.Orders(), h.config.Now()
	ready = make([]*delivery, 0, len(deliveries))
	for _, d := range deliveries {
		at := d.clock(now)
		order, byProviders := orders.Judge(&d.job, d.route.names, at)
		morning, night := d.quietUntil(at)
		late := d.job.Expired(at)
		switch {
		case !late && order.Paused():
			d.wait = &wait{orders: orders.Mark(at)}
			if byProviders {
				d.wait.providers = d.route.names
			}
			d.conclude(ending{topology.PendingDelivery, topology.ReasonPaused, order.Detail()}, now)
		case !late && night:
			d.wait = &wait{due: morning}
			until := "until " + morning.UTC().Format(topology.TimeFormat)
			d.conclude(ending{topology.PendingDelivery, topology.ReasonQuiet, until}, now)
		default:
			d.barred = ending{}
			if order.Killed() {
				d.barred = ending{topology.Ignored, topology.ReasonKilled, order.Detail()}
			}
			ready = append(ready, d)
		}
	}
	return ready
}

// conclude settles a delivery that needs no record in Redis.
func (d *delivery) conclude(end ending, now time.Time) {
	d.outcome, d.settled = newOutcome(&d.job, end, now), true
}

// quietUntil is when the recipient's quiet hours end, if it is in them, or, if
// that is sooner, when the job's validity ends, so that this is known then.
func (d *delivery) quietUntil(now time.Time) (end time.Time, night bool) {
	if d.policy.Urgent || d.eventErr != nil {
		return time.Time{}, false
	}
	end, night = d.policy.Quiet.Until(now, d.event.Timezone, d.event.Country)
	if night && d.job.Expired(end) {
		end = d.job.Expires
	}
	return end, night
}
