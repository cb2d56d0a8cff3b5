package deliver

import (
	"context"
	"slices"
	"time"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/retry"
)

// gracePeriod is how long a Handle whose time is over goes on trying to record
// what it has sent, or to give up what it has not.
const gracePeriod = 2 * time.Second

// settle is the sixth stage: it begins to record the outcomes of what was sent, and
// returns what waits for that. While Redis is away, that tries on: nothing new is
// sent, and what this process knows is not lost. When ctx has ended it goes on for
// the grace period, and leaves the rest to the next Handle.
func (h *Handler) settle(ctx context.Context, deliveries []*delivery) (wait func()) {
	if len(deliveries) == 0 {
		return func() {}
	}
	last, cancel := h.withGrace(ctx)
	recorded := h.record(last, deliveries)
	return func() {
		defer cancel()
		h.settleOn(ctx, last, deliveries, recorded)
	}
}

func (h *Handler) settleOn(ctx, last context.Context, deliveries []*delivery, recorded func() error) {
	var backoff retry.Backoff
	for {
		err := recorded()
		if err == nil {
			return
		}
		consumer.Alive(ctx)
		if ctx.Err() != nil {
			backoff.Reset() // little time is left
		}
		deliveries = unsettled(deliveries)
		h.settling.Warn(func(n int) {
			h.config.Log.Warn().Err(err).Int("outcomes", len(deliveries)).Int("times", n).
				Msg("outcomes cannot be recorded in Redis; trying on before anything else is sent")
		})
		if !backoff.Wait(last) {
			break
		}
		recorded = h.record(last, deliveries)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, d := range deliveries { // without the batch that they are of
		h.unsettled = append(h.unsettled, &delivery{job: topology.Job{JobID: d.job.JobID}, outcome: d.outcome})
	}
	go h.settleLater()
}

// settleLater records the outcomes that are left over though there may be no other
// Handle, for as long as another deliverer waits for their leases to end.
func (h *Handler) settleLater() {
	ctx, cancel := context.WithTimeout(context.Background(), h.config.Lease)
	defer cancel()
	for wait := (retry.Backoff{}); wait.Wait(ctx) && h.settleLeftovers(ctx) != nil; {
	}
}

// settleLeftovers records the outcomes that an earlier Handle could not.
func (h *Handler) settleLeftovers(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.unsettled) == 0 {
		return nil
	}
	err := h.record(ctx, h.unsettled)()
	h.unsettled = unsettled(h.unsettled)
	return err
}

func unsettled(deliveries []*delivery) []*delivery {
	return slices.DeleteFunc(slices.Clone(deliveries), func(d *delivery) bool { return d.settled })
}

// withGrace returns a context that ends the grace period after ctx.
func (h *Handler) withGrace(ctx context.Context) (last context.Context, cancel func()) {
	return retry.After(ctx, context.WithoutCancel(ctx), h.grace)
}
