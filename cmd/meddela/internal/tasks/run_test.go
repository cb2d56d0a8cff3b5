package tasks

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
	"github.com/meddela/meddela/consumer/scan"
	"github.com/meddela/meddela/consumer/status"
	"github.com/meddela/meddela/topology"
)

// world is an installation in memory: what is redriven comes to an end at once.
type world struct {
	*cluster
	t       *testing.T
	engine  *Engine
	mu      sync.Mutex
	states  map[topology.EventID]topology.State
	fails   func(n int) bool // whether the nth that is published fails again
	cut     map[string]bool  // actors that cannot write
	actors  int
	stopped []func()
}

func newWorld(t *testing.T, events int) *world {
	w := &world{cluster: newCluster(), t: t, states: map[topology.EventID]topology.State{}, cut: map[string]bool{},
		fails: func(int) bool { return false }}
	for i := range events {
		id := topology.EventID(fmt.Sprint("e", i))
		r := w.publishEvent(string(id), "loyalty")
		w.log(r, id, topology.DeliveryError, topology.ReasonBounced, 1)
		w.states[id] = stateOf(0, topology.DeliveryError, topology.ReasonBounced)
	}
	w.engine = w.cluster.engine(nil, catalogueOf(t, "loyalty", 0))
	w.engine.Statuses = w
	return w
}

func (w *world) GetMany(_ context.Context, ids []topology.EventID) ([]status.Answer, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	answers := make([]status.Answer, len(ids))
	for i, id := range ids {
		answers[i].State, answers[i].Found = w.states[id]
	}
	return answers, nil
}

// writer is what one process writes by.
type writer struct {
	*world
	actor string
}

func (w writer) Publish(ctx context.Context, partition int, records []topology.Record) ([]int, error) {
	w.mu.Lock()
	cut := w.cut[w.actor]
	w.mu.Unlock()
	if cut {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	_, _ = w.cluster.Publish(ctx, partition, records)
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range records {
		if r := &records[i]; r.Topic == names.Redrive(lane) {
			event, _ := topology.DecodeEvent(*r, lane)
			end := stateOf(topology.ReceiptOf(r).Redrives, topology.Sent, "")
			if w.fails(len(w.read(r.Topic)) - len(records) + i + 1) {
				end = stateOf(topology.ReceiptOf(r).Redrives, topology.DeliveryError, topology.ReasonBounced)
			}
			before := w.states[event.ID]
			before.Merge(&end)
			w.states[event.ID] = before
		}
	}
	return nil, nil
}

// Bounds and Fetch are those of the tasks topic.
func (w *world) Bounds(context.Context) (first, end int64, err error) {
	return 0, int64(len(w.read(names.Tasks()))), nil
}

func (w *world) Fetch(ctx context.Context, from int64) ([]topology.Record, int64, error) {
	time.Sleep(20 * time.Millisecond)
	records := w.read(names.Tasks())[from:]
	return records, from + int64(len(records)), ctx.Err()
}

// board is the topic to another process.
func (w *world) board() *Board {
	w.t.Helper()
	w.actors++
	actor := fmt.Sprint("p", w.actors)
	f := NewFollower(w, zerolog.Nop())
	ctx, cancel := context.WithCancel(w.t.Context())
	var running sync.WaitGroup
	running.Go(func() { f.Run(ctx) })
	w.stopped = append(w.stopped, func() { cancel(); running.Wait() })
	if err := f.AwaitReady(ctx); err != nil {
		w.t.Fatal(err)
	}
	return &Board{Follower: f, Topic: names.Tasks(), To: writer{w, actor}, Actor: actor, By: "kim"}
}

func (w *world) close() {
	for _, stop := range w.stopped {
		stop()
	}
}

func (w *world) start(b *Board, rate float64) Task {
	w.t.Helper()
	spec := w.resend(topology.TaskFilter{Statuses: []topology.Status{topology.DeliveryError}})
	spec.Rate = rate
	start := topology.TaskRecord{Task: NewID(time.Now()), Action: topology.TaskStart, Epoch: 1, Spec: spec}
	task, err := b.Do(w.t.Context(), start)
	if err != nil {
		w.t.Fatal(err)
	}
	return task
}

func (w *world) run(ctx context.Context, b *Board, task Task) error {
	run := Run{Engine: w.engine, Board: b, Task: task, Behind: func(context.Context) string { return "" }}
	return run.Do(ctx, new(scan.Progress))
}

// redriven wants each of the first n events published, and none in two generations.
func (w *world) redriven(n int) {
	w.t.Helper()
	seen := map[topology.EventID]bool{}
	for _, r := range w.read(names.Redrive(lane)) {
		event, _ := topology.DecodeEvent(r, lane)
		if seen[event.ID] = true; topology.ReceiptOf(&r).Redrives != 1 {
			w.t.Errorf("%s is redriven as number %d", event.ID, topology.ReceiptOf(&r).Redrives)
		}
	}
	if len(seen) != n {
		w.t.Errorf("%d events are published, want %d", len(seen), n)
	}
}

func (w *world) want(b *Board, id string, state State, why string) {
	w.t.Helper()
	if err := b.CatchUp(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	if task, _ := b.Snapshot().Get(id); task.State != state || !strings.Contains(task.Last().Why, why) {
		w.t.Errorf("task %s is %s, %q; want %s, %q", id, task.State, task.Last().Why, state, why)
	}
}

// inWorld runs a test in time that passes as fast as it can.
func inWorld(t *testing.T, events int, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, events)
		defer w.close()
		test(t, w)
	})
}

func TestARunToTheEnd(t *testing.T) {
	inWorld(t, 2000, func(t *testing.T, w *world) {
		b, began := w.board(), time.Now()
		task := w.start(b, 200)
		if err := w.run(t.Context(), b, task); err != nil {
			t.Fatal(err)
		}
		w.redriven(2000)
		w.want(b, task.ID, Done, "")
		if done, _ := b.Snapshot().Get(task.ID); done.Counts[Published] != 2000 {
			t.Errorf("counts %v", done.Counts)
		}
		// 10 s in which the rate rises to 200/s have 620 of them.
		if took := time.Since(began); took < 16*time.Second || took > 20*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

// TestWhatNobodyConfirmed is not published, but counted.
func TestWhatNobodyConfirmed(t *testing.T) {
	inWorld(t, 50, func(t *testing.T, w *world) {
		b := w.board()
		task := w.start(b, 200)
		task.Spec.Count = 30
		if err := w.run(t.Context(), b, task); err != nil {
			t.Fatal(err)
		}
		w.redriven(30)
		if done, _ := b.Snapshot().Get(task.ID); done.State != Done || done.Counts[Unconfirmed] != 20 {
			t.Errorf("it is %s, counts %v", done.State, done.Counts)
		}
	})
}

// TestOwners: five owners die, another is cut off and wakes when it has lost the task; two take it at once.
func TestOwners(t *testing.T) {
	inWorld(t, 3000, func(t *testing.T, w *world) {
		b := w.board()
		task := w.start(b, 500)
		for range 5 {
			dying, kill := context.WithCancel(t.Context())
			time.AfterFunc(4*time.Second, func() {
				w.mu.Lock()
				w.cut[b.Actor] = true // as a dead process says nothing any more
				w.mu.Unlock()
				kill()
			})
			if err := w.run(dying, b, task); err == nil {
				t.Fatal("it ended before it was killed")
			}
			b = w.board()
			var err error
			if task, err = b.Take(t.Context(), task.ID, "", false); err != nil || task.Actor != b.Actor {
				t.Fatalf("taken by %s: %v", task.Actor, err)
			}
		}
		other, third := w.board(), w.board()
		ended := make(chan error, 1)
		go func() { ended <- w.run(t.Context(), b, task) }()
		_, err := other.Take(t.Context(), task.ID, "", false)
		if err == nil || !strings.Contains(err.Error(), "is being done by "+b.Actor) {
			t.Errorf("another takes what is being done: %v", err)
		}
		w.mu.Lock()
		w.cut[b.Actor] = true
		w.mu.Unlock()
		taken := make(chan *Board, 2)
		for _, one := range []*Board{other, third} {
			go func() {
				if now, err := one.Take(t.Context(), task.ID, "", false); err == nil && now.Actor == one.Actor {
					taken <- one
				} else {
					taken <- nil
				}
			}()
		}
		x, y := <-taken, <-taken
		if (x == nil) == (y == nil) {
			t.Fatalf("of two that take it at once %v and %v have it", x, y)
		}
		if x == nil {
			x = y
		}
		if err := <-ended; !errors.As(err, new(*lostError)) {
			t.Errorf("who was cut off ends with %v", err)
		}
		w.mu.Lock()
		w.cut[b.Actor] = false
		w.mu.Unlock()
		_ = b.Say(t.Context(), topology.TaskRecord{Task: task.ID, Action: topology.TaskProgress, Epoch: task.Epoch,
			Next: map[int]int64{0: 1 << 40}}) // a late word
		now, _ := x.Snapshot().Get(task.ID)
		if err := w.run(t.Context(), x, now); err != nil {
			t.Fatal(err)
		}
		w.redriven(3000)
		w.want(x, task.ID, Done, "")
	})
}

func TestOneTaskALane(t *testing.T) {
	inWorld(t, 1, func(t *testing.T, w *world) {
		b := w.board()
		first, second := w.start(b, 1), w.start(b, 1)
		if first.State != Running || second.State != Refused {
			t.Errorf("the first is %s, the second %s", first.State, second.State)
		}
	})
}

// TestOrders: what people say of a task that runs ends it within moments, and it goes on where it was.
func TestOrders(t *testing.T) {
	inWorld(t, 400, func(t *testing.T, w *world) {
		b, people := w.board(), w.board()
		task := w.start(b, 50)
		order := func(action topology.TaskAction) {
			time.Sleep(4 * time.Second)
			word := topology.TaskRecord{Task: task.ID, Action: action, Why: "peak hour"}
			if _, err := people.Do(t.Context(), word); err != nil {
				t.Error(err)
			}
		}
		go order(topology.TaskPause)
		if err := w.run(t.Context(), b, task); err == nil || !strings.Contains(err.Error(), "was paused by kim: peak hour") {
			t.Errorf("paused: %v", err)
		}
		some := len(w.read(names.Redrive(lane)))
		time.Sleep(Lease)
		if some < canary || some > 100 || len(w.read(names.Redrive(lane))) != some {
			t.Errorf("%d are published when it is paused, %d later", some, len(w.read(names.Redrive(lane))))
		}
		began := time.Now()
		_, err := b.Take(t.Context(), task.ID, "", false)
		if err == nil || !strings.Contains(err.Error(), "was paused by kim: peak hour") {
			t.Errorf("what is paused is taken unasked: %v", err)
		}
		task, err = people.Take(t.Context(), task.ID, "", true)
		if err != nil || time.Since(began) > time.Second {
			t.Fatalf("what is paused is taken after %s, %v", time.Since(began), err)
		}
		go order(topology.TaskCancel)
		if err := w.run(t.Context(), people, task); err == nil || !strings.Contains(err.Error(), "was cancelled by kim") {
			t.Errorf("cancelled: %v", err)
		}
		if over, err := b.Take(t.Context(), task.ID, "", false); err != nil || over.State != Cancelled {
			t.Errorf("what is over is %s, %v", over.State, err)
		}
	})
}

// TestItPausesItself where too much fails again: after the canary, and later; and does not when its process is stopped.
func TestItPausesItself(t *testing.T) {
	for name, test := range map[string]struct {
		fails       func(n int) bool
		least, most int
	}{
		"all fail":      {func(int) bool { return true }, canary, canary},
		"a few fail":    {func(n int) bool { return n%6 == 0 }, 400, 400},
		"all fail late": {func(n int) bool { return n > 100 }, 101, 300},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 400, func(t *testing.T, w *world) {
				w.fails = test.fails
				b := w.board()
				task := w.start(b, 200)
				err := w.run(t.Context(), b, task)
				if n := len(w.read(names.Redrive(lane))); n < test.least || n > test.most {
					t.Errorf("%d are published", n)
				}
				if test.most == 400 {
					if err != nil {
						t.Error(err)
					}
					return
				}
				if err == nil || !strings.Contains(err.Error(), "meddela tasks resume --paused "+task.ID) {
					t.Error(err)
				}
				w.want(b, task.ID, Paused, "failed again")
			})
		})
	}
	inWorld(t, 400, func(t *testing.T, w *world) {
		b := w.board()
		task := w.start(b, 10)
		ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
		defer stop()
		interrupted, interrupt := context.WithCancel(t.Context())
		context.AfterFunc(ctx, interrupt)
		if err := w.run(interrupted, b, task); err == nil {
			t.Error("a stopped process ends well")
		}
		w.want(b, task.ID, Running, "")
		if now, _ := b.Snapshot().Get(task.ID); now.Unattended {
			t.Error("it is called unattended at once")
		}
		time.Sleep(Lease + time.Second)
		if all := b.Snapshot().All(); !all[0].Unattended {
			t.Error("that nobody is at it is not told")
		}
		if _, err := b.Take(t.Context(), task.ID, "", false); err != nil {
			t.Errorf("nobody paused it, and it is not taken: %v", err)
		}
	})
}

// TestAPauseThatIsNotWritten is not told as if it were.
func TestAPauseThatIsNotWritten(t *testing.T) {
	inWorld(t, 400, func(t *testing.T, w *world) {
		w.fails = func(int) bool { return true }
		b := w.board()
		task := w.start(b, 200)
		b.To = deaf{b.To}
		err := w.run(t.Context(), b, task)
		if err == nil || strings.Contains(err.Error(), "is paused") || !strings.Contains(err.Error(), "is not done") ||
			!strings.Contains(err.Error(), "failed again") || !strings.Contains(err.Error(), "perhaps pause is not written") {
			t.Error(err)
		}
		w.want(b, task.ID, Running, "")
	})
}

// deaf takes no pause.
type deaf struct{ authoring.Writer }

func (d deaf) Publish(ctx context.Context, partition int, records []topology.Record) ([]int, error) {
	if strings.Contains(string(records[0].Key), "/pause/") {
		return []int{0}, nil
	}
	return d.Writer.Publish(ctx, partition, records)
}

// TestHold: nothing goes while the lane is behind, and it begins slowly after that.
func TestHold(t *testing.T) {
	inWorld(t, 400, func(t *testing.T, w *world) {
		b := w.board()
		task := w.start(b, 200)
		began := time.Now()
		run := Run{Engine: w.engine, Board: b, Task: task, Behind: func(context.Context) string {
			if d := time.Since(began); 5*time.Second < d && d < 30*time.Second {
				return "it is behind"
			}
			return ""
		}}
		ended := make(chan error, 1)
		go func() { ended <- run.Do(t.Context(), new(scan.Progress)) }()
		time.Sleep(9 * time.Second)
		some := len(w.read(names.Redrive(lane)))
		if now, _ := b.Snapshot().Get(task.ID); now.Held != "it is behind" || now.State != Running {
			t.Errorf("it is %s, held: %q", now.State, now.Held)
		}
		time.Sleep(20 * time.Second)
		if later := len(w.read(names.Redrive(lane))); some < canary || later != some {
			t.Errorf("%d are published when it is held, and %d later", some, later)
		}
		time.Sleep(4 * time.Second)
		if later := len(w.read(names.Redrive(lane))); later == some || later > some+60 {
			t.Errorf("%d are published before, %d soon after", some, later)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
		w.redriven(400)
	})
}
