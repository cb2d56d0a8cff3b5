package consumer

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/retry"
)

// assignment is partitions that a member was given at the same time. They are given up
// together or one by one.
type assignment struct {
	*member
	committed map[string][]kafka.PartitionAssignment
	pipelines []*pipeline
	ledger    *ledger
	note      func(reached map[string]map[int]int64) error // of Positions, if there are any
	done      chan struct{}

	mu sync.Mutex // of commits, so that who has committed knows that nothing is still under way
}

// begin works on partitions from their committed offsets on.
func (m *member) begin(committed map[string]map[int]int64) *assignment {
	a := &assignment{
		member: m, ledger: newLedger(), done: make(chan struct{}),
		committed: make(map[string][]kafka.PartitionAssignment),
	}
	for topic, partitions := range committed {
		for n, offset := range partitions {
			if offset < 0 {
				offset = kafka.FirstOffset
			}
			one := kafka.PartitionAssignment{ID: n, Offset: offset}
			a.committed[topic] = append(a.committed[topic], one)
			a.pipelines = append(a.pipelines, a.newPipeline(topology.Topic(topic), one))
		}
	}
	go a.run()
	return a
}

// run returns when the partitions are given up or lost, and everything that was
// acknowledged is committed.
func (a *assignment) run() {
	defer close(a.done)
	if p := a.config.Positions; p != nil {
		note, end := p.Begin(a.committed)
		defer end()
		a.note = note
		a.commitNow() // of nothing: what is missing is to be known before anything is handled
	}
	committing, stopCommitting := context.WithCancel(context.Background())
	var committer, partitions sync.WaitGroup
	committer.Go(func() { a.commitUntil(committing) })
	for _, p := range a.pipelines {
		partitions.Go(p.run)
	}
	partitions.Wait()
	stopCommitting()
	committer.Wait()
}

// over reports whether all partitions are given up or lost.
func (a *assignment) finished() bool {
	for _, p := range a.pipelines {
		if !p.over() {
			return false
		}
	}
	return true
}

// after returns a context that ends with parent, or d after trigger has ended.
func after(trigger, parent context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(parent)
	stop := context.AfterFunc(trigger, func() { retry.Sleep(ctx, d); cancel() })
	return ctx, func() { stop(); cancel() }
}

// idleCommits is how many intervals pass between commits of what was only passed
// over: reading that again costs little, and a commit is a replicated write.
const idleCommits = 10

// commitUntil commits what is acknowledged at intervals, and once more at the
// end. A failed commit is tried again: the broker refuses those that are stale.
func (a *assignment) commitUntil(ctx context.Context) {
	ticker := time.NewTicker(a.config.CommitInterval)
	defer ticker.Stop()
	for passed := 1; ; passed++ {
		select {
		case <-ticker.C:
			if a.ledger.worked() || passed%idleCommits == 0 || a.config.CommitInterval > time.Second {
				_ = a.commitOnce() // tried again at the next tick
			}
		case <-ctx.Done():
			a.commitNow()
			return
		}
	}
}

// commitNow commits before others read on, and does not give up at once.
func (a *assignment) commitNow() {
	ctx, cancel := context.WithTimeout(context.Background(), commitTime)
	defer cancel()
	for wait := (retry.Backoff{}); ; {
		err := a.commitOnce()
		if err == nil || isOver(err) || !wait.Wait(ctx) {
			return
		}
	}
}

// forget has Positions no longer note partitions that are others' now.
func (a *assignment) forget(gone []*pipeline) {
	if a.note == nil {
		return
	}
	left := make(map[string]map[int]int64)
	for _, p := range gone {
		if left[string(p.topic)] == nil {
			left[string(p.topic)] = make(map[int]int64)
		}
		left[string(p.topic)][p.partition] = -1
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	_ = a.note(left) // what could not be noted is noted by those who have them
}

func (a *assignment) commitOnce() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	err := a.ledger.commit(func(reached map[string]map[int]int64) error {
		if a.note != nil {
			if err := a.note(reached); err != nil {
				return err
			}
		}
		return a.member.commit(reached)
	})
	if err != nil && !errors.Is(err, kafka.RebalanceInProgress) { // which is over a moment later
		a.committing.Warn(func(n int) {
			a.log.Warn().Err(err).Int("times", n).Msg("offsets not committed; what they cover will be read again")
		})
	}
	return err
}
