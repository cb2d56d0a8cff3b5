package command

import (
	"context"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/meddela/meddela/cmd/meddela/internal/connect"
	"github.com/meddela/meddela/producer"
)

// Kafka returns a connection to Kafka that has just been seen to work.
func (env *Env) Kafka(ctx context.Context) (producer.Connection, error) {
	connection, err := connect.Kafka(&env.Config.Kafka)
	if err != nil {
		return connection, err
	}
	if connection.SASL != nil && connection.TLS == nil {
		env.Log.Warn().Msg("logging in to Kafka without encryption: set MEDDELA_KAFKA_TLS=true")
	}
	ctx, cancel := context.WithTimeout(ctx, env.ReachTimeout)
	defer cancel()
	return connection, connect.CheckKafka(ctx, connection)
}

// Redis returns a client of a Redis that has just been seen to work. The
// caller closes it.
func (env *Env) Redis(ctx context.Context) (redis.UniversalClient, error) {
	redis.SetLogger(redisLog{env.Log})
	client, err := connect.Redis(&env.Config.Redis)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, env.ReachTimeout)
	defer cancel()
	if err := connect.CheckRedis(ctx, &env.Config.Redis, client); err != nil {
		_ = client.Close()
		return nil, err
	}
	return client, nil
}

// redisLog takes what the Redis client says about its connections: callers
// are told of the errors that matter.
type redisLog struct{ log zerolog.Logger }

func (l redisLog) Printf(_ context.Context, format string, values ...any) {
	l.log.Debug().Msgf(format, values...)
}
