package failover

import (
	"context"
	"time"

	"github.com/meddela/meddela/topology"
)

// waitShare is the part of the time that is left that a message may wait for
// room. The rest is the provider's: one that is cut short may have accepted the
// message.
const waitShare = 4

// room waits until the provider may be handed one more: for a part of the time
// that there is, and at most until the job expires. done must be called when the
// message is not with the provider any more.
func (m *member) room(ctx context.Context, job *topology.Job) (done func(), err error) {
	if m.Limiter == nil {
		select {
		case m.places <- struct{}{}:
			return m.leave, nil
		default:
		}
	}
	end, bounded := ctx.Deadline()
	if bounded {
		end = time.Now().Add(time.Until(end) / waitShare)
	}
	if !job.Expires.IsZero() && (!bounded || job.Expires.Before(end)) {
		end, bounded = job.Expires, true
	}
	if bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, end)
		defer cancel()
	}
	select {
	case m.places <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if m.Limiter == nil {
		return m.leave, nil
	}
	back, err := m.Limiter.Pass(ctx)
	if err != nil {
		m.leave()
		return nil, err
	}
	return func() { back(); m.leave() }, nil
}

func (m *member) leave() { <-m.places }
