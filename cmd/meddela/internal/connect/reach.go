package connect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/cmd/meddela/internal/config"
	"github.com/meddela/meddela/consumer/position"
	"github.com/meddela/meddela/producer"
)

// CheckKafka reports whether a broker answers, and whether the brokers can be
// reached at the addresses that it gives.
func CheckKafka(ctx context.Context, connection producer.Connection) error {
	advertised, err := anyBroker(ctx, connection.Dialer(), connection.Brokers)
	if err != nil {
		return fmt.Errorf("cannot use Kafka at %s: %w%s", strings.Join(connection.Brokers, ","), cause(err),
			kafkaAdvice(err, connection))
	}
	if _, err := anyBroker(ctx, connection.Dialer(), advertised); err != nil {
		return fmt.Errorf("cannot use Kafka: it answers at %s, but says that its brokers are at %s: %w: correct the brokers' advertised.listeners",
			strings.Join(connection.Brokers, ","), strings.Join(advertised, ","), cause(err))
	}
	return nil
}

// anyBroker asks all addresses at once and returns, from the first broker to
// answer, where the cluster's brokers are.
func anyBroker(ctx context.Context, dialer *kafka.Dialer, addresses []string) ([]string, error) {
	type answer struct {
		brokers []string
		err     error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make(chan answer, len(addresses))
	for _, address := range addresses {
		go func() {
			brokers, err := askBroker(ctx, dialer, address)
			answers <- answer{brokers, err}
		}()
	}
	err := errors.New("it names no brokers")
	for range addresses {
		a := <-answers
		if a.err == nil {
			return a.brokers, nil
		}
		err = a.err
	}
	return nil, err
}

func askBroker(ctx context.Context, dialer *kafka.Dialer, address string) ([]string, error) {
	connection, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	defer func() { _ = connection.Close() }()
	deadline, _ := ctx.Deadline()
	if err := connection.SetDeadline(deadline); err != nil {
		return nil, err
	}
	brokers, err := connection.Brokers()
	if err != nil {
		return nil, err
	}
	addresses := make([]string, len(brokers))
	for i, b := range brokers {
		addresses[i] = net.JoinHostPort(b.Host, strconv.Itoa(b.Port))
	}
	return addresses, nil
}

// cause leaves out of a failed dial's error the address, which the caller
// names.
func cause(err error) error {
	var operation *net.OpError
	if errors.As(err, &operation) && operation.Op == "dial" {
		return operation.Err
	}
	return err
}

// kafkaAdvice says which setting to look at.
func kafkaAdvice(err error, connection producer.Connection) string {
	encrypted := connection.TLS != nil
	bearer, _ := connection.SASL.(*bearer)
	switch {
	case bearer != nil && errors.As(err, new(noToken)):
		return bearer.lacking
	case bearer != nil && errors.Is(err, kafka.SASLAuthenticationFailed):
		return bearer.refusal
	case errors.Is(err, kafka.SASLAuthenticationFailed):
		return ": correct MEDDELA_KAFKA_SASL_USERNAME, MEDDELA_KAFKA_SASL_PASSWORD or MEDDELA_KAFKA_SASL_MECHANISM"
	case errors.Is(err, kafka.UnsupportedSASLMechanism):
		return ": correct MEDDELA_KAFKA_SASL_MECHANISM"
	case isTLSFault(err):
		return ": correct MEDDELA_KAFKA_TLS or the settings that start so"
	case (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)) && !encrypted:
		return ": it hung up; if it wants encryption or a login, set MEDDELA_KAFKA_TLS=true or MEDDELA_KAFKA_SASL_MECHANISM"
	case encrypted:
		return ": start it, or correct MEDDELA_KAFKA_BROKERS, or MEDDELA_KAFKA_TLS if it wants no encryption"
	}
	return ": start it, or correct MEDDELA_KAFKA_BROKERS"
}

// oldestRedis is the first major version with all that the pipeline uses.
const oldestRedis = 7

// CheckRedis reports whether Redis answers, and is not too old.
func CheckRedis(ctx context.Context, r *config.RedisSettings, client redis.UniversalClient) error {
	if err := client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("cannot use Redis at %s: %w%s", r.Addrs, cause(err), redisAdvice(r, err))
	}
	info, _ := client.Info(ctx, "server").Result() // a server that keeps its version to itself is taken as it is
	if err := checkRedisVersion(info); err != nil {
		return fmt.Errorf("cannot use Redis at %s: %w", r.Addrs, err)
	}
	return nil
}

// Eviction is how many keys all masters have evicted since they started, and the
// policy by which they do, if they do.
func Eviction(ctx context.Context, client redis.UniversalClient) (keys int64, policy string, err error) {
	var mu sync.Mutex
	err = position.EachServer(ctx, client, func(ctx context.Context, server *redis.Client) error {
		info, err := server.InfoMap(ctx, "memory", "stats").Result()
		n, _ := strconv.ParseInt(info["Stats"]["evicted_keys"], 10, 64)
		mu.Lock()
		defer mu.Unlock()
		keys += n
		if p := info["Memory"]["maxmemory_policy"]; p != "noeviction" && info["Memory"]["maxmemory"] != "0" {
			policy = p
		}
		return err
	})
	return keys, policy, err
}

// redisVersion is in the server's INFO. Valkey gives the Redis version that it is compatible with.
var redisVersion = regexp.MustCompile(`(?m)^redis_version:((\d+)\S*)`)

func checkRedisVersion(info string) error {
	version := redisVersion.FindStringSubmatch(info)
	if version == nil {
		return nil
	}
	if major, err := strconv.Atoi(version[2]); err == nil && major < oldestRedis {
		return fmt.Errorf("it is version %s, and meddela needs %d or later", version[1], oldestRedis)
	}
	return nil
}

// redisAdvice says which setting to look at.
func redisAdvice(r *config.RedisSettings, err error) string {
	behindSentinels := r.Mode == "sentinel"
	switch {
	case redis.IsAuthError(err) && behindSentinels:
		return ": correct MEDDELA_REDIS_SENTINEL_PASSWORD, MEDDELA_REDIS_PASSWORD, or the user names beside them"
	case redis.IsAuthError(err):
		return ": correct MEDDELA_REDIS_USERNAME or MEDDELA_REDIS_PASSWORD"
	case redis.IsPermissionError(err):
		return ": the ACL user must be allowed PING"
	case isTLSFault(err):
		return ": correct MEDDELA_REDIS_TLS or the settings that start so"
	case errors.Is(err, io.EOF):
		return ": it hung up; if it wants encryption, set MEDDELA_REDIS_TLS=true"
	case behindSentinels:
		return ": start it, or correct MEDDELA_REDIS_ADDRS or MEDDELA_REDIS_MASTER_NAME"
	}
	return ": start it, or correct MEDDELA_REDIS_ADDRS or MEDDELA_REDIS_MODE"
}
