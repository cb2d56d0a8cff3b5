package deliver

import (
	"context"
	"time"

	"github.com/meddela/meddela/topology"
)

const (
	// answerTime is how long a provider that has a message may take to answer for it, as RFC 5321 (4.5.3.2.6) has it.
	answerTime = 10 * time.Minute
	// A job whose answer is late looks for it again after these, and after half of the time that it has waited.
	firstLook, lastLook = 2 * time.Second, time.Minute
)

// await makes a job whose provider has the message, and has not answered yet, hold up no other. It is claimed for as
// long as the answer is waited for, and comes back meanwhile, by the delay topics, to look for its outcome. Where this
// process ends before, or crashes on it, so does the claim at its time, and whether the message was accepted is not
// known.
func (h *Handler) await(d *delivery, began time.Time, queued time.Duration) {
	d.outcome.owner, d.outcome.lease = h.process+"/late", h.answer+h.config.Lease
	d.wait = h.look(d.outcome.at, d.outcome.lease)
	// Without the batch that it is of.
	apart := &delivery{job: d.job, policy: d.policy, claim: d.claim}
	apart.job.Event = nil
	late, by := d.late, d.outcome.provider
	go func() {
		defer func() {
			if cause := recover(); cause != nil {
				h.crashed(&apart.job, cause, "waiting for a late answer crashed; whether the message was accepted is not known")
			}
		}()
		ctx, cancel := context.WithTimeout(context.Background(), h.answer)
		defer cancel()
		answer := late.Wait(ctx)
		if answer.Late != nil {
			return
		}
		apart.outcome = h.conclude(apart, &answer, apart.claim != granted)
		apart.outcome.provider = by
		h.measure(&apart.outcome, began, queued)
		settling, cancel := context.WithTimeout(context.Background(), h.config.Lease)
		defer cancel()
		h.settle(settling, []*delivery{apart})()
	}()
}

// look is when a job whose claim has so much left of the time for a late answer comes back.
func (h *Handler) look(now time.Time, left time.Duration) *wait {
	waited := h.answer + h.config.Lease - left
	return &wait{due: now.Add(min(max(waited/2, firstLook), lastLook, left))}
}

// waits puts off a job that another deliverer, or another goroutine of this one, has for long.
func (h *Handler) waits(d *delivery) {
	now := h.config.Now()
	d.wait = h.look(now, d.left)
	d.conclude(ending{topology.PendingDelivery, topology.ReasonTransient,
		"another has the job, or its provider the message, and what became of it is not known yet"}, now)
}
