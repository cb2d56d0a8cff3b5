package connect

import (
	"context"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/meddela/meddela/consumer/follow"
	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/topology"
)

// Follow reads a compacted topic to its end, and follows it until stop is called, even after the
// end of ctx: what was fetched by then is finished, and may need the snapshot for that.
func Follow[T any](ctx context.Context, kafka producer.Connection, topic topology.Topic, within time.Duration,
	makes func(follow.Source, zerolog.Logger) *follow.Follower[T], log zerolog.Logger) (f *follow.Follower[T],
	stop func(), err error) {
	transport := kafka.Transport()
	f = makes(follow.FromTopic(kafka.Addr(), transport, topic), log)
	following, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() { f.Run(following) })
	stop = func() { cancel(); running.Wait(); transport.CloseIdleConnections() }
	ready, cancelWait := context.WithTimeout(ctx, within)
	defer cancelWait()
	if err = f.AwaitReady(ready); err != nil {
		stop()
	}
	return f, stop, err
}
