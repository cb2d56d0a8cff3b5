package deliver

import (
	"cmp"
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/consumer/deliver/recipient/suppress"
	"github.com/meddela/meddela/consumer/tracing"
	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/retry"
)

const (
	// maxClaims is how many jobs are claimed in one call at most.
	maxClaims = 500
	// handleTime is how long a batch may be handled while there is something to
	// hand back: what is sent is to be known soon, whatever is behind it.
	handleTime = 250 * time.Millisecond
	// patience is how long that waits for sends that hang before others begin again.
	patience = time.Second
	// Bounds of the time between two looks at jobs that other deliverers have.
	minPoll, maxPoll = 5 * time.Millisecond, 500 * time.Millisecond
)

// deliver brings deliveries to their outcomes. Those that wait for no provider go
// one after the other; of the others, each provider's go at the same time.
func (h *Handler) deliver(ctx context.Context, deliveries []delivery, owner string, trace *tracing.Batch) (err error) {
	var pipelines []*pipeline
	for i := range deliveries {
		d := &deliveries[i]
		if d.first != d {
			continue // no job of ours, or one that is on its way already
		}
		slots := d.slots()
		at := slices.IndexFunc(pipelines, func(p *pipeline) bool { return p.slots == slots })
		if at < 0 {
			at = len(pipelines)
			pipelines = append(pipelines, &pipeline{
				Handler: h, owner: owner, trace: trace, slots: slots, began: time.Now(), poll: minPoll, leaseLeft: maxPoll,
				queue: make(chan *delivery, cap(slots)), done: make(chan *delivery, cap(slots)),
				deliveries: make([]*delivery, 0, len(deliveries)-i),
			})
		}
		pipelines[at].deliveries = append(pipelines[at].deliveries, d)
	}
	var all sync.WaitGroup
	for _, p := range pipelines {
		all.Go(func() {
			defer func() {
				if cause := recover(); cause != nil {
					p.crash = fmt.Errorf("%v\n%s", cause, debug.Stack())
					p.settleFinished(ctx)() // its workers have ended
				}
			}()
			p.run(ctx)
		})
	}
	all.Wait()
	for _, p := range pipelines {
		if p.crash != nil {
			panic(p.crash) // the loop, which isolates the record, recovers in this goroutine only
		}
		err = cmp.Or(err, p.err)
	}
	return err
}

// pipeline takes some of a batch's deliveries through the stages: hold, claim
// and gate (prepare), render and send, and settle. One goroutine runs it; its
// workers only send.
type pipeline struct {
	*Handler

	owner      string // of the claims
	trace      *tracing.Batch
	deliveries []*delivery
	slots      chan struct{} // of the provider; nil where none takes its time
	began      time.Time

	todo      []*delivery // to be claimed
	leased    []*delivery // other deliverers have them
	leaseLeft time.Duration
	poll      time.Duration
	finished  []*delivery // sent, and not settled

	queue   chan *delivery // to be sent by workers
	done    chan *delivery // sent by them
	busy    int            // deliveries that are queued and not taken from done yet
	overAt  time.Time      // when the time was over; those of the busy that began before are
	early   int
	started int // workers, as many as were ever busy
	workers sync.WaitGroup

	err     error // why it cannot go on
	refused bool  // the gate could not say
	crash   error
}

func (p *pipeline) run(ctx context.Context) {
	defer p.workers.Wait()
	defer close(p.queue)
	p.todo = p.deliveries
	for ctx.Err() == nil && p.err == nil {
		consumer.Alive(ctx)
		overdue := p.overdue()
		switch {
		case !overdue && len(p.todo) > 0:
			p.start(ctx)
		case p.busy > 0:
			p.collect(ctx)
		case !overdue && len(p.leased) > 0:
			p.waitForLeases(ctx)
		default:
			return
		}
	}
	for p.busy > 0 {
		p.collect(ctx)
	}
	if ctx.Err() != nil || p.refused {
		// So that the next deliverer need not wait for the lease, nor think that
		// it may have been sent.
		p.giveUp(ctx, slices.DeleteFunc(p.deliveries, func(d *delivery) bool { return !d.ours }))
	}
	p.err = cmp.Or(p.err, ctx.Err())
}

// overdue reports whether the batch has been handled for long enough, and has
// something to show for it; but while a send hangs, others may as well begin.
func (p *pipeline) overdue() bool {
	if len(p.todo)+len(p.leased) == 0 || time.Since(p.began) < handleTime || !p.deliveries[0].settled {
		return false
	}
	if p.overAt.IsZero() {
		p.overAt = time.Now()
	}
	return p.early == 0 || time.Since(p.overAt) < patience
}

// start prepares and sends as many deliveries as can be sent at once, and settles
// what was sent before along with their claims. Those that would perhaps not end
// within their lease stay claimed and come next.
func (p *pipeline) start(ctx context.Context) {
	slots, began := p.takeSlots(ctx), time.Now()
	defer func() { // also when a stage crashes
		for ; p.slots != nil && slots > 0; slots-- {
			<-p.slots
		}
	}()
	next := p.todo[:slots]
	p.todo = p.todo[slots:]
	ready := func() []*delivery {
		defer p.settleFinished(ctx)() // before anything else is sent, and if a stage crashes too
		return p.prepare(ctx, next)
	}()
	if p.slots == nil {
		defer func() { p.settleFinished(ctx)() }()
	}
	for i, d := range ready {
		late := time.Since(began) >= p.config.Lease-p.config.SendTimeout
		if late || ctx.Err() != nil {
			p.todo = slices.Concat(ready[i:], p.todo)
			return
		}
		d.ours = false
		if p.slots == nil {
			p.send(context.WithoutCancel(ctx), d, p.trace)
			d.throttled = false // who answers at once has no room that could become free
			p.finished = append(p.finished, d)
			continue
		}
		slots--
		if d.early = p.overAt.IsZero(); d.early {
			p.early++
		}
		if p.busy++; p.started < p.busy {
			p.started++
			p.workers.Go(func() { p.work(context.WithoutCancel(ctx)) })
		}
		p.queue <- d
	}
}

// takeSlots waits for a slot, or for a send or ctx to end, and takes those that
// are free.
func (p *pipeline) takeSlots(ctx context.Context) (n int) {
	most := min(len(p.todo), maxClaims)
	if p.slots == nil {
		return most
	}
	select {
	case p.slots <- struct{}{}:
		n = 1
	case d := <-p.done: // which has given back its own
		p.finish(d)
	case <-ctx.Done():
		return 0
	}
	for ; n < most; n++ {
		select {
		case p.slots <- struct{}{}:
		default:
			return n
		}
	}
	return most
}

// prepare takes deliveries through the stages before sending, and returns those
// that are to be sent now.
func (p *pipeline) prepare(ctx context.Context, deliveries []*delivery) []*delivery {
	ready := p.hold(deliveries)
	if len(ready) == 0 {
		return nil
	}
	suppressed := p.find(ctx, ready)
	p.err = p.claim(ctx, p.owner, ready)
	p.refused = p.err != nil
	err := bar(ready, suppressed)
	ready = slices.DeleteFunc(ready, func(d *delivery) bool { return !p.take(d) })
	if err == nil {
		err = p.admit(ctx, ready)
	}
	if err != nil && len(ready) > 0 {
		p.err, p.refused = err, true
		return nil
	}
	return ready
}

// take reports whether a claim was granted, and puts the other jobs where their
// claims say.
func (p *pipeline) take(d *delivery) bool {
	d.ours = d.claim <= ambiguous
	switch d.claim {
	case granted, leaseExpired, ambiguous:
		p.poll = minPoll
		return true
	case leased:
		if d.left > p.config.Lease { // as for a late answer, or of a process with a longer lease
			p.waits(d)
			break
		}
		p.leased, p.leaseLeft = append(p.leased, d), min(p.leaseLeft, d.left)
	case settled:
		p.Counters.Duplicates.Add(1)
		d.settled = true
	case unreadable:
		d.conclude(failure(topology.ReasonAmbiguous,
			"the job's claim in Redis cannot be read, so whether it was sent is not known"), p.config.Now())
	}
	return false
}

// find begins the third stage, the gate, along with the claims: it looks up which
// recipients are suppressed.
func (h *Handler) find(ctx context.Context, deliveries []*delivery) (wait func() ([]suppress.Answer, error)) {
	if h.config.Gate == nil {
		return func() ([]suppress.Answer, error) { return nil, nil }
	}
	return h.config.Gate.Find(ctx, queriesOf(deliveries))
}

// admit ends it: it counts the jobs that are about to be sent.
func (h *Handler) admit(ctx context.Context, deliveries []*delivery) error {
	open := slices.DeleteFunc(slices.Clone(deliveries), func(d *delivery) bool { return d.barred != ending{} })
	if h.config.Gate == nil || len(open) == 0 {
		return nil
	}
	return bar(open, func() ([]suppress.Answer, error) { return h.config.Gate.Admit(ctx, queriesOf(open)) })
}

func queriesOf(deliveries []*delivery) []suppress.Query {
	queries := make([]suppress.Query, len(deliveries))
	for i, d := range deliveries {
		queries[i] = suppress.Query{
			Channel: d.job.Channel, Address: d.job.To, Job: d.job.JobID, Urgent: d.policy.Urgent,
		}
	}
	return queries
}

// bar keeps jobs from being sent. One that has been killed stays so, whatever the
// gate answers.
func bar(deliveries []*delivery, answers func() ([]suppress.Answer, error)) error {
	all, err := answers()
	for i, answer := range all {
		if d := deliveries[i]; d.barred == (ending{}) && answer.Reason != topology.NoReason {
			d.barred = ending{topology.Ignored, answer.Reason, answer.Detail}
		}
	}
	return err
}

// work sends what is queued, and gives back a slot for each.
func (p *pipeline) work(ctx context.Context) {
	for d := range p.queue {
		sending, cancel := context.WithTimeout(ctx, p.config.SendTimeout)
		p.send(sending, d, p.trace)
		cancel()
		<-p.slots
		p.done <- d
	}
}

func (p *pipeline) finish(d *delivery) {
	p.busy--
	if d.early {
		p.early--
	}
	p.finished = append(p.finished, d)
}

// collect waits, for a while, for a send to end, and settles it with those that have.
func (p *pipeline) collect(ctx context.Context) {
	select {
	case d := <-p.done:
		p.finish(d)
		p.settleFinished(ctx)()
	case <-time.After(patience):
		p.todo, p.leased = append(p.todo, p.leased...), nil
	}
}

// settleFinished begins to settle what has been sent, and returns what waits for
// that.
func (p *pipeline) settleFinished(ctx context.Context) (wait func()) {
	for len(p.done) > 0 { // and nobody else takes from it
		p.finish(<-p.done)
	}
	var throttled []*delivery // which are as they came
	finished := slices.DeleteFunc(p.finished, func(d *delivery) bool {
		if d.throttled {
			d.ours = true
			throttled = append(throttled, d)
		}
		return d.throttled
	})
	if len(throttled) > 0 {
		p.giveUp(ctx, throttled)
		p.todo = append(throttled, p.todo...)
	}
	p.finished = nil
	return p.settle(ctx, finished)
}

// waitForLeases waits a little for the deliverers that have leased jobs to
// settle them, at most until the first of their leases ends.
func (p *pipeline) waitForLeases(ctx context.Context) {
	retry.Sleep(ctx, min(p.poll, p.leaseLeft))
	p.poll, p.leaseLeft = min(2*p.poll, maxPoll), maxPoll
	p.todo, p.leased = p.leased, nil
}

// giveUp releases the claims of jobs for which nothing was begun.
func (p *pipeline) giveUp(ctx context.Context, claimed []*delivery) {
	if len(claimed) == 0 {
		return
	}
	last, cancel := p.withGrace(ctx)
	defer cancel()
	if err := p.release(last, p.owner, claimed); err != nil {
		p.releasing.Warn(func(n int) {
			p.config.Log.Warn().Err(err).Int("claims", len(claimed)).Int("times", n).
				Msg("claims of jobs that were not sent cannot be released; they end by themselves")
		})
		return
	}
	for _, d := range claimed {
		d.ours = false
	}
}
