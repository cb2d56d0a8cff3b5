package deliver

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/tracing"
	"github.com/meddela/meddela/topology"
)

// delivery is one record's job on its way through the stages, each of which
// notes here what it has found out.
type delivery struct {
	record   *topology.Record
	foreign  bool            // it is for another Handler
	fault    *topology.Fault // why the record is no job
	job      topology.Job
	first    *delivery // of the job's first record in the batch, whose outcome is also this one's
	event    topology.Event
	eventErr error    // why the event cannot be read
	template Template // nil when this version is not known
	policy   *Policy
	route    route // empty when there is no provider for the channel

	wait      *wait         // where it goes, if hold found that it must wait
	to        string        // where the message goes
	unfit     ending        // of a job whose address is none
	barred    ending        // of a job that is not to be sent at all, as hold and gate found
	claim     claimState    // the last answer to a claim
	left      time.Duration // of another owner's lease, if it is leased
	ours      bool          // it is claimed, or may be, and nothing was begun
	span      *tracing.Span // of the attempt; nil if there was none or it is not traced
	throttled bool          // nothing was tried: a limit left no room in time
	early     bool          // as pipeline.early counts it
	late      provider.Late // the provider has the message, and has not answered yet
	outcome   outcome
	settled   bool // the outcome is the one that stands
}

// slots are those of the provider whose answer takes its time; nil if none does.
func (d *delivery) slots() chan struct{} {
	if p, ok := d.route.provider.(provider.Instant); ok && p.Instant(&d.job) {
		return nil
	}
	return d.route.slots
}

// wantedAt is when a job's message was wanted: when its event was received, or
// was due, or had waited as it was to. A retry is late all the same.
func (d *delivery) wantedAt() time.Time {
	var held time.Time
	if d.job.Attempt == 1 {
		held = topology.HeldUntil(d.record)
	}
	return slices.MaxFunc([]time.Time{d.job.ReceivedAt, d.job.NotBefore, held}, time.Time.Compare)
}

// clock is the time for a job: by another process's clock, a little ahead, it may have
// come until when the job was held, which would be held again at once, and again.
func (d *delivery) clock(now time.Time) time.Time {
	if held := topology.HeldUntil(d.record); held.After(now) && !held.After(now.Add(time.Minute)) {
		return held
	}
	return now
}

var noPolicy Policy

// read reads the batch's jobs up to the first that must wait: for an earlier
// attempt in the same batch, or for its template, of which the error says why it
// cannot be looked up. The loop hands over the rest again.
func (h *Handler) read(ctx context.Context, records []topology.Record) ([]delivery, error) {
	all := make([]delivery, len(records))
	first := make(map[topology.JobID]*delivery, len(records))
	caughtUp := false
	for i := range records {
		d := &all[i]
		var err error
		d.record, d.policy = &records[i], &noPolicy
		d.job, err = topology.DecodeJob(d.record.Value)
		d.fault, _ = errors.AsType[*topology.Fault](err)
		channel := d.job.Channel
		if d.fault != nil {
			channel = channelOf(d.record)
		}
		if d.foreign = channel != cmp.Or(h.config.Channel, channel); d.foreign || d.fault != nil {
			continue
		}
		d.event, d.eventErr = d.job.DecodeEvent(d.record.Headers)
		if d.first = first[d.job.JobID]; d.first != nil {
			if d.job.Attempt > d.first.job.Attempt {
				return all[:i], nil
			}
			continue
		}
		d.first, first[d.job.JobID] = d, d
		d.template = h.config.Templates.Template(d.job.Template)
		if d.template == nil && !caughtUp { // it may have been published a moment ago
			if err := h.catchUp(ctx); err != nil {
				return all[:i], err
			}
			caughtUp = true
			d.template = h.config.Templates.Template(d.job.Template)
		}
		if d.template != nil {
			d.policy = d.template.Policy()
		}
		d.route = h.routes[d.job.Channel]
	}
	return all, nil
}

// channelOf is whose a record is that is no job: its header says so, by which others
// have passed it over, and else it is e-mail's.
func channelOf(r *topology.Record) topology.Channel {
	header, _ := r.Header(topology.HeaderChannel)
	if channel := topology.Channel(header); slices.Contains(topology.Channels(), channel) {
		return channel
	}
	return topology.Email
}

func (h *Handler) catchUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return h.config.Templates.CatchUp(ctx)
}
