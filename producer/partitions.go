package producer

import (
	"context"
	"sync"
	"time"

	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/retry"
)

// partitionCounts remembers how many partitions topics have. Topics only ever
// grow, and growth is noticed by looking again now and then.
type partitionCounts struct {
	mu    sync.RWMutex
	known map[topology.Topic]partitionCount
}

type partitionCount struct {
	n    int
	seen time.Time
}

const partitionCountTTL = 30 * time.Second

// wait returns the topic's number of partitions, trying for as long as ctx
// lasts to learn it. Its only error is ctx's.
func (c *partitionCounts) wait(ctx context.Context, p *Publisher, topic topology.Topic) (int, error) {
	var wait retry.Backoff
	for try := 0; ; try++ {
		n, err := c.get(ctx, p, topic)
		if err == nil {
			return n, nil
		}
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		if try%10 == 1 {
			p.Log.Warn().Err(err).Int("tries", try+1).Msg("cannot publish yet; trying on")
		}
		if !wait.Wait(ctx) {
			return 0, ctx.Err()
		}
	}
}

// get returns the topic's number of partitions: what is remembered while that
// is fresh, or while the cluster does not answer.
func (c *partitionCounts) get(ctx context.Context, p *Publisher, topic topology.Topic) (int, error) {
	c.mu.RLock()
	known, ok := c.known[topic]
	c.mu.RUnlock()
	if ok && time.Since(known.seen) < partitionCountTTL {
		return known.n, nil
	}
	n, err := p.countPartitions(ctx, topic)
	if err != nil {
		if ok {
			return known.n, nil
		}
		return 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil {
		c.known = make(map[topology.Topic]partitionCount)
	}
	c.known[topic] = partitionCount{n: n, seen: time.Now()}
	return n, nil
}
