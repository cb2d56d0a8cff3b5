package deliver

import (
	"context"
	"time"
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
	last := newLastWord(ctx)
	defer last.cancel()
	wait, complained := minSettleWait, false
	for {
		err := f.claims.settle(last.ctx, sent)
		if err == nil {
			return
		}
		sent = unsettled(sent)
		if !complained {
			complained = true
			f.Log.Warn().Err(err).Int("outcomes", len(sent)).
				Msg("outcomes cannot be recorded in Redis; trying on before anything else is sent")
		}
		if !sleep(last.ctx, wait) {
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
		case granted, takenOver, unanswered:
			if !t.begun {
				claimed = append(claimed, t)
			}
		}
	}
	if len(claimed) == 0 {
		return
	}
	last := newLastWord(ctx)
	defer last.cancel()
	if err := f.claims.release(last.ctx, f.owner, claimed); err != nil {
		f.Log.Warn().Err(err).Int("claims", len(claimed)).
			Msg("claims of jobs that were not sent cannot be released; they end by themselves")
	}
}

// lastWordContext ends a while after another context.
type lastWordContext struct {
	ctx    context.Context
	cancel func()
}

func newLastWord(ctx context.Context) lastWordContext {
	last, end := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		sleep(last, lastWord)
		end()
	})
	return lastWordContext{ctx: last, cancel: func() { stop(); end() }}
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
