// Package tasks publishes events again by the thousand: those of dead letters, and those of the
// delivery log that came to no good end.
//
// A task is what the tasks topic says of it: what it is to do, which does not change, who does it,
// and how far it is. Whoever does it may die at any moment, and another goes on. What is published
// twice by that is one message, for how often an event is redriven, of which its job's id is
// made, follows from what the task was to do.
package tasks

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
	"github.com/meddela/meddela/consumer/follow"
	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/retry"
)

// State is where a task is.
type State string

const (
	Running   State = "running"
	Paused    State = "paused" // by a person, or because too much failed again: until a person goes on with it
	Cancelled State = "cancelled"
	Done      State = "done"
	Refused   State = "refused" // another task of the lane was there first
)

// Task is what the topic says of one.
type Task struct {
	ID     string                `json:"task"`
	State  State                 `json:"state"`
	Epoch  int                   `json:"epoch"` // how often it has been begun and taken
	Actor  string                `json:"actor"` // the process that has it
	Spec   *topology.TaskSpec    `json:"spec"`
	Next   map[int]int64         `json:"next,omitempty"`
	Counts map[string]int64      `json:"counts,omitempty"`
	Held   string                `json:"held,omitempty"`
	At     time.Time             `json:"at"` // of the last word
	Log    []topology.TaskRecord `json:"log"`
	// Unattended is that it runs, and that nobody has said a word of it for a Lease.
	Unattended bool `json:"unattended,omitempty"`
}

// Over reports whether nobody will do more of it.
func (t *Task) Over() bool { return t.State != Running && t.State != Paused }

// Last is the latest that was done with it.
func (t *Task) Last() topology.TaskRecord { return t.Log[len(t.Log)-1] }

// said says who has stopped it, and why.
func (t *Task) said() string {
	return fmt.Sprintf("task %s was %s by %s: %s", t.ID, t.State, t.Last().By, cmp.Or(t.Last().Why, "no reason given"))
}

// after is the task after a record, and whether that changes it. Of two that take it in the same epoch the
// first has it; what an earlier owner says counts no more.
func (t Task) after(r *topology.TaskRecord, busy bool) (Task, bool) {
	byOwner := r.Epoch == t.Epoch && r.Actor == t.Actor
	switch {
	case r.Action == topology.TaskStart && t.Spec == nil:
		t = Task{ID: r.Task, State: Running, Spec: r.Spec, Epoch: r.Epoch, Actor: r.Actor}
		if busy {
			t.State = Refused
		}
	case t.Spec == nil || t.Over():
		return t, false
	case r.Action == topology.TaskProgress && byOwner:
		t.Next, t.Counts, t.Held, t.At = r.Next, r.Counts, r.Held, r.At
		return t, true
	case r.Action == topology.TaskTake && r.Epoch == t.Epoch+1 && (t.State == Running || !r.IfRunning):
		t.State, t.Epoch, t.Actor, t.Held = Running, r.Epoch, r.Actor, ""
	case r.Action == topology.TaskPause && (r.Epoch == 0 || byOwner):
		t.State = Paused
	case r.Action == topology.TaskCancel:
		t.State = Cancelled
	case r.Action == topology.TaskEnd && byOwner:
		t.State, t.Counts, t.Held = Done, r.Counts, ""
	default:
		return t, false
	}
	t.At, t.Log = r.At, append(slices.Clip(t.Log), *r)
	return t, true
}

// Tasks are all of a topic. They do not change.
type Tasks struct{ all map[string]Task }

// Get returns a task by its id.
func (ts *Tasks) Get(id string) (Task, bool) {
	t, known := ts.all[id]
	t.Unattended = t.State == Running && time.Since(t.At) > Lease
	return t, known
}

// All lists the tasks by id, which is by time.
func (ts *Tasks) All() []Task {
	list := make([]Task, 0, len(ts.all))
	for _, id := range slices.Sorted(maps.Keys(ts.all)) {
		t, _ := ts.Get(id)
		list = append(list, t)
	}
	return list
}

// Of is the task of a lane that is not over, if there is one.
func (ts *Tasks) Of(lane topology.Lane) (t Task, is bool) {
	for _, t = range ts.all {
		if t.Spec.Lane == lane && !t.Over() {
			return t, true
		}
	}
	return Task{}, false
}

func (ts *Tasks) apply(changes []follow.Change[topology.TaskRecord]) *Tasks {
	next := &Tasks{all: maps.Clone(ts.all)}
	if next.all == nil {
		next.all = make(map[string]Task)
	}
	for _, c := range changes {
		if c.Value == nil {
			continue // only records are forgotten
		}
		busy := false
		if c.Value.Spec != nil {
			_, busy = next.Of(c.Value.Spec.Lane)
		}
		if t, changed := next.all[c.Value.Task].after(c.Value, busy); changed {
			next.all[c.Value.Task] = t
		}
	}
	return next
}

// Follower keeps Tasks up to date with the topic.
type Follower = follow.Follower[Tasks]

// NewFollower makes a Follower. It connects to nothing yet.
func NewFollower(source follow.Source, log zerolog.Logger) *Follower {
	return follow.New(follow.Config[Tasks, topology.TaskRecord]{
		Source: source, What: "tasks", Key: "task, action, epoch and actor", Log: log,
		Decode: func(r *topology.Record) (string, *topology.TaskRecord, error) {
			t, err := topology.DecodeTask(r.Value)
			return t.Key(), &t, err
		},
		Apply: (*Tasks).apply,
	})
}

// Board is the tasks topic, to one process.
type Board struct {
	*Follower
	Topic     topology.Topic
	To        authoring.Writer
	Actor, By string
}

// NewID is an id of a task that begins now.
func NewID(now time.Time) string {
	return now.UTC().Format("20060102-150405-") + strings.ToLower(rand.Text()[:4])
}

// Say writes a record, of this process and of now.
func (b *Board) Say(ctx context.Context, r topology.TaskRecord) error {
	r.Actor, r.At = b.Actor, time.Now().UTC().Truncate(time.Millisecond)
	if r.Action != topology.TaskProgress {
		r.By = b.By
	}
	refused, err := b.To.Publish(ctx, 0, []topology.Record{{Topic: b.Topic, Key: []byte(r.Key()), Value: r.Append(nil)}})
	if err == nil && len(refused) > 0 {
		err = fmt.Errorf("the topic %s does not take it: it is larger than its max.message.bytes, or there is no right to "+
			"write there (meddela check --user operator)", b.Topic)
	}
	return err
}

// Do is Say, and returns the task as it is after that.
func (b *Board) Do(ctx context.Context, r topology.TaskRecord) (Task, error) {
	if err := b.Say(ctx, r); err != nil {
		return Task{}, fmt.Errorf("task %s: perhaps %s is not written: %w", r.Task, r.Action, err)
	}
	if err := b.CatchUp(ctx); err != nil {
		return Task{}, err
	}
	t, _ := b.Snapshot().Get(r.Task)
	return t, nil
}

// Lease is how long a task's owner may say nothing before another takes it.
const Lease = 10 * time.Second

const lookAgain = 200 * time.Millisecond

// Take makes this process the owner of a task: of one that runs when its owner has said nothing for a Lease,
// which is waited for here, for no clock but our own is to be trusted; of one that is paused if that is asked for. A
// task that is over is returned as it is.
func (b *Board) Take(ctx context.Context, id, why string, paused bool) (Task, error) {
	t, known := b.Snapshot().Get(id)
	if !known {
		return t, fmt.Errorf("there is no task %q: see meddela tasks list", id)
	}
	for end := time.Now().Add(Lease); t.State == Running && time.Now().Before(end); {
		retry.Sleep(ctx, lookAgain)
		now, _ := b.Snapshot().Get(id)
		switch {
		case ctx.Err() != nil:
			return now, ctx.Err()
		case now.State == Running && (now.At != t.At || now.Epoch != t.Epoch):
			return now, fmt.Errorf("task %s is being done by %s: meddela tasks pause %s stops it there", id, now.Actor, id)
		}
		t = now
	}
	if epoch := t.Epoch + 1; t.State == Running || t.State == Paused && paused {
		var err error
		t, err = b.Do(ctx, topology.TaskRecord{
			Task: id, Action: topology.TaskTake, Epoch: epoch, Why: why, IfRunning: !paused})
		if err == nil && t.State == Running && (t.Epoch != epoch || t.Actor != b.Actor) {
			err = fmt.Errorf("task %s was taken by %s at the same time", id, t.Actor)
		}
		if err != nil {
			return t, err
		}
	}
	if t.State == Paused {
		return t, fmt.Errorf("%s: meddela tasks resume --paused %s goes on with it, tasks cancel ends it", t.said(), id)
	}
	return t, nil
}
