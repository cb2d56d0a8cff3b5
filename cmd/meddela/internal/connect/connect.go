// Package connect makes connections to Kafka and Redis as they are configured, and
// says what to correct where a server cannot be used.
package connect

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/rs/zerolog"
	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"

	"github.com/meddela/meddela/cmd/meddela/internal/config"
	"github.com/meddela/meddela/cmd/meddela/internal/fresh"
	"github.com/meddela/meddela/consumer/deliver/recipient/suppress"
	"github.com/meddela/meddela/consumer/follow"
	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/topology"
)

// Dial opens a connection in place of a net.Dialer, and of TLS; nil is neither's.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// Kafka says how to reach Kafka. Its error is Faults.
func Kafka(k *config.KafkaSettings, names topology.Topics) (producer.Connection, error) {
	if len(k.Brokers) == 0 {
		return producer.Connection{},
			config.Faults{"MEDDELA_KAFKA_BROKERS is not set: name your brokers (host:port), or run `meddela up` for an embedded Kafka and Redis"}
	}
	connection := producer.Connection{Brokers: k.Brokers, ClientID: k.ClientID, Topics: names.All()}
	var err error
	if connection.SASL, err = loginOf(k); err != nil {
		return connection, err
	}
	if k.TLS {
		connection.TLS, err = tlsConfig("MEDDELA_KAFKA_TLS", k.TLSCAFile, k.TLSCertFile, k.TLSKeyFile, k.TLSServerName)
	}
	return connection, err
}

// login is a mechanism with the password of the moment.
type login struct {
	name string
	make func() (sasl.Mechanism, error)
}

func (l login) Name() string { return l.name }

func (l login) Start(ctx context.Context) (sasl.StateMachine, []byte, error) {
	mechanism, err := l.make()
	if err != nil {
		return nil, nil, err
	}
	return mechanism.Start(ctx)
}

func loginOf(k *config.KafkaSettings) (sasl.Mechanism, error) {
	password := k.SASLPassword.Current("MEDDELA_KAFKA_SASL_PASSWORD")
	makers := map[string]func() (sasl.Mechanism, error){
		"plain": func() (sasl.Mechanism, error) {
			return plain.Mechanism{Username: k.SASLUsername, Password: password()}, nil
		},
		"scram-sha-256": func() (sasl.Mechanism, error) { return scram.Mechanism(scram.SHA256, k.SASLUsername, password()) },
		"scram-sha-512": func() (sasl.Mechanism, error) { return scram.Mechanism(scram.SHA512, k.SASLUsername, password()) },
	}
	switch k.SASLMechanism {
	case "":
		return nil, nil
	case "oauthbearer":
		return bearerOf(k, password)
	case "aws-msk-iam":
		return mskOf(k)
	}
	if _, err := makers[k.SASLMechanism](); err != nil {
		return nil, config.Faults{"MEDDELA_KAFKA_SASL_USERNAME or MEDDELA_KAFKA_SASL_PASSWORD has characters that SCRAM does not allow"}
	}
	return login{strings.ToUpper(k.SASLMechanism), makers[k.SASLMechanism]}, nil
}

// Compression is the codec of what is published.
func Compression(k *config.KafkaSettings) (codec kafka.Compression) {
	_ = codec.UnmarshalText([]byte(k.Compression)) // whose names are those that the setting allows
	return codec
}

// tlsConfig is what the files of a TLS setting group say at the moment. Its error is Faults.
func tlsConfig(variable, ca, cert, key, serverName string) (func() *tls.Config, error) {
	return fresh.Value(func() (_ *tls.Config, err error) {
		agreed := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: serverName}
		if ca != "" {
			if agreed.RootCAs, err = fresh.Authorities(ca); err != nil {
				return nil, config.Faults{fmt.Sprintf("%s_CA_FILE %v", variable, err)}
			}
		}
		if cert != "" {
			pair, err := tls.LoadX509KeyPair(cert, key)
			if err != nil {
				return nil, config.Faults{fmt.Sprintf("%s_CERT_FILE and %s_KEY_FILE cannot be used: %v", variable, variable, err)}
			}
			agreed.Certificates = []tls.Certificate{pair}
		}
		return agreed, nil
	})
}

const (
	clientName  = "meddela"
	dialTimeout = 5 * time.Second
)

// Redis makes a client of one Redis, of a cluster, or of what sentinels
// watch. Its error is Faults.
func Redis(r *config.RedisSettings, dial Dial) (redis.UniversalClient, error) {
	if len(r.Addrs) == 0 {
		return nil, config.Faults{"MEDDELA_REDIS_ADDRS is not set: name your Redis (host:port), or run `meddela up` for an embedded Kafka and Redis"}
	}
	options := &redis.UniversalOptions{
		Addrs:                 r.Addrs,
		ClientName:            clientName,
		DB:                    r.DB,
		MasterName:            r.MasterName,
		IsClusterMode:         r.Mode == "cluster",
		ContextTimeoutEnabled: true,
		DialTimeout:           dialTimeout,
		DialerRetries:         1, // commands are tried again anyway
		// An extension of one vendor's servers.
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if r.Mode == "sentinel" && r.SentinelPassword != "" {
		// The client's own login at sentinels is by the password of its start, and names the connection before
		// ours could be. The master's connections are those of no address.
		options.ClientName = ""
		sentinels := r.SentinelPassword.Current("MEDDELA_REDIS_SENTINEL_PASSWORD")
		options.OnConnect = func(ctx context.Context, c *redis.Conn) error {
			if !strings.Contains(c.String(), "FailoverClient") {
				if err := c.AuthACL(ctx, cmp.Or(r.SentinelUsername, "default"), sentinels()).Err(); err != nil {
					return err
				}
			}
			return c.ClientSetName(ctx, clientName).Err()
		}
	}
	password := r.Password.Current("MEDDELA_REDIS_PASSWORD")
	options.CredentialsProvider = func() (string, string) { return r.Username, password() }
	options.Dialer = dial
	if r.TLS && dial == nil {
		agreed, err := tlsConfig("MEDDELA_REDIS_TLS", r.TLSCAFile, r.TLSCertFile, r.TLSKeyFile, r.TLSServerName)
		if err != nil {
			return nil, err
		}
		options.Dialer = func(ctx context.Context, network, address string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, dialTimeout)
			defer cancel()
			dialer := tls.Dialer{NetDialer: &net.Dialer{KeepAlive: time.Minute}, Config: agreed()}
			return dialer.DialContext(ctx, network, address)
		}
	}
	return redis.NewUniversalClient(options), nil
}

// isTLSFault reports whether the two sides do not agree on encryption.
func isTLSFault(err error) bool {
	return errors.As(err, new(*tls.CertificateVerificationError)) || errors.As(err, new(tls.RecordHeaderError)) ||
		errors.As(err, new(tls.AlertError))
}

// Follow reads a compacted topic to its end, and follows it until stop is called, after an error as well, and even
// after the end of ctx: what was fetched by then is finished, and may need the snapshot for that.
func Follow[T any](ctx context.Context, kafka producer.Connection, topic topology.Topic, within time.Duration,
	makes func(follow.Source, zerolog.Logger) *follow.Follower[T], log zerolog.Logger) (f *follow.Follower[T],
	stop func(), err error) {
	transport := kafka.Transport()
	f = makes(follow.FromTopic(kafka.Addr(), transport, topic, log), log)
	following, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() { f.Run(following) })
	stop = func() { cancel(); running.Wait(); transport.CloseIdleConnections() }
	ready, cancelWait := context.WithTimeout(ctx, within)
	defer cancelWait()
	return f, stop, f.AwaitReady(ready)
}

// Suppressions is Redis's copy of the suppressions topic. keep begins to keep it, until stop is called, even after the
// end of ctx, as Follow does.
func Suppressions(ctx context.Context, c *config.Config, kafka producer.Connection, client redis.UniversalClient,
	log zerolog.Logger) (copy *suppress.Copy, keep, stop func()) {
	transport := kafka.Transport()
	copy = &suppress.Copy{
		Client: client, Keys: c.Keys(), Hasher: c.Hasher(), Region: c.Recipient.PhoneRegion, Log: log,
		Source: follow.FromWholeTopic(kafka.Addr(), transport, c.Names().Suppressions()),
	}
	following, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	keep = func() { running.Go(func() { copy.Run(following) }) }
	stop = func() { cancel(); running.Wait(); transport.CloseIdleConnections() }
	return copy, keep, stop
}
