package command

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"
	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/cmd/meddela/internal/connect"
	"github.com/meddela/meddela/cmd/meddela/internal/tasks"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/consumer/control"
	"github.com/meddela/meddela/consumer/deliver/provider/failover"
	"github.com/meddela/meddela/consumer/follow"
	"github.com/meddela/meddela/consumer/scan"
	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/topology"
)

const (
	// ApplyTimeout is how long the cluster may take over all requests.
	ApplyTimeout = time.Minute
	// readyTimeout is how long a compacted topic may take to be read.
	readyTimeout = 15 * time.Second
)

// Kafka returns a connection to Kafka that has been seen to work.
func (env *Env) Kafka(ctx context.Context) (producer.Connection, error) {
	if env.kafka.Brokers != nil {
		return env.kafka, nil
	}
	connection, err := connect.Kafka(&env.Config.Kafka, env.Config.Names())
	if err != nil {
		return connection, err
	}
	ctx, cancel := context.WithTimeout(ctx, env.ReachTimeout)
	defer cancel()
	if err = connect.CheckKafka(ctx, connection); err == nil {
		env.kafka = connection
	}
	return connection, err
}

// Client makes requests to Kafka, over connections of its own.
func (env *Env) Client(ctx context.Context) (*kafka.Client, error) {
	connection, err := env.Kafka(ctx)
	if err != nil {
		return nil, err
	}
	transport := connection.Transport()
	env.AtEnd(transport.CloseIdleConnections)
	return &kafka.Client{Addr: connection.Addr(), Transport: transport}, nil
}

// Topics reads topics, over connections of its own.
func (env *Env) Topics(ctx context.Context) (*scan.Topics, error) {
	client, err := env.Client(ctx)
	if err != nil {
		return nil, err
	}
	return &scan.Topics{Addr: client.Addr, Transport: client.Transport, Log: env.Log}, nil
}

// Publisher writes to topics, over connections of its own.
func (env *Env) Publisher(ctx context.Context) (*producer.Publisher, error) {
	client, err := env.Client(ctx)
	if err != nil {
		return nil, err
	}
	return &producer.Publisher{Addr: client.Addr, Transport: client.Transport, Log: env.Log,
		Compression: connect.Compression(&env.Config.Kafka)}, nil
}

// Producer publishes events, over connections of its own.
func (env *Env) Producer(ctx context.Context) (*producer.Producer, error) {
	connection, err := env.Kafka(ctx)
	if err != nil {
		return nil, err
	}
	to, err := producer.New(producer.Config{
		Connection: connection, Prefix: env.Config.Topics.Prefix, IDWithOrigin: env.Config.Topics.IDWithOrigin,
		Compression: connect.Compression(&env.Config.Kafka), Log: &env.Log,
	})
	if err == nil {
		env.AtEnd(to.Close)
	}
	return to, err
}

// Orders reads the control topic to its end, and follows it from then on.
func (env *Env) Orders(ctx context.Context) (*control.Follower, error) {
	return followed(ctx, env, env.Config.Names().Control(), control.NewFollower)
}

// Tasks reads the tasks topic to its end, and follows it from then on.
func (env *Env) Tasks(ctx context.Context) (*tasks.Follower, error) {
	return followed(ctx, env, env.Config.Names().Tasks(), tasks.NewFollower)
}

// Templates reads the templates topic to its end, and follows it from then on.
func (env *Env) Templates(ctx context.Context) (*catalogue.Follower, error) {
	return followed(ctx, env, env.Config.Names().Templates(), catalogue.NewFollower)
}

func followed[T any](ctx context.Context, env *Env, topic topology.Topic,
	makes func(follow.Source, zerolog.Logger) *follow.Follower[T]) (*follow.Follower[T], error) {
	connection, err := env.Kafka(ctx)
	if err != nil {
		return nil, err
	}
	f, stop, err := connect.Follow(ctx, connection, topic, readyTimeout, makes, env.Log.Level(zerolog.WarnLevel))
	env.AtEnd(stop)
	return f, err
}

// Redis returns a client of a Redis that has just been seen to work.
func (env *Env) Redis(ctx context.Context) (redis.UniversalClient, error) {
	redis.SetLogger(redisLog{env.Log})
	client, err := connect.Redis(&env.Config.Redis, nil)
	if err != nil {
		return nil, err
	}
	env.AtEnd(func() { _ = client.Close() })
	ctx, cancel := context.WithTimeout(ctx, env.ReachTimeout)
	defer cancel()
	return client, connect.CheckRedis(ctx, &env.Config.Redis, client)
}

// Troubles are what deliverers find wrong with providers, and a text of it; none where Redis cannot say, or none is
// configured, which its callers can do without.
func (env *Env) Troubles(ctx context.Context, lanes ...topology.Lane) (all []topology.Trouble, text string) {
	if len(env.Config.Redis.Addrs) == 0 {
		return nil, ""
	}
	client, err := env.Redis(ctx)
	if err == nil {
		all, err = failover.Troubles(ctx, client, env.Config.Keys(), lanes)
	}
	if err != nil {
		env.Log.Warn().Err(err).Msg("it is not known whether providers fail")
	}
	for i, t := range all {
		between, what := map[bool]string{false: "; "}[i == 0], map[bool]string{false: "fails", true: "circuit open"}[t.Open]
		text += fmt.Sprintf("%sprovider %s (%s, %s): %s since %s, the last time at %s: %s", between, t.Provider, t.Channel,
			t.Lane, what, wording.Moment(t.Since), wording.Moment(t.At), t.Answer)
	}
	return all, wording.PrintableLines(text)
}

// redisLog takes what the Redis client says about its connections: callers
// are told of the errors that matter.
type redisLog struct{ log zerolog.Logger }

func (l redisLog) Printf(_ context.Context, format string, values ...any) {
	l.log.Debug().Msgf(format, values...)
}
