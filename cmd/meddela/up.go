package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/meddela/meddela/topology"
)

// Default ports of `meddela up`, away from those of real servers.
const (
	upKafkaPort = 9494
	upRedisPort = 6494
)

func newUpCommand(a *app) *cobra.Command {
	var kafkaPort, redisPort int
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run everything in this process, on an embedded broker and store",
		Long: `Run everything in this process, on an embedded broker and store.

Both listen on loopback, for any Kafka or Redis client. Sample templates are
loaded, and messages go to a sandbox that keeps them rather than to people.
Statuses are kept for an hour, and nothing after the end. Settings of Kafka and
Redis are not used here; all others are, so that MEDDELA_DELIVER_EMAIL=smtp sends
real mail.`,
		Example: `  meddela up
  meddela up --kafka-port 9092 --redis-port 6379
  MEDDELA_SANDBOX_FILE=/tmp/sent.jsonl meddela up`,
		GroupID: groupTry,
		Args:    arguments(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.load(cmd); err != nil {
				return err
			}
			a.quieten()
			return a.up(cmd.Context(), kafkaPort, redisPort)
		},
	}
	cmd.Flags().IntVar(&kafkaPort, "kafka-port", upKafkaPort, "port of the Kafka protocol; 0 is any that is free")
	cmd.Flags().IntVar(&redisPort, "redis-port", upRedisPort, "port of the Redis protocol; 0 is any that is free")
	return cmd
}

// quieten leaves only warnings of the log, unless a level was asked for: what
// the embedded system does is shown in other ways.
func (a *app) quieten() {
	for i := range a.settings {
		if a.settings[i].name == "MEDDELA_LOG_LEVEL" && a.settings[i].source != fromDefault {
			return
		}
	}
	a.log = a.log.Level(zerolog.WarnLevel)
}

func (a *app) up(ctx context.Context, kafkaPort, redisPort int) error {
	l, err := a.startLocal(ctx, kafkaPort, redisPort)
	if errors.Is(err, context.Canceled) {
		return nil
	}
	if err != nil {
		return err
	}
	defer l.close()
	if err := a.printf("%s", l.greeting()); err != nil {
		return err
	}
	<-ctx.Done()
	return a.printf("\nstopping: finishing what is under way\n")
}

// greeting says where everything is, and what to try.
func (l *local) greeting() string {
	var b strings.Builder
	_, redisPort, _ := net.SplitHostPort(l.store.Addr())
	events := l.names.Events(topology.Realtime)
	fmt.Fprintf(&b, `meddela is up. Nothing is kept when it stops: Ctrl-C.

  Kafka protocol  %s    topics %s, %s
  Redis protocol  %s    hashes %s

Publish an event, and read its status (from another terminal):

  echo '{"id":"hello-1","type":"order_confirmation","email":"kim@example.com","language":"sv","ctx":{"firstName":"Kim","order":{"number":"A-1007","total":"129.90","currency":"SEK"}}}' |
    kcat -P -b %s -t %s
  redis-cli -p %s HGETALL %s

or without either of these clients:

  meddela publish --lane realtime --kafka-brokers %s events.jsonl
  meddela status hello-1 --redis-addrs %s

Messages go to a sandbox: MEDDELA_SANDBOX_FILE=sent.jsonl writes them to a file.
Each topic of a lane has %d partitions here.
`,
		l.broker.Addr(), events, l.names.Events(topology.Batch),
		l.store.Addr(), l.keys.Event("<event id>"),
		l.broker.Addr(), events, redisPort, l.keys.Event("hello-1"),
		l.broker.Addr(), l.store.Addr(), localPartitions)
	return b.String()
}
