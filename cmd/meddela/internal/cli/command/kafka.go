package command

import (
	"context"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/consumer/control"
	"github.com/meddela/meddela/consumer/follow"
	"github.com/meddela/meddela/consumer/scan"
	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/topology"
)

// follower keeps a snapshot of a compacted topic up to date.
type follower interface {
	Run(ctx context.Context)
	AwaitReady(ctx context.Context) error
}

// readyTimeout is how long a compacted topic may take to be read.
const readyTimeout = 15 * time.Second

// followed reads a topic to its end, and follows it until stop is called.
func followed[F follower](ctx context.Context, f F) (follower F, stop func(), err error) {
	following, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { f.Run(following) })
	stop = func() { cancel(); running.Wait() }
	ready, cancelWait := context.WithTimeout(ctx, readyTimeout)
	defer cancelWait()
	if err = f.AwaitReady(ready); err != nil {
		stop()
	}
	return f, stop, err
}

// FollowOrders reads the control topic to its end, and follows it until stop is
// called.
func FollowOrders(ctx context.Context, env *Env, connection producer.Connection,
	transport *kafka.Transport) (follower *control.Follower, stop func(), err error) {
	source := follow.FromTopic(connection.Addr(), transport, env.Config.Names().Control())
	return followed(ctx, control.NewFollower(source, env.Log.Level(zerolog.WarnLevel)))
}

// FollowCatalogue reads the templates topic to its end, and follows it until
// stop is called.
func FollowCatalogue(ctx context.Context, env *Env, connection producer.Connection,
	transport *kafka.Transport) (follower *catalogue.Follower, stop func(), err error) {
	return followed(ctx, catalogue.NewFollower(catalogue.Config{
		Source: catalogue.FromTopic(connection.Addr(), transport, env.Config.Names().Templates()),
		Log:    env.Log.Level(zerolog.WarnLevel),
	}))
}

// WriteNothing is the Writer of a dry run.
type WriteNothing struct{}

// Publish does nothing.
func (WriteNothing) Publish(context.Context, topology.Topic, int, []topology.Record) ([]int, error) {
	return nil, nil
}

// ReadCatalogue reads the templates topic to its end.
func ReadCatalogue(ctx context.Context, env *Env, connection producer.Connection,
	transport *kafka.Transport) (*catalogue.Catalogue, error) {
	follower, stop, err := FollowCatalogue(ctx, env, connection, transport)
	if err != nil {
		return nil, err
	}
	defer stop()
	return follower.Catalogue(), nil
}

// ApplyTimeout is how long the cluster may take over all requests.
const ApplyTimeout = time.Minute

// ScanTopics reads topics over connections of its own, until done is called.
func ScanTopics(connection producer.Connection) (topics *scan.Topics, done func()) {
	transport := connection.Transport()
	return &scan.Topics{Addr: connection.Addr(), Transport: transport}, func() { transport.CloseIdleConnections() }
}
