package connect

import (
	"context"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/consumer/control"
	"github.com/meddela/meddela/consumer/follow"
	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/topology"
)

// Templates reads the templates topic to its end, and follows it until stop is called.
func Templates(ctx context.Context, kafka producer.Connection, topic topology.Topic, within time.Duration,
	log zerolog.Logger) (templates *catalogue.Follower, stop func(), err error) {
	transport := kafka.Transport()
	templates = catalogue.NewFollower(follow.FromTopic(kafka.Addr(), transport, topic), log)
	stop, err = start(ctx, templates, within, transport.CloseIdleConnections)
	return templates, stop, err
}

// Orders reads the control topic to its end, and follows it until stop is called.
func Orders(ctx context.Context, kafka producer.Connection, topic topology.Topic, within time.Duration,
	log zerolog.Logger) (orders *control.Follower, stop func(), err error) {
	transport := kafka.Transport()
	orders = control.NewFollower(follow.FromTopic(kafka.Addr(), transport, topic), log)
	stop, err = start(ctx, orders, within, transport.CloseIdleConnections)
	return orders, stop, err
}

// follower keeps a snapshot of a compacted topic up to date.
type follower interface {
	Run(ctx context.Context)
	AwaitReady(ctx context.Context) error
}

// start has a follower at work until stop is called, even after the end of ctx: what
// was fetched by then is finished, and may need the snapshot for that.
func start(ctx context.Context, f follower, within time.Duration, closing func()) (stop func(), err error) {
	following, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() { f.Run(following) })
	stop = func() { cancel(); running.Wait(); closing() }
	ready, cancelWait := context.WithTimeout(ctx, within)
	defer cancelWait()
	if err = f.AwaitReady(ready); err != nil {
		stop()
	}
	return stop, err
}
