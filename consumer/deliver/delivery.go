package deliver

import (
	"context"
	"errors"
	"time"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/tracing"
	"github.com/meddela/meddela/topology"
)

// delivery is one record's job, with what is needed to deliver it. It does not
// change once it is read.
type delivery struct {
	index    int // in the batch
	record   *topology.Record
	job      topology.Job
	fault    *topology.Fault // why the record is no job
	foreign  bool            // it is for another Handler
	first    int             // the index of the job's first record in the batch, whose result is also this one's
	event    topology.Event
	eventErr error    // why the event cannot be read
	template Template // nil when this version is not known
	policy   *Policy
	route    *route // nil when there is no provider for the channel
}

// idle reports whether there is nothing to deliver.
func (d *delivery) idle() bool { return d.foreign || d.fault != nil || d.first != d.index }

// expired reports whether the job's validity has ended.
func (d *delivery) expired(now time.Time) bool {
	return !d.job.Expires.IsZero() && !now.Before(d.job.Expires)
}

// route is the way to a channel's provider.
type route struct {
	provider provider.Provider
	names    []string         // of the providers that it chooses among
	instant  provider.Instant // nil if the provider has no such answers
	slots    chan struct{}    // one for each message that is with the provider
}

func newRoute(p provider.Provider, slots chan struct{}) *route {
	instant, _ := p.(provider.Instant)
	names := []string{p.Name()}
	if several, ok := p.(provider.Composite); ok {
		names = several.Names()
	}
	return &route{provider: p, names: names, instant: instant, slots: slots}
}

// slots are those of the provider whose answer takes its time; nil if none does.
func (d *delivery) slots() chan struct{} {
	if d.route == nil || d.route.instant != nil && d.route.instant.Instant(&d.job) {
		return nil
	}
	return d.route.slots
}

// providers are the names of those that may take the message.
func (d *delivery) providers() []string {
	if d.route == nil {
		return nil
	}
	return d.route.names
}

// batch is one partition's records and what became of them.
type batch struct {
	owner      string // of the claims
	trace      *tracing.Batch
	deliveries []delivery
	results    []*result // by index; nil until there is an outcome that stands
}

var noPolicy Policy

// read reads the batch's jobs up to the first that must wait: for an earlier
// attempt in the same batch, or for its template, of which the error says why it
// cannot be looked up. The loop hands over the rest again.
func (h *Handler) read(ctx context.Context, records []topology.Record) ([]delivery, error) {
	all := make([]delivery, len(records))
	first := make(map[topology.JobID]int, len(records))
	caughtUp := false
	for i := range records {
		d := &all[i]
		d.index, d.first, d.record = i, i, &records[i]
		d.decode()
		if d.foreign = h.isForeign(d); d.foreign || d.fault != nil {
			continue
		}
		if earlier, ok := first[d.job.JobID]; ok {
			if d.job.Attempt > all[earlier].job.Attempt {
				return all[:i], nil
			}
			d.first = earlier
			continue
		}
		first[d.job.JobID] = i
		var known bool
		if d.template, known = h.config.Templates.Template(d.job.Template); !known && !caughtUp {
			// It may have been published a moment ago.
			if err := h.catchUp(ctx); err != nil {
				return all[:i], err
			}
			caughtUp = true
			d.template, known = h.config.Templates.Template(d.job.Template)
		}
		d.policy = &noPolicy
		if known {
			d.policy = d.template.Policy()
		} else {
			d.template = nil
		}
		d.event, d.eventErr = d.job.DecodeEvent(d.record.Headers)
		d.route = h.routes[d.job.Channel]
	}
	return all, nil
}

func (d *delivery) decode() {
	var err error
	if d.job, err = topology.DecodeJob(d.record.Value); err == nil {
		return
	}
	if !errors.As(err, &d.fault) {
		d.fault = &topology.Fault{Reason: topology.ReasonInvalid, Detail: "the record cannot be read as a job"}
	}
}

// isForeign reports whether a record is another channel's Handler's.
func (h *Handler) isForeign(d *delivery) bool {
	switch {
	case h.config.Channel == "":
		return false
	case d.fault != nil:
		return h.config.Channel != topology.Email
	}
	return d.job.Channel != h.config.Channel
}

// catchUpTime bounds one try to catch up with the templates.
const catchUpTime = 30 * time.Second

func (h *Handler) catchUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, catchUpTime)
	defer cancel()
	return h.config.Templates.CatchUp(ctx)
}
