package deliver

import (
	"time"

	"github.com/meddela/meddela/consumer/control"
	"github.com/meddela/meddela/consumer/deliver/recipient/quiet"
	"github.com/meddela/meddela/topology"
)

// wait is where a job goes that must not be sent yet. It is not claimed: when
// it comes back, it is as if it came for the first time.
type wait struct {
	due    time.Time // when it is to come back; zero for a paused one
	orders string    // the mark of the orders that pause it
	// providers, if it is they that are paused.
	providers []string
}

// hold is the first stage: it returns the jobs that go on, and the results of
// those that wait. Operators' orders are looked at here, right before a job is
// claimed, so that they count for whatever is queued. A job whose validity has
// ended waits for nothing.
func hold(deliveries []*delivery, orders *control.Orders, now time.Time) (ready []attempt, held []*result) {
	ready, mark := make([]attempt, 0, len(deliveries)), ""
	for _, d := range deliveries {
		if d.expired(now) {
			ready = append(ready, attempt{delivery: d})
			continue
		}
		facts := control.FactsOf(&d.job)
		order, byProviders := orders.Judge(&facts, d.providers(), now)
		if order.Paused() {
			if mark == "" {
				mark = orders.Mark(now)
			}
			w := &wait{orders: mark}
			if byProviders {
				w.providers = d.providers()
			}
			held = append(held, heldBy(d, w, order.Reason(), order.Detail(), now))
			continue
		}
		if morning, night := d.quietUntil(now); night {
			until := "until " + morning.UTC().Format(topology.TimeFormat)
			held = append(held, heldBy(d, &wait{due: morning}, topology.ReasonQuiet, until, now))
			continue
		}
		a := attempt{delivery: d}
		if order.Killed() {
			a.barred = ending{topology.Ignored, order.Reason(), order.Detail()}
		}
		ready = append(ready, a)
	}
	return ready, held
}

// quietUntil is when the recipient's quiet hours end, if it is in them, or, if
// that is sooner, when the job's validity ends, so that this is known then.
func (d *delivery) quietUntil(now time.Time) (end time.Time, night bool) {
	if d.policy.Urgent || d.policy.Quiet == (quiet.Hours{}) || d.eventErr != nil {
		return time.Time{}, false
	}
	end, night = d.policy.Quiet.Until(now, d.event.Timezone, d.event.Country)
	if night && !d.job.Expires.IsZero() && d.job.Expires.Before(end) {
		end = d.job.Expires
	}
	return end, night
}

// heldBy is the result of a job that waits: nothing has been tried.
func heldBy(d *delivery, w *wait, reason topology.Reason, detail string, now time.Time) *result {
	o := newOutcome(&d.job, ending{topology.PendingDelivery, reason, detail}, now)
	return &result{delivery: d, outcome: o, wait: w, settled: true}
}
