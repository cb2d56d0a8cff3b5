package command

import (
	"context"
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

// FollowOrders reads the control topic to its end, and follows it until stop is
// called.
func FollowOrders(ctx context.Context, env *Env, connection producer.Connection, transport *kafka.Transport) (follower *control.Follower, stop func(), err error) {
	source := follow.FromTopic(connection.Addr(), transport, env.Config.Names().Control())
	follower = control.NewFollower(source, env.Log.Level(zerolog.WarnLevel))
	following, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		follower.Run(following)
	}()
	stop = func() { cancel(); <-ended }
	ready, cancelWait := context.WithTimeout(ctx, catalogueTimeout)
	defer cancelWait()
	if err := follower.AwaitReady(ready); err != nil {
		stop()
		return nil, nil, err
	}
	return follower, stop, nil
}

// WriteNothing is the Writer of a dry run.
type WriteNothing struct{}

func (WriteNothing) Publish(context.Context, topology.Topic, int, []topology.Record) ([]int, error) {
	return nil, nil
}

// catalogueTimeout is how long the templates may take to be read.
const catalogueTimeout = 15 * time.Second

// ReadCatalogue reads the templates topic to its end.
func ReadCatalogue(ctx context.Context, env *Env, connection producer.Connection, transport *kafka.Transport) (*catalogue.Catalogue, error) {
	follower, stop, err := FollowCatalogue(ctx, env, connection, transport)
	if err != nil {
		return nil, err
	}
	defer stop()
	return follower.Catalogue(), nil
}

// FollowCatalogue reads the templates topic to its end, and follows it until
// stop is called.
func FollowCatalogue(ctx context.Context, env *Env, connection producer.Connection, transport *kafka.Transport) (follower *catalogue.Follower, stop func(), err error) {
	follower = catalogue.NewFollower(catalogue.Config{
		Source: catalogue.FromTopic(connection.Addr(), transport, env.Config.Names().Templates()),
		Log:    env.Log.Level(zerolog.WarnLevel),
	})
	following, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		follower.Run(following)
	}()
	stop = func() { cancel(); <-ended }
	ready, cancelWait := context.WithTimeout(ctx, catalogueTimeout)
	defer cancelWait()
	if err := follower.AwaitReady(ready); err != nil {
		stop()
		return nil, nil, err
	}
	return follower, stop, nil
}

// ApplyTimeout is how long the cluster may take over all requests.
const ApplyTimeout = time.Minute

// ScanTopics reads topics over connections of its own, until done is called.
func ScanTopics(connection producer.Connection) (topics *scan.Topics, done func()) {
	transport := connection.Transport()
	return &scan.Topics{Addr: connection.Addr(), Transport: transport}, func() { transport.CloseIdleConnections() }
}
