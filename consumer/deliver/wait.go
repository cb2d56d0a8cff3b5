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

// putOff takes out the tasks that must wait, and returns the others. An
// operator's order is looked at here, right before a job is claimed, so that
// it counts for whatever is queued.
func (d *batch) putOff(tasks []*task) []*task {
	orders, now, mark := d.Orders(), d.Now(), ""
	ready := make([]*task, 0, len(tasks))
	for _, t := range tasks {
		if d.late(t) {
			ready = append(ready, t)
			continue
		}
		facts := control.FactsOf(&t.job)
		verdict, byProviders := orders.Judge(&facts, d.providersOf(t), now)
		t.order = verdict
		switch {
		case verdict.Paused():
			if mark == "" {
				mark = orders.Mark(now)
			}
			w := &wait{orders: mark}
			if byProviders {
				w.providers = d.providersOf(t)
			}
			d.makeWait(t, w, verdict.Reason(), verdict.Detail())
		case d.isNight(t, now):
		default:
			ready = append(ready, t)
		}
	}
	return ready
}

// isNight puts off a task in its recipient's quiet hours, to their end or, if
// that is sooner, to when its validity ends, so that this is known then.
func (d *batch) isNight(t *task, now time.Time) bool {
	policy := t.policy()
	if policy.Urgent || policy.Quiet == (quiet.Hours{}) {
		return false
	}
	event, err := t.job.DecodeEvent(t.record.Headers)
	if err != nil {
		return false // which is looked at when it is rendered
	}
	end, night := policy.Quiet.Until(now, event.Timezone, event.Country)
	if !night {
		return false
	}
	if !t.job.Expires.IsZero() && t.job.Expires.Before(end) {
		end = t.job.Expires
	}
	d.makeWait(t, &wait{due: end}, topology.ReasonQuiet, "until "+end.UTC().Format(topology.TimeFormat))
	return true
}

func (h *Handler) providersOf(t *task) []string {
	if r := h.routes[t.job.Channel]; r != nil {
		return r.names
	}
	return nil
}

// makeWait is the outcome of a task that waits: nothing has been tried.
func (d *batch) makeWait(t *task, w *wait, reason topology.Reason, detail string) {
	t.outcome = d.outcome(t, topology.PendingDelivery, reason, detail)
	t.wait, t.settled = w, true
}

// waiting is the record of a job that waits.
func (d *batch) waiting(t *task) topology.Record {
	job := topology.Record{
		Topic:   d.Names.Jobs(d.Lane),
		Key:     []byte(t.job.EventID),
		Value:   t.record.Value,
		Headers: t.span.Carry(topology.JobHeaders(t.record.Headers, t.job.Channel)),
	}
	if t.wait.due.IsZero() {
		return d.Names.Pausing(d.Lane, job, t.wait.orders, t.wait.providers)
	}
	return d.Names.Delayed(d.Lane, job, t.wait.due, t.outcome.at)
}
