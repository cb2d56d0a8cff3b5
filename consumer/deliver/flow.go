package deliver

import (
	"context"
	"sync"
	"time"

	"github.com/meddela/meddela/consumer"
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

// deliver brings every task to an outcome. The tasks that wait for no provider
// go one after the other; of the others, each provider's go at the same time.
func (d *batch) deliver(ctx context.Context) error {
	flows := d.flows()
	errs := make([]error, len(flows))
	var all sync.WaitGroup
	for i := 1; i < len(flows); i++ {
		all.Go(func() { errs[i] = flows[i].run(ctx) })
	}
	if len(flows) > 0 {
		errs[0] = flows[0].run(ctx)
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// flow takes some of a batch's tasks through claim, send and settle. What it
// has claimed is sent or released when it ends, and settled or left to the
// Handler.
type flow struct {
	*batch
	route *route // nil for tasks that wait for no provider
	tasks []*task

	todo []*task // not claimed yet
	held []*task // other deliverers have them
	poll time.Duration
	err  error // why it cannot go on

	began    time.Time
	inFlight int
	finished []*task // sent, not settled
	refused  bool    // the gate could not say
	work     chan *task
	done     chan *task
	workers  sync.WaitGroup
	started  int
}

// flows sorts the tasks by what they wait for.
func (d *batch) flows() []*flow {
	var flows []*flow
	for i := range d.tasks {
		t := &d.tasks[i]
		if t.idle() {
			continue
		}
		f := flowOf(flows, d.waitsFor(t))
		if f == nil {
			f = &flow{batch: d, route: d.waitsFor(t), tasks: make([]*task, 0, len(d.tasks)-i), poll: minPoll, began: time.Now()}
			flows = append(flows, f)
		}
		f.tasks = append(f.tasks, t)
	}
	for _, f := range flows {
		f.todo = f.tasks
	}
	return flows
}

func flowOf(flows []*flow, r *route) *flow {
	for _, f := range flows {
		if f.route == r || f.route != nil && r != nil && f.route.slots == r.slots {
			return f
		}
	}
	return nil
}

// waitsFor is the route whose provider takes its time to answer for the task;
// nil if none does.
func (d *batch) waitsFor(t *task) *route {
	r := d.routes[t.job.Channel]
	if r == nil || r.instant != nil && r.instant.Instant(&t.job) {
		return nil
	}
	return r
}

func (f *flow) run(ctx context.Context) error {
	defer f.stop()
	for ctx.Err() == nil && f.err == nil {
		consumer.Moves(ctx)
		switch {
		case f.inFlight == 0 && f.isOverdue():
			return nil
		case f.isOverdue():
			f.collect(ctx)
		case len(f.todo) > 0 && f.route == nil:
			f.sendInPlace(ctx)
		case len(f.todo) > 0:
			f.dispatch(ctx)
		case f.inFlight > 0:
			f.collect(ctx)
		case len(f.held) > 0:
			f.waitForHolders(ctx)
		default:
			return nil
		}
	}
	for f.inFlight > 0 {
		f.collect(ctx)
	}
	if ctx.Err() != nil || f.refused {
		f.release(ctx)
	}
	if f.err == nil {
		f.err = ctx.Err()
	}
	return f.err
}

// isOverdue tells whether the batch has been handled for long enough, and has
// something to show for it.
func (f *flow) isOverdue() bool {
	if len(f.todo)+len(f.held) == 0 || time.Since(f.began) < handleTime {
		return false
	}
	return f.tasks[0].settled
}

// claim claims tasks and returns those that are to be sent now. The others
// are settled, or held, or have an error.
func (f *flow) claim(ctx context.Context, tasks []*task) []*task {
	tasks = f.putOff(tasks)
	if len(tasks) == 0 {
		return nil
	}
	if err := f.claims.claim(ctx, f.owner, tasks); err != nil {
		f.err = err
	}
	ours := tasks[:0:0]
	for _, t := range tasks {
		switch t.claim {
		case granted, takenOver, doubted:
			ours = append(ours, t)
		case heldBack:
			f.held = append(f.held, t)
		case settledBefore:
			t.settled = true
			f.Counters.Repeated.Add(1)
		case unreadable:
			t.outcome, t.settled = f.unreadable(t), true
		}
	}
	if len(ours) > 0 {
		f.poll = minPoll
	}
	if err := f.ask(ctx, ours); err != nil {
		f.err, f.refused = err, true
		return nil
	}
	return ours
}

// sendInPlace claims, sends and settles tasks one after the other, as many as
// surely end within the lease.
func (f *flow) sendInPlace(ctx context.Context) {
	began := time.Now()
	n := min(len(f.todo), maxClaims)
	ours := f.claim(ctx, f.todo[:n])
	f.todo = f.todo[n:]
	sending := context.WithoutCancel(ctx)
	sent := 0
	for sent < len(ours) && ctx.Err() == nil && time.Since(began) < f.Lease-f.SendTimeout {
		ours[sent].begun = true
		ours[sent].outcome = f.observed(sending, ours[sent])
		ours[sent].noRoom = false // a provider that waits for room is not asked here
		sent++
	}
	f.settle(ctx, ours[:sent])
	if sent < len(ours) {
		f.todo = append(ours[sent:len(ours):len(ours)], f.todo...)
	}
}

// dispatch claims as many tasks as can be sent at once, and starts them.
func (f *flow) dispatch(ctx context.Context) {
	slots := f.takeSlots(ctx)
	if slots > 0 {
		ours := f.claim(ctx, f.todo[:slots])
		f.todo = f.todo[slots:]
		for _, t := range ours {
			if ctx.Err() == nil {
				f.start(ctx, t)
				slots--
			}
		}
		f.giveSlots(slots)
	}
	f.settleFinished(ctx)
}

// takeSlots waits for a slot and takes those that are free. It takes none when
// a send ends first, or ctx.
func (f *flow) takeSlots(ctx context.Context) int {
	select {
	case f.route.slots <- struct{}{}:
	case t := <-f.done:
		f.finish(t)
		return 0
	case <-ctx.Done():
		return 0
	}
	n := 1
	for n < min(len(f.todo), maxClaims) {
		select {
		case f.route.slots <- struct{}{}:
			n++
		default:
			return n
		}
	}
	return n
}

func (f *flow) giveSlots(n int) {
	for range n {
		<-f.route.slots
	}
}

// start hands a task to a worker. Workers are started as they are needed.
func (f *flow) start(ctx context.Context, t *task) {
	t.begun = true
	if f.work == nil {
		f.work = make(chan *task, cap(f.route.slots))
		f.done = make(chan *task, cap(f.route.slots))
	}
	f.inFlight++
	if f.started < f.inFlight {
		f.started++
		f.workers.Go(func() { f.sendAll(context.WithoutCancel(ctx)) })
	}
	f.work <- t
}

func (f *flow) sendAll(ctx context.Context) {
	for t := range f.work {
		t.outcome = f.attemptInTime(ctx, t)
		<-f.route.slots
		f.done <- t
	}
}

func (f *flow) attemptInTime(ctx context.Context, t *task) outcome {
	ctx, cancel := context.WithTimeout(ctx, f.SendTimeout)
	defer cancel()
	return f.observed(ctx, t)
}

func (f *flow) finish(t *task) {
	f.inFlight--
	f.finished = append(f.finished, t)
}

// putBack gives up the claims of finished tasks that there was no room for, so
// that they are as they came.
func (f *flow) putBack(ctx context.Context) {
	var back []*task
	sent := f.finished[:0]
	for _, t := range f.finished {
		if t.noRoom {
			t.noRoom, t.begun = false, false
			back = append(back, t)
		} else {
			sent = append(sent, t)
		}
	}
	f.finished = sent
	if len(back) > 0 {
		f.giveUp(ctx, back)
		f.todo = append(back, f.todo...)
	}
}

// collect waits for a send to end, and settles it with those that have ended
// too.
func (f *flow) collect(ctx context.Context) {
	f.finish(<-f.done)
	f.settleFinished(ctx)
}

func (f *flow) settleFinished(ctx context.Context) {
	for f.inFlight > 0 {
		select {
		case t := <-f.done:
			f.finish(t)
			continue
		default:
		}
		break
	}
	f.putBack(ctx)
	f.settle(ctx, f.finished)
	f.finished = f.finished[:0]
}

// waitForHolders waits a little for the deliverers that have the held tasks to
// settle them, at most until the first of their leases ends.
func (f *flow) waitForHolders(ctx context.Context) {
	wait := f.poll
	for _, t := range f.held {
		wait = min(wait, t.heldFor)
	}
	sleep(ctx, wait)
	f.poll = min(2*f.poll, maxPoll)
	f.todo, f.held = f.held, nil
}

// stop ends the workers, which have nothing left to do.
func (f *flow) stop() {
	if f.work != nil {
		close(f.work)
		f.workers.Wait()
	}
}

// sleep waits, and reports whether ctx did not end before.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
