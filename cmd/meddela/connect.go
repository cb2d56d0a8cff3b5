package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/rs/zerolog"
	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"

	"github.com/meddela/meddela/producer"
)

// kafka returns a connection to Kafka that has just been seen to work.
func (a *app) kafka(ctx context.Context) (producer.Connection, error) {
	connection, err := a.config.Kafka.connection()
	if err != nil {
		return connection, err
	}
	if connection.SASL != nil && connection.TLS == nil {
		a.log.Warn().Msg("logging in to Kafka without encryption: set MEDDELA_KAFKA_TLS=true")
	}
	ctx, cancel := context.WithTimeout(ctx, a.reachTimeout)
	defer cancel()
	return connection, checkKafka(ctx, connection)
}

// redis returns a client of a Redis that has just been seen to work. The
// caller closes it.
func (a *app) redis(ctx context.Context) (redis.UniversalClient, error) {
	redis.SetLogger(redisLog{a.log})
	client, err := a.config.Redis.client()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, a.reachTimeout)
	defer cancel()
	if err := a.config.Redis.checkRedis(ctx, client); err != nil {
		_ = client.Close()
		return nil, err
	}
	return client, nil
}

// connection says how to reach Kafka. Its error is Faults.
func (k *KafkaSettings) connection() (producer.Connection, error) {
	if len(k.Brokers) == 0 {
		return producer.Connection{}, Faults{"MEDDELA_KAFKA_BROKERS is not set: name your brokers (host:port), or run `meddela up` for an embedded Kafka and Redis"}
	}
	connection := producer.Connection{Brokers: k.Brokers, ClientID: k.ClientID}
	var err error
	if connection.SASL, err = k.login(); err != nil {
		return connection, err
	}
	if k.TLS {
		connection.TLS, err = tlsConfig("MEDDELA_KAFKA_TLS", k.TLSCAFile, k.TLSCertFile, k.TLSKeyFile, k.TLSServerName)
	}
	return connection, err
}

func (k *KafkaSettings) login() (sasl.Mechanism, error) {
	switch user, password := k.SASLUsername, k.SASLPassword.reveal(); k.SASLMechanism {
	case "":
		return nil, nil
	case "plain":
		return plain.Mechanism{Username: user, Password: password}, nil
	case "scram-sha-256":
		return scramLogin(scram.SHA256, user, password)
	default:
		return scramLogin(scram.SHA512, user, password)
	}
}

func scramLogin(algorithm scram.Algorithm, user, password string) (sasl.Mechanism, error) {
	mechanism, err := scram.Mechanism(algorithm, user, password)
	if err != nil {
		return nil, Faults{"MEDDELA_KAFKA_SASL_USERNAME or MEDDELA_KAFKA_SASL_PASSWORD has characters that SCRAM does not allow"}
	}
	return mechanism, nil
}

// compression is the codec of what is published.
func (k *KafkaSettings) compression() kafka.Compression {
	var codec kafka.Compression
	// The setting allows exactly the names that kafka-go knows.
	_ = codec.UnmarshalText([]byte(k.Compression))
	return codec
}

// tlsConfig reads the files of a TLS setting group. Its error is Faults.
func tlsConfig(variable, ca, cert, key, serverName string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: serverName}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, Faults{fmt.Sprintf("%s_CA_FILE cannot be read: %v", variable, err)}
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, Faults{fmt.Sprintf("%s_CA_FILE has no certificate in PEM form: %s", variable, ca)}
		}
	}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, Faults{fmt.Sprintf("%s_CERT_FILE and %s_KEY_FILE cannot be used: %v", variable, variable, err)}
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

const dialTimeout = 5 * time.Second

// client makes a client of one Redis, of a cluster, or of what sentinels
// watch. Its error is Faults.
func (r *RedisSettings) client() (redis.UniversalClient, error) {
	if len(r.Addrs) == 0 {
		return nil, Faults{"MEDDELA_REDIS_ADDRS is not set: name your Redis (host:port), or run `meddela up` for an embedded Kafka and Redis"}
	}
	options := &redis.UniversalOptions{
		Addrs:                 r.Addrs,
		ClientName:            "meddela",
		DB:                    r.DB,
		Username:              r.Username,
		Password:              r.Password.reveal(),
		MasterName:            r.MasterName,
		SentinelUsername:      r.SentinelUsername,
		SentinelPassword:      r.SentinelPassword.reveal(),
		IsClusterMode:         r.Mode == "cluster",
		ContextTimeoutEnabled: true,
		DialTimeout:           dialTimeout,
		DialerRetries:         1, // commands are tried again anyway
		// An extension of one vendor's servers.
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if r.TLS {
		var err error
		if options.TLSConfig, err = tlsConfig("MEDDELA_REDIS_TLS", r.TLSCAFile, r.TLSCertFile, r.TLSKeyFile, r.TLSServerName); err != nil {
			return nil, err
		}
	}
	return redis.NewUniversalClient(options), nil
}

// redisLog takes what the Redis client says about its connections: callers
// are told of the errors that matter.
type redisLog struct{ log zerolog.Logger }

func (l redisLog) Printf(_ context.Context, format string, values ...any) {
	l.log.Debug().Msgf(format, values...)
}

// isTLSFault tells whether the two sides do not agree on encryption.
func isTLSFault(err error) bool {
	var verification *tls.CertificateVerificationError
	var header tls.RecordHeaderError
	var alert tls.AlertError
	return errors.As(err, &verification) || errors.As(err, &header) || errors.As(err, &alert)
}
