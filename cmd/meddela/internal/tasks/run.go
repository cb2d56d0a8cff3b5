package tasks

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/meddela/meddela/consumer/scan"
	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/retry"
)

// Published is the count of events that were published.
const Published = "published"

// Run does a task that this process has.
type Run struct {
	*Engine
	*Board
	Task Task
	// Behind says why the lane is too far behind for more events; nothing if it is not.
	Behind func(ctx context.Context) string

	turn   sync.Mutex // one partition at a time publishes; guards what follows heard
	mu     sync.Mutex // guards what is told of progress
	next   map[int]int64
	counts map[string]int64
	held   string

	heard  atomic.Pointer[time.Time] // when the topic last took our word: until a Lease after it nobody takes the task
	ends   ends
	began  time.Time // of the rate's rise; zero while the canary is out
	looked time.Time
	due    time.Time
}

const (
	beat      = time.Second     // how often the owner speaks
	lookEvery = 2 * time.Second // how often it looks how what it published fares
	canaryFor = 10 * time.Second
)

// Do publishes what there is to publish. Its error says why that is not all: the task was paused, cancelled or taken
// by somebody else, or has paused itself; or this process cannot go on, of which the topic is told nothing, so that
// another goes on after a Lease.
func (r *Run) Do(ctx context.Context, progress *scan.Progress) error {
	r.next, r.counts = maps.Clone(r.Task.Next), maps.Clone(r.Task.Counts)
	if r.next == nil {
		r.next, r.counts = make(map[int]int64), make(map[string]int64)
	}
	now := time.Now()
	r.heard.Store(&now)
	if r.counts[Published] >= canary {
		r.began = now
	}
	running, stop := context.WithCancelCause(ctx)
	var speaking sync.WaitGroup
	speaking.Go(func() { r.speak(running, stop) })
	err := r.walk(running, r.Task.Spec, maps.Clone(r.next), progress, func(partition int, items []Item, upTo int64) error {
		return r.give(running, partition, items, upTo)
	})
	stop(nil)
	speaking.Wait()
	if lost := progress.Lost.Load(); lost > 0 && r.Task.Spec.Kind == topology.RedriveLetters {
		r.counts[Unread] += lost // which are not walked again
	} else if lost > 0 {
		r.counts[Unread] = lost
	}
	return r.end(context.WithoutCancel(ctx), err)
}

// end says how it ended, where this process still has the task.
func (r *Run) end(ctx context.Context, err error) error {
	ctx, cancel := context.WithTimeout(ctx, Lease/2)
	defer cancel()
	if _, lost := errors.AsType[*lostError](err); lost {
		return err
	}
	said, id := r.tell(ctx), r.Task.ID
	_, fails := errors.AsType[*failingError](err)
	last, becomes := topology.TaskRecord{Task: id, Action: topology.TaskEnd, Epoch: r.Task.Epoch, Counts: r.counts}, Done
	if fails {
		last.Action, last.Why, becomes = topology.TaskPause, err.Error(), Paused
	}
	if fails || err == nil && said == nil {
		var now Task
		if now, said = r.Board.Do(ctx, last); said == nil {
			r.Task = now
		}
		if said == nil && now.State != becomes {
			said = fmt.Errorf("task %s is %s: what was published before that stays so", id, now.State)
		}
	}
	if errors.Is(err, context.Canceled) {
		err = errors.New("its process was stopped")
	}
	switch {
	case fails && said == nil:
		err = fmt.Errorf("task %s is paused, %w: meddela tasks resume --paused %s goes on with it, tasks cancel ends it",
			id, err, id)
	case errors.Is(err, scan.ErrAnew):
		err = fmt.Errorf("task %s cannot be done, %w; meddela tasks cancel %s ends this one", id, err, id)
	case err != nil:
		err = fmt.Errorf("task %s is not done, %w: meddela tasks resume %s goes on with it, tasks cancel ends it", id, err,
			id)
	}
	return errors.Join(err, said)
}

// failingError is that too much of what was published failed again.
type failingError struct{ failed, of int }

func (e *failingError) Error() string {
	return fmt.Sprintf("%d of the last %d that came to an end failed again", e.failed, e.of)
}

// lostError is that this process does not have the task any more.
type lostError struct{ text string }

func (e *lostError) Error() string { return e.text }

// speak tells of progress, and hears whether this process still has the task, until it has not.
func (r *Run) speak(ctx context.Context, stop context.CancelCauseFunc) {
	for retry.Sleep(ctx, beat) {
		began := time.Now()
		telling, cancel := context.WithTimeout(ctx, Lease/2)
		if r.tell(telling) == nil {
			r.heard.Store(&began)
		}
		cancel()
		t, _ := r.Snapshot().Get(r.Task.ID)
		switch {
		case t.Spec == nil: // the topic was emptied
			stop(&lostError{"task " + r.Task.ID + " is not on its topic any more"})
		case t.Epoch != r.Task.Epoch || t.Actor != r.Task.Actor:
			stop(&lostError{fmt.Sprintf("task %s was taken by %s: it goes on there", t.ID, t.Actor)})
		case t.State != Running:
			stop(&lostError{t.said()})
		case r.silent():
			stop(r.lost())
		}
	}
}

// silent reports whether somebody may have taken the task.
func (r *Run) silent() bool { return time.Since(*r.heard.Load()) >= Lease }

func (r *Run) lost() error {
	return &lostError{fmt.Sprintf("task %s was not told of for %s: somebody may have taken it", r.Task.ID, Lease)}
}

// tell writes how far the task is.
func (r *Run) tell(ctx context.Context) error {
	r.mu.Lock()
	p := topology.TaskRecord{Task: r.Task.ID, Action: topology.TaskProgress, Epoch: r.Task.Epoch, Held: r.held,
		Next: maps.Clone(r.next), Counts: maps.Clone(r.counts)}
	r.mu.Unlock()
	return r.Say(ctx, p)
}

// give publishes those of a partition's items that are not refused. What it has done counts as progress
// when all replicas have it, and not before.
func (r *Run) give(ctx context.Context, partition int, items []Item, upTo int64) error {
	for some := range slices.Chunk(items, atOnce) {
		if err := r.judge(ctx, r.Task.Spec, some); err != nil {
			return because(ctx, err)
		}
		for len(some) > 0 {
			n, err := r.step(ctx, partition, some)
			if err != nil {
				return because(ctx, err)
			}
			some = some[n:]
		}
	}
	r.pass(partition, nil, upTo)
	return because(ctx, ctx.Err())
}

// step publishes as many of the items as may go together, and returns how many it is past.
func (r *Run) step(ctx context.Context, partition int, items []Item) (past int, err error) {
	r.turn.Lock()
	defer r.turn.Unlock()
	var again []topology.Record
	confirmed := r.Task.Spec.Count - r.counts[Published]
	for n := r.size(); past < len(items) && len(again) < n; past++ {
		switch i := &items[past]; {
		case i.Refused != "":
		case int64(len(again)) >= confirmed:
			i.Refused = Unconfirmed
		default:
			again = append(again, r.Names.Again(r.Task.Spec.Lane, i.Record, i.ID, i.Receipt))
		}
	}
	if err := r.publish(ctx, again, items[:past]); err != nil {
		return 0, err
	}
	r.pass(partition, items[:past], items[past-1].Offset+1)
	return past, nil
}

// because is why the run was stopped, if it was.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && err != nil {
		return cause
	}
	return err
}

// pass counts what became of items, and moves on.
func (r *Run) pass(partition int, items []Item, upTo int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for k := range items {
		switch i := &items[k]; {
		case i.Refused != "":
			r.counts[i.Refused]++
		default:
			r.counts[Published]++
			r.ends.add(i.ID, i.Receipt.Redrives+1)
		}
	}
	if partition >= 0 {
		r.next[partition] = upTo
	}
}

// publish waits until it may, and publishes records to the partitions that they came from.
func (r *Run) publish(ctx context.Context, records []topology.Record, items []Item) error {
	if len(records) == 0 {
		return ctx.Err()
	}
	if err := r.wait(ctx, len(records)); err != nil {
		return err
	}
	byPartition := make(map[int][]topology.Record)
	for _, record := range records {
		byPartition[record.Partition] = append(byPartition[record.Partition], record)
	}
	var mu sync.Mutex
	rejected := make(map[topology.EventID]bool)
	group, publishing := errgroup.WithContext(ctx)
	for partition, some := range byPartition {
		group.Go(func() error {
			refused, err := r.To.Publish(publishing, partition, some)
			mu.Lock()
			defer mu.Unlock()
			for _, k := range refused {
				id, _ := some[k].Header(topology.HeaderEventID)
				rejected[topology.EventID(id)] = true
			}
			return err
		})
	}
	err := group.Wait()
	for k := range items {
		if items[k].Refused == "" && rejected[items[k].ID] {
			items[k].Refused = string(topology.ReasonTopicRejected)
		}
	}
	return err
}

// size is how many events go together.
func (r *Run) size() int {
	if r.began.IsZero() {
		return canary - int(min(r.counts[Published], canary-1))
	}
	return min(max(int(r.rate()/slow), 1), atOnce)
}

// rate is how many events go in a second now.
func (r *Run) rate() float64 {
	if r.began.IsZero() {
		return min(slow, r.Task.Spec.Rate)
	}
	return rateAfter(max(time.Since(r.began), 0), r.Task.Spec.Rate)
}

// wait returns when so many events may go: the lane is not behind, what was published fares well, the canary
// is back, and it is their turn.
func (r *Run) wait(ctx context.Context, n int) error {
	for held := true; held; {
		held = false
		if out := r.began.IsZero() && r.counts[Published] >= canary; out || time.Since(r.looked) >= lookEvery {
			behind, err := r.look(ctx)
			switch {
			case err != nil:
				return err
			case behind != "" && !r.began.IsZero():
				held, r.began = true, time.Now().Add(beat) // from where it rises anew
			case out && behind == "" && (len(r.ends.waiting) == 0 || time.Since(r.due) >= canaryFor):
				r.began = time.Now()
			default:
				held = out || behind != ""
			}
		}
		if held && !retry.Sleep(ctx, beat/2) {
			return ctx.Err()
		}
	}
	now := time.Now()
	wait := r.due.Sub(now)
	r.due = now.Add(max(wait, 0) + time.Duration(float64(n)/r.rate()*float64(time.Second)))
	if retry.Sleep(ctx, wait); r.silent() { // as after it was stopped for a while
		return r.lost()
	}
	return ctx.Err()
}

// look sees how what was published fares, and whether the lane is behind.
func (r *Run) look(ctx context.Context) (held string, err error) {
	ids := make([]topology.EventID, len(r.ends.waiting))
	for i := range ids {
		ids[i] = r.ends.waiting[i].id
	}
	answers, err := r.Statuses.GetMany(ctx, ids)
	if err != nil {
		return "", err
	}
	states := make([]topology.State, len(answers))
	for i := range answers {
		states[i] = answers[i].State
	}
	r.ends.settle(states)
	if failed, of, is := r.ends.failing(); is {
		return "", &failingError{failed, of}
	}
	if held = r.Behind(ctx); held == "" {
		r.looked = time.Now()
	}
	r.mu.Lock()
	r.held = held
	r.mu.Unlock()
	return held, nil
}
