package deliver

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/retry"
)

// gracePeriod is how long a Handle whose time is over goes on trying to record
// what it has sent, or to give up what it has not.
const gracePeriod = 2 * time.Second

// settler is the stage that records outcomes.
type settler struct {
	claims *claims
	log    zerolog.Logger
	grace  time.Duration // shorter in tests

	mu sync.Mutex
	// unsettled are results that could not be recorded before their Handle had
	// to end. They are recorded before anything else is claimed.
	unsettled []*result
}

// settle records what was sent. While Redis is away it tries on: nothing new
// is begun, and what this process knows is not lost. When ctx has ended it goes
// on for the grace period, and leaves the rest to the next Handle.
func (s *settler) settle(ctx context.Context, results []*result) {
	if len(results) == 0 {
		return
	}
	last, cancel := withGrace(ctx, s.grace)
	defer cancel()
	var backoff retry.Backoff
	var warner retry.Warner
	for {
		err := s.claims.settle(last, results)
		if err == nil {
			return
		}
		consumer.Alive(ctx)
		if ctx.Err() != nil {
			backoff.Reset() // little time is left
		}
		results = unsettled(results)
		warner.Warn(func(int) {
			s.log.Warn().Err(err).Int("outcomes", len(results)).
				Msg("outcomes cannot be recorded in Redis; trying on before anything else is sent")
		})
		if !backoff.Wait(last) {
			s.leave(results)
			return
		}
	}
}

// leave keeps what must be recorded, without the batch that it is of.
func (s *settler) leave(results []*result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range results {
		only := &delivery{job: topology.Job{JobID: r.delivery.job.JobID}}
		s.unsettled = append(s.unsettled, &result{delivery: only, outcome: r.outcome})
	}
}

// settleLeftovers records the outcomes that an earlier Handle could not.
func (s *settler) settleLeftovers(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.unsettled) == 0 {
		return nil
	}
	err := s.claims.settle(ctx, s.unsettled)
	s.unsettled = unsettled(s.unsettled)
	return err
}

// withGrace returns a context that ends a while after ctx.
func withGrace(ctx context.Context, grace time.Duration) (last context.Context, cancel func()) {
	last, end := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		retry.Sleep(last, grace)
		end()
	})
	return last, func() { stop(); end() }
}

func unsettled(results []*result) []*result {
	return slices.DeleteFunc(slices.Clone(results), func(r *result) bool { return r.settled })
}
