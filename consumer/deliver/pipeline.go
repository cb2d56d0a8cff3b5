package deliver

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/retry"
)

const (
	// maxClaims is how many jobs are claimed in one call at most.
	maxClaims = 500
	// handleTime is how long a batch may be handled while there is something to
	// hand back: what is sent is to be known soon, whatever is behind it.
	handleTime = 250 * time.Millisecond
	// Bounds of the time between two looks at jobs that other deliverers have.
	minPoll, maxPoll = 5 * time.Millisecond, 500 * time.Millisecond
)

// deliver brings a batch's deliveries to their results. Those that wait for no
// provider go one after the other; of the others, each provider's go at the
// same time.
func (h *Handler) deliver(ctx context.Context, b *batch) error {
	var all errgroup.Group
	pipelines := h.pipelines(b)
	crashes := make(chan error, len(pipelines))
	for _, p := range pipelines {
		all.Go(func() error {
			defer func() {
				if cause := recover(); cause != nil {
					crashes <- fmt.Errorf("%v\n%s", cause, debug.Stack())
				}
			}()
			return p.run(ctx)
		})
	}
	err := all.Wait()
	select {
	case crash := <-crashes:
		panic(crash) // the loop, which isolates the record, recovers in this goroutine only
	default:
		return err
	}
}

// pipelines sorts a batch's deliveries by the provider that they wait for.
func (h *Handler) pipelines(b *batch) (all []*pipeline) {
	claimed := make([]bool, len(b.deliveries))
	for i := range b.deliveries {
		d := &b.deliveries[i]
		if d.idle() {
			continue
		}
		slots := d.slots()
		at := slices.IndexFunc(all, func(p *pipeline) bool { return p.slots == slots })
		if at < 0 {
			at = len(all)
			all = append(all, &pipeline{
				h: h, batch: b, slots: slots, claimed: claimed, poll: minPoll, leaseLeft: maxPoll, began: time.Now(),
				deliveries: make([]*delivery, 0, len(b.deliveries)-i),
			})
		}
		all[at].deliveries = append(all[at].deliveries, d)
	}
	for _, p := range all {
		p.todo = p.deliveries
	}
	return all
}

// pipeline takes some of a batch's deliveries through the stages: hold, claim
// and gate (prepare), render and send (the Handler's sender), and settle. One
// goroutine runs it; its workers only send.
type pipeline struct {
	h          *Handler
	batch      *batch
	deliveries []*delivery
	slots      chan struct{} // of the provider; nil where none takes its time
	began      time.Time

	todo      []*delivery // to be claimed
	leased    []*delivery // other deliverers have them
	leaseLeft time.Duration
	poll      time.Duration
	claimed   []bool // by index: it is claimed, or may be, and nothing was begun
	err       error  // why it cannot go on
	refused   bool   // the gate could not say

	workers  workers
	finished []*result // by workers, not settled
}

func (p *pipeline) run(ctx context.Context) error {
	p.workers = workers{limit: cap(p.slots), send: p.sendInTime(context.WithoutCancel(ctx))}
	defer p.workers.stop()
	for ctx.Err() == nil && p.err == nil {
		consumer.Alive(ctx)
		switch overdue := p.overdue(); {
		case p.workers.busy == 0 && overdue:
			return nil
		case overdue:
			p.collect(ctx)
		case len(p.todo) > 0:
			p.dispatch(ctx)
		case p.workers.busy > 0:
			p.collect(ctx)
		case len(p.leased) > 0:
			p.waitForLeases(ctx)
		default:
			return nil
		}
	}
	for p.workers.busy > 0 {
		p.collect(ctx)
	}
	if ctx.Err() != nil || p.refused {
		p.release(ctx)
	}
	if p.err == nil {
		p.err = ctx.Err()
	}
	return p.err
}

// overdue reports whether the batch has been handled for long enough, and has
// something to show for it.
func (p *pipeline) overdue() bool {
	if len(p.todo)+len(p.leased) == 0 || time.Since(p.began) < handleTime {
		return false
	}
	return p.batch.results[p.deliveries[0].index] != nil
}

// next takes the first n deliveries that are to be claimed.
func (p *pipeline) next(n int) []*delivery {
	next := p.todo[:n]
	p.todo = p.todo[n:]
	return next
}

// prepare takes deliveries through the stages before sending, and returns those
// that are to be sent now.
func (p *pipeline) prepare(ctx context.Context, deliveries []*delivery) []attempt {
	ready, held := hold(deliveries, p.h.config.Orders(), p.h.config.Now())
	p.keep(held)
	if len(ready) == 0 {
		return nil
	}
	claims, err := p.h.claims.claim(ctx, p.batch.owner, ready)
	if err != nil {
		p.err = err
	}
	ours := p.take(ready, claims)
	if err := ask(ctx, p.h.config.Gate, ours); err != nil {
		p.err, p.refused = err, true
		return nil
	}
	return ours
}

// take returns the attempts whose jobs were claimed, and puts the others where
// their claims say.
func (p *pipeline) take(ready []attempt, claims []claim) []attempt {
	ours := ready[:0]
	for i, a := range ready {
		c := &claims[i]
		p.claimed[a.index] = c.state <= ambiguous
		switch c.state {
		case granted, leaseExpired, ambiguous:
			a.claim = c.state
			ours = append(ours, a)
		case leased:
			p.leased, p.leaseLeft = append(p.leased, a.delivery), min(p.leaseLeft, c.left)
		case settled:
			p.h.Counters.Duplicates.Add(1)
			p.keep([]*result{{delivery: a.delivery, outcome: *c.outcome, settled: true}})
		case unreadable:
			end := failure(topology.ReasonAmbiguous,
				"the job's claim in Redis cannot be read, so whether it was sent is not known")
			p.keep([]*result{{delivery: a.delivery, outcome: newOutcome(&a.job, end, p.h.config.Now()), settled: true}})
		}
	}
	if len(ours) > 0 {
		p.poll = minPoll
	}
	return ours
}

// keep notes the results that stand.
func (p *pipeline) keep(results []*result) {
	for _, r := range results {
		if r.settled {
			p.batch.results[r.delivery.index] = r
		}
	}
}

// dispatch prepares and starts as many deliveries as can be sent at once, and
// settles what was sent.
func (p *pipeline) dispatch(ctx context.Context) {
	p.startNext(ctx)
	p.settleFinished(ctx)
}

// startNext prepares and starts deliveries. Those that are sent one after the
// other, and would perhaps not end within their lease, stay claimed and come
// next.
func (p *pipeline) startNext(ctx context.Context) {
	slots, began := p.takeSlots(ctx), time.Now()
	defer func() { p.giveSlots(slots) }() // also when a stage crashes
	ours := p.prepare(ctx, p.next(slots))
	for i := range ours {
		late := p.slots == nil && time.Since(began) >= p.h.config.Lease-p.h.config.SendTimeout
		if late || ctx.Err() != nil {
			p.todo = append(deliveriesOf(ours[i:]), p.todo...)
			break
		}
		p.claimed[ours[i].index] = false
		p.start(ctx, &ours[i])
		slots--
	}
}

func deliveriesOf(attempts []attempt) []*delivery {
	all := make([]*delivery, len(attempts))
	for i := range attempts {
		all[i] = attempts[i].delivery
	}
	return all
}

// start hands an attempt to a worker or, where nothing takes its time, sends it.
func (p *pipeline) start(ctx context.Context, a *attempt) {
	if p.slots != nil {
		p.workers.start(a)
		return
	}
	r := p.h.sender.send(context.WithoutCancel(ctx), a, p.batch.trace)
	r.throttled = false // who answers at once has no room that could become free
	p.finished = append(p.finished, r)
}

// takeSlots waits for a slot and takes those that are free. It takes none when
// a send ends first, or ctx.
func (p *pipeline) takeSlots(ctx context.Context) int {
	most := min(len(p.todo), maxClaims)
	if p.slots == nil {
		return most
	}
	select {
	case p.slots <- struct{}{}:
	case r := <-p.workers.done:
		p.finish(r)
		return 0
	case <-ctx.Done():
		return 0
	}
	n := 1
	for n < most {
		select {
		case p.slots <- struct{}{}:
			n++
		default:
			return n
		}
	}
	return n
}

// sendInTime returns what a worker does: it sends an attempt, and gives back its
// slot.
func (p *pipeline) sendInTime(ctx context.Context) func(*attempt) *result {
	return func(a *attempt) *result {
		ctx, cancel := context.WithTimeout(ctx, p.h.config.SendTimeout)
		defer cancel()
		defer p.giveSlots(1)
		return p.h.sender.send(ctx, a, p.batch.trace)
	}
}

func (p *pipeline) giveSlots(n int) {
	for range n {
		if p.slots == nil {
			return
		}
		<-p.slots
	}
}

func (p *pipeline) finish(r *result) {
	p.workers.busy--
	p.finished = append(p.finished, r)
}

// collect waits for a send to end, and settles it with those that have ended
// too.
func (p *pipeline) collect(ctx context.Context) {
	p.finish(<-p.workers.done)
	p.settleFinished(ctx)
}

func (p *pipeline) settleFinished(ctx context.Context) {
	for len(p.workers.done) > 0 { // and nobody else takes from it
		p.finish(<-p.workers.done)
	}
	var throttled []*delivery
	p.finished = slices.DeleteFunc(p.finished, func(r *result) bool {
		if r.throttled {
			p.claimed[r.delivery.index] = true
			throttled = append(throttled, r.delivery)
		}
		return r.throttled
	})
	if len(throttled) > 0 {
		// They are as they came.
		p.giveUp(ctx, throttled)
		p.todo = append(throttled, p.todo...)
	}
	p.settle(ctx, p.finished)
	p.finished = p.finished[:0]
}

// settle records results, and keeps those that were.
func (p *pipeline) settle(ctx context.Context, results []*result) {
	p.h.settler.settle(ctx, results)
	p.keep(results)
}

// waitForLeases waits a little for the deliverers that have leased jobs to
// settle them, at most until the first of their leases ends.
func (p *pipeline) waitForLeases(ctx context.Context) {
	retry.Sleep(ctx, min(p.poll, p.leaseLeft))
	p.poll, p.leaseLeft = min(2*p.poll, maxPoll), maxPoll
	p.todo, p.leased = p.leased, nil
}

// release gives up what was claimed and not begun, so that the next deliverer
// need not wait for the lease, nor think that it may have been sent.
func (p *pipeline) release(ctx context.Context) {
	var claimed []*delivery
	for _, d := range p.deliveries {
		if p.claimed[d.index] {
			claimed = append(claimed, d)
		}
	}
	if len(claimed) > 0 {
		p.giveUp(ctx, claimed)
	}
}

func (p *pipeline) giveUp(ctx context.Context, claimed []*delivery) {
	last, cancel := withGrace(ctx, p.h.settler.grace)
	defer cancel()
	if err := p.h.claims.release(last, p.batch.owner, claimed); err != nil {
		p.h.config.Log.Warn().Err(err).Int("claims", len(claimed)).
			Msg("claims of jobs that were not sent cannot be released; they end by themselves")
		return
	}
	for _, d := range claimed {
		p.claimed[d.index] = false
	}
}
