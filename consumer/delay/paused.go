package delay

import (
	"time"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/consumer/control"
	"github.com/meddela/meddela/topology"
)

const (
	// lookInterval is how soon a paused job notices that it is resumed.
	lookInterval = 200 * time.Millisecond
	// stay is how long a job waits on the paused topic before it is looked at
	// again, whatever the orders are: so that it is known when its validity has
	// ended, and long before the topic's retention would delete it.
	stay = time.Hour
)

// handlePaused lets go what no order pauses any more. Orders change rarely: each
// job carries the mark of those that it was last judged by, and while that is
// also the mark of those in force now, so that nothing can have changed for it,
// the head holds all the others.
func (h *Handler) handlePaused(b consumer.Batch) (consumer.Result, error) {
	orders, now := h.orders(), h.now()
	mark := orders.Mark(now)
	var result consumer.Result
	for i := range b.Records {
		r := &b.Records[i]
		judgedBy, _ := r.Header(topology.HeaderOrders)
		if string(judgedBy) == mark && now.Before(r.Time.Add(stay)) {
			return result, consumer.NotYet{Until: now.Add(lookInterval)}
		}
		result.Out = append(result.Out, h.judge(r, orders, mark, now))
		result.Handled++
	}
	return result, nil
}

// judge puts a job back in line if an order still pauses it, and else sends it
// home, where a kill, its expiry or whatever is wrong with it is looked at.
func (h *Handler) judge(r *topology.Record, orders *control.Orders, mark string, now time.Time) topology.Record {
	out := topology.Record{Topic: h.Names.Jobs(h.Lane), Key: r.Key, Value: r.Value}
	job, err := topology.DecodeJob(r.Value)
	if err == nil && (job.Expires.IsZero() || now.Before(job.Expires)) {
		header, _ := r.Header(topology.HeaderPausedProviders)
		providers := control.SplitProviders(header)
		facts := control.FactsOf(&job)
		if verdict, byProviders := orders.Judge(&facts, providers, now); verdict.Paused() {
			out.Headers = r.Headers
			if !byProviders {
				providers = nil
			}
			return h.Names.Pausing(h.Lane, out, mark, providers)
		}
	}
	out.Headers = topology.Released(r.Headers, now)
	return out
}
