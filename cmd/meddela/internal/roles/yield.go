package roles

import (
	"context"
	"time"

	"github.com/meddela/meddela/consumer/scan"
	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/retry"
)

const (
	// watchEvery is how often the batch lane looks whether there are real-time
	// events.
	watchEvery = 250 * time.Millisecond
	// yieldFor is how long it yields after the last one that it has seen.
	yieldFor = 2 * time.Second
)

// yield has what the batch lane reads yield while real-time events come, until ctx
// ends.
func (r *role) yield(ctx context.Context) {
	transport := r.Kafka.Transport()
	defer transport.CloseIdleConnections()
	topics, last := scan.Topics{Addr: r.Kafka.Addr(), Transport: transport}, int64(-1)
	var unknown retry.Warner
	r.reader.Yield(time.Now().Add(yieldFor))
	for retry.Sleep(ctx, watchEvery) {
		ranges, err := topics.Ranges(ctx, r.Names.Events(topology.Realtime), time.Time{})
		if err != nil {
			unknown.Warn(func(n int) {
				r.log.Warn().Err(err).Int("times", n).Msg("cannot see whether real-time events come; batch does not yield to them")
			})
			continue
		}
		unknown = retry.Warner{}
		end := int64(0)
		for _, partition := range ranges {
			end += partition.To
		}
		if end != last {
			r.reader.Yield(time.Now().Add(yieldFor))
		}
		last = end
	}
}
