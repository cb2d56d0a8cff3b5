package consumer

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/retry"
	"github.com/meddela/meddela/topology/wire"
)

// assignment is partitions that a member was given at the same time. They are given up
// together or one by one.
type assignment struct {
	*member
	held      context.Context // ends when the member's place is lost
	committed map[string][]kafka.PartitionAssignment
	pipelines []*pipeline
	ledger    *ledger
	note      func(reached map[string]map[int]int64) error // of Positions, if there are any
	done      chan struct{}                                // closed when all is given up or lost

	mu sync.Mutex // of commits, so that who has committed knows that nothing is still under way
}

// begin works on partitions from their committed offsets on, until they are given up or
// lost; when ctx ends what is fetched is finished.
func (m *member) begin(ctx, held context.Context, committed map[string]map[int]wire.Place) *assignment {
	a := &assignment{
		member: m, held: held, ledger: newLedger(), done: make(chan struct{}),
		committed: make(map[string][]kafka.PartitionAssignment),
	}
	for topic, partitions := range committed {
		for n, place := range partitions {
			if place.Offset < 0 {
				place.Offset = kafka.FirstOffset
			}
			one := kafka.PartitionAssignment{ID: n, Offset: place.Offset}
			a.committed[topic] = append(a.committed[topic], one)
			p := a.newPipeline(topology.Topic(topic), one)
			p.id, p.last = place.ID, place.Last
			a.pipelines = append(a.pipelines, p)
		}
	}
	go a.run(ctx)
	return a
}

func (a *assignment) run(ctx context.Context) {
	defer close(a.done)
	for _, p := range a.pipelines {
		defer context.AfterFunc(ctx, func() { p.finish(a.config.Grace) })()
	}
	if p := a.config.Positions; p != nil {
		note, end := p.Begin(a.committed)
		defer func() {
			a.mu.Lock()
			defer a.mu.Unlock()
			end()
			a.note = nil
		}()
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

// finished reports whether all partitions are given up or lost.
func (a *assignment) finished() bool {
	for _, p := range a.pipelines {
		if !p.over() {
			return false
		}
	}
	return true
}

// giveUp waits for the end of work on some partitions, and for the commit of that.
func (a *assignment) giveUp(gone []*pipeline) {
	for _, p := range gone {
		<-p.ended
	}
	if a.finished() {
		<-a.done
		return
	}
	a.commitNow()
	a.mu.Lock()
	defer a.mu.Unlock()
	left := a.ledger.drop(gone) // another commits these from now on
	if a.note != nil {
		_ = a.note(left) // and notes them
	}
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
				_ = a.commit(a.held) // tried again at the next tick
			}
		case <-ctx.Done():
			a.commitNow()
			return
		}
	}
}

// commitNow commits before others read on, and does not give up at once.
func (a *assignment) commitNow() {
	ctx, cancel := context.WithTimeout(a.held, commitTime)
	defer cancel()
	for wait := (retry.Backoff{}); a.commit(ctx) != nil && wait.Wait(ctx); {
	}
}

// markOf is what is committed beside a partition's offset. It is called with mu held.
func (a *assignment) markOf(topic string, partition int) (m wire.Mark) {
	for _, p := range a.pipelines {
		if p.partition == partition && string(p.topic) == topic {
			p.mu.Lock()
			m = wire.Mark{ID: p.id, Last: p.last}
			p.mu.Unlock()
		}
	}
	return m
}

// commit commits once what is acknowledged. A place that is lost commits nothing more.
func (a *assignment) commit(ctx context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	err := a.ledger.commit(func(reached map[string]map[int]int64) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if a.note != nil {
			if err := a.note(reached); err != nil {
				return err
			}
		}
		if len(reached) == 0 {
			return nil
		}
		err := a.group.Commit(ctx, a.is.Load().Membership, reached, a.markOf)
		if err != nil {
			a.stats.commitFaults.Add(1)
		}
		return err
	})
	if err != nil && !errors.Is(err, kafka.RebalanceInProgress) { // which is over a moment later
		a.committing.Warn(func(n int) {
			a.log.Warn().Err(err).Int("times", n).Msg("offsets not committed; what they cover will be read again")
		})
	}
	return err
}
