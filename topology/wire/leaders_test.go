package wire

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/topology"
)

// hanging is a cluster that answers for each topic but one, which it does after a time.
type hanging struct {
	slow  topology.Topic
	takes time.Duration
	asked atomic.Int64
}

func (h *hanging) RoundTrip(ctx context.Context, _ net.Addr, r kafka.Request) (kafka.Response, error) {
	h.asked.Add(1)
	request := r.(*TopicRequest)
	if request.Topic == h.slow {
		select {
		case <-time.After(h.takes):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	request.ID = "id of " + string(request.Topic)
	return request, nil
}

// TestIDs: of many who want a topic's id one asks, whose end is not that of the others; no topic waits for another,
// and nobody for longer than he wants.
func TestIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := &hanging{slow: "slow", takes: 5 * time.Second}
		leaders, began := Leaders{Transport: cluster}, time.Now()
		var all sync.WaitGroup
		want := func(topic topology.Topic, patience time.Duration, wantErr error, after time.Duration) {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				id, err := leaders.ID(ctx, topic)
				if !errors.Is(err, wantErr) || err == nil && id != "id of "+string(topic) || time.Since(began) != after {
					t.Errorf("%s, %v: %q, %v after %v", topic, patience, id, err, time.Since(began))
				}
			})
			synctest.Wait()
		}
		want("slow", time.Second, context.DeadlineExceeded, time.Second) // asks first
		want("slow", time.Second/2, context.DeadlineExceeded, time.Second/2)
		want("other", time.Minute, nil, 0)
		for range 10 { // one of them asks when who asked before has gone
			want("slow", time.Minute, nil, 6*time.Second)
		}
		all.Wait()
	})
}
