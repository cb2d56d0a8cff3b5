package consumer

import (
	"context"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/retry"
	"github.com/meddela/meddela/topology/wire"
)

// generation is one assignment of partitions to this member. Three contexts
// bound what it may still do:
//
//   - fetching ends when the loop stops or the partitions are lost;
//   - working ends when the partitions are lost, or when a stopped loop's
//     grace is over;
//   - publishing ends a little after working, so that a publication under way
//     can be acknowledged and committed rather than repeated.
type generation struct {
	loop   *Loop
	kafka  *kafka.Generation
	ledger *ledger
	note   func(reached map[string]map[int]int64) error // of Positions, if there are any

	fetching, working, publishing context.Context
}

// runGeneration returns when the generation has ended and everything that it
// acknowledged is committed.
func (l *Loop) runGeneration(ctx context.Context, m *membership, k *kafka.Generation) {
	done := make(chan struct{})
	k.Start(l.watch)
	k.Start(func(owned context.Context) {
		defer close(done)
		working, stopWorking := after(ctx, owned, l.config.Grace)
		defer stopWorking()
		fetching, stopFetching := context.WithCancel(working)
		defer stopFetching()
		defer context.AfterFunc(ctx, stopFetching)()
		publishing, stopPublishing := after(working, context.Background(), lingerAfterLoss)
		defer stopPublishing()

		g := &generation{
			loop: l, kafka: k, ledger: newLedger(),
			fetching: fetching, working: working, publishing: publishing,
		}
		g.run()
		if ctx.Err() != nil {
			m.closeBeforeEnd(owned)
		}
	})
	<-done
}

// watch returns, which ends the generation, when a topic has other partitions than at
// its beginning. The library's own watcher would create a topic that was deleted.
func (l *Loop) watch(ctx context.Context) {
	addr := kafka.TCP(l.config.Brokers...)
	counts := make(map[topology.Topic]int)
	for {
		for _, topic := range l.config.Topics {
			ids, err := wire.LeadersOf(ctx, addr, l.config.Transport, topic)
			if err != nil {
				continue // the topic is gone, or nobody answers: nothing is gained by a new generation
			}
			if before := counts[topic]; before != 0 && before != len(ids) {
				return
			}
			counts[topic] = len(ids)
		}
		if !retry.Sleep(ctx, watchInterval) {
			return
		}
	}
}

// after returns a context that ends with parent, or d after trigger has ended.
func after(trigger, parent context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(parent)
	var timer *time.Timer
	var mu sync.Mutex
	stop := context.AfterFunc(trigger, func() {
		mu.Lock()
		defer mu.Unlock()
		timer = time.AfterFunc(d, cancel)
	})
	return ctx, func() {
		stop()
		cancel()
		mu.Lock()
		defer mu.Unlock()
		if timer != nil {
			timer.Stop()
		}
	}
}

func (g *generation) run() {
	g.logAssignment()
	if p := g.loop.config.Positions; p != nil {
		note, end := p.Begin(g.kafka.Assignments)
		defer end()
		g.note = note
		g.commit() // of nothing: what is missing is to be known before anything is handled
	}
	committing, stopCommitting := context.WithCancel(context.Background())
	var committer, partitions sync.WaitGroup
	committer.Go(func() { g.commitUntil(committing) })
	for topic, assigned := range g.kafka.Assignments {
		for _, a := range assigned {
			partitions.Go(func() { g.newPipeline(topology.Topic(topic), a).run() })
		}
	}
	g.loop.stats.joined.Store(true)
	partitions.Wait()
	// With nothing assigned there is nothing to wait for: stay a member.
	<-g.fetching.Done()
	g.loop.stats.joined.Store(false)
	stopCommitting()
	committer.Wait()
}

func (g *generation) logAssignment() {
	event := g.loop.log.Info().Int32("generation", g.kafka.ID)
	for topic, assigned := range g.kafka.Assignments {
		event = event.Int(topic, len(assigned))
	}
	event.Msg("partitions assigned")
}

// idleCommits is how many intervals pass between commits of what was only passed
// over: reading that again costs little, and a commit is a replicated write.
const idleCommits = 10

// commitUntil commits what is acknowledged at intervals, and once more at the
// end. A failed commit is tried again: the broker refuses those that are stale.
func (g *generation) commitUntil(ctx context.Context) {
	ticker := time.NewTicker(g.loop.config.CommitInterval)
	defer ticker.Stop()
	for passed := 1; ; passed++ {
		select {
		case <-ticker.C:
			if g.ledger.worked() || passed%idleCommits == 0 || g.loop.config.CommitInterval > time.Second {
				g.commit()
			}
		case <-ctx.Done():
			g.commit()
			return
		}
	}
}

func (g *generation) commit() {
	err := g.ledger.commit(func(reached map[string]map[int]int64) error {
		if g.note != nil {
			if err := g.note(reached); err != nil {
				return err
			}
		}
		err := g.kafka.CommitOffsets(reached)
		if err != nil {
			g.loop.stats.commitFaults.Add(1)
		}
		return err
	})
	if err != nil {
		g.loop.committing.Warn(func(n int) {
			g.loop.log.Warn().Err(err).Int("times", n).Msg("offsets not committed; what they cover will be read again")
		})
	}
}
