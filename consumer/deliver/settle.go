package deliver

import (
	"context"
	"time"

	"github.com/meddela/meddela/consumer"
)

// Bounds of the time between two tries to reach Redis.
const minSettleWait, maxSettleWait = 50 * time.Millisecond, time.Second

// settle records what was sent. While Redis is away it tries on: nothing new
// is begun, and what this process knows is not lost. When ctx has ended it
// tries for a last while, and leaves the rest to the next Handle.
func (f *flow) settle(ctx context.Context, sent []*task) {
	if len(sent) == 0 {
		return
	}
	last, cancel := f.lastWords(ctx)
	defer cancel()
	wait, complained := minSettleWait, false
	for {
		err := f.claims.settle(last, sent)
		if err == nil {
			return
		}
		consumer.Moves(ctx)
		sent = unsettled(sent)
		if !complained {
			complained = true
			f.Log.Warn().Err(err).Int("outcomes", len(sent)).
				Msg("outcomes cannot be recorded in Redis; trying on before anything else is sent")
		}
		if !sleep(last, wait) {
			f.leave(sent)
			return
		}
		wait = min(2*wait, maxSettleWait)
	}
}

// release gives up what was claimed and not begun, so that the next deliverer
// need not wait for the lease, nor think that it may have been sent.
func (f *flow) release(ctx context.Context) {
	var claimed []*task
	for _, t := range f.tasks {
		switch t.claim {
		case granted, takenOver, doubted, unanswered:
			if !t.begun {
				claimed = append(claimed, t)
			}
		}
	}
	if len(claimed) > 0 {
		f.giveUp(ctx, claimed)
	}
}

func (f *flow) giveUp(ctx context.Context, claimed []*task) {
	last, cancel := f.lastWords(ctx)
	defer cancel()
	if err := f.claims.release(last, f.owner, claimed); err != nil {
		f.Log.Warn().Err(err).Int("claims", len(claimed)).
			Msg("claims of jobs that were not sent cannot be released; they end by themselves")
	}
}

// lastWord is how long a Handle whose time is over goes on trying to record
// what it has sent, or to give up what it has not.
const lastWord = 2 * time.Second

// lastWords returns a context that ends a while after ctx.
func (h *Handler) lastWords(ctx context.Context) (last context.Context, cancel func()) {
	last, end := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		sleep(last, h.lastWord)
		end()
	})
	return last, func() { stop(); end() }
}

func unsettled(tasks []*task) []*task {
	left := tasks[:0:0]
	for _, t := range tasks {
		if !t.settled {
			left = append(left, t)
		}
	}
	return left
}
