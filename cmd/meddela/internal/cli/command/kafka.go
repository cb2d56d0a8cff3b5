package command

import (
	"context"
	"time"

	"github.com/rs/zerolog"

	"github.com/meddela/meddela/cmd/meddela/internal/connect"
	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/consumer/control"
	"github.com/meddela/meddela/consumer/scan"
	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/topology"
)

// readyTimeout is how long a compacted topic may take to be read.
const readyTimeout = 15 * time.Second

// FollowOrders reads the control topic to its end, and follows it until stop is
// called.
func (env *Env) FollowOrders(ctx context.Context,
	connection producer.Connection) (orders *control.Follower, stop func(), err error) {
	topic := env.Config.Names().Control()
	return connect.Orders(ctx, connection, topic, readyTimeout, env.Log.Level(zerolog.WarnLevel))
}

// FollowTemplates reads the templates topic likewise.
func (env *Env) FollowTemplates(ctx context.Context,
	connection producer.Connection) (templates *catalogue.Follower, stop func(), err error) {
	topic := env.Config.Names().Templates()
	return connect.Templates(ctx, connection, topic, readyTimeout, env.Log.Level(zerolog.WarnLevel))
}

// WriteNothing is the Writer of a dry run.
type WriteNothing struct{}

// Publish does nothing.
func (WriteNothing) Publish(context.Context, int, []topology.Record) ([]int, error) {
	return nil, nil
}

// ReadTemplates reads the templates topic to its end.
func (env *Env) ReadTemplates(ctx context.Context, connection producer.Connection) (*catalogue.Catalogue, error) {
	templates, stop, err := env.FollowTemplates(ctx, connection)
	if err != nil {
		return nil, err
	}
	defer stop()
	return templates.Snapshot(), nil
}

// ApplyTimeout is how long the cluster may take over all requests.
const ApplyTimeout = time.Minute

// ScanTopics reads topics over connections of its own, until done is called.
func ScanTopics(connection producer.Connection) (topics *scan.Topics, done func()) {
	transport := connection.Transport()
	return &scan.Topics{Addr: connection.Addr(), Transport: transport}, func() { transport.CloseIdleConnections() }
}
