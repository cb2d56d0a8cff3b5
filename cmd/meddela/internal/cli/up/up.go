// Package up has the commands that run everything in one process, on an embedded
// broker and store: up and demo.
package up

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/topology"
)

// Default ports of `meddela up`, away from those of real servers.
const (
	upKafkaPort = 9494
	upRedisPort = 6494
)

// NewUp makes the command up.
func NewUp(env *command.Env) *cobra.Command {
	var kafkaPort, redisPort int
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run everything in this process, on an embedded broker and store",
		Long: `Run everything in this process, on an embedded broker and store.

Both listen on loopback, for any Kafka or Redis client. Sample templates are
loaded, and messages go to a sandbox that keeps them rather than to people.
Statuses are kept for an hour, and nothing after the end. Settings of Kafka and
Redis are not used here; all others are: channels that have a provider, by
MEDDELA_SMTP_URL or MEDDELA_PROVIDERS_FILE, send real messages.`,
		Example: `  meddela up
  meddela up --kafka-port 9092 --redis-port 6379
  MEDDELA_SANDBOX_FILE=/tmp/sent.jsonl meddela up`,
		GroupID: command.GroupTry,
		RunE:    env.Loaded(func(ctx context.Context, _ []string) error { return up(ctx, env, kafkaPort, redisPort) }),
	}
	cmd.Flags().IntVar(&kafkaPort, "kafka-port", upKafkaPort, "port of the Kafka protocol; 0 is any that is free")
	cmd.Flags().IntVar(&redisPort, "redis-port", upRedisPort, "port of the Redis protocol; 0 is any that is free")
	return cmd
}

func up(ctx context.Context, env *command.Env, kafkaPort, redisPort int) error {
	l, err := startLocal(ctx, env, kafkaPort, redisPort, true)
	if errors.Is(err, context.Canceled) {
		return nil
	}
	if err != nil {
		return err
	}
	defer l.close()
	if err := env.Printf("%s", l.greeting()); err != nil {
		return err
	}
	<-ctx.Done()
	return env.Printf("\nstopping: finishing what is under way\n")
}

// greeting says where everything is, and what to try.
func (l *local) greeting() string {
	_, redisPort, _ := net.SplitHostPort(l.store.Addr())
	events := l.Names.Events(topology.Realtime)
	return fmt.Sprintf(`meddela is up. Nothing is kept when it stops: Ctrl-C.

  Kafka protocol  %s    topics %s, %s
  Redis protocol  %s    hashes %s

Publish an event, and read its status (from another terminal):

  echo '{"id":"hello-1","type":"order_confirmation","email":"kim@example.com","language":"sv","ctx":{"firstName":"Kim","order":{"number":"A-1007","total":"129.90","currency":"SEK"}}}' |
    kcat -P -b %s -t %s
  redis-cli -p %s HGETALL %s

or without either of these clients, an event a line:

  echo … | %s publish --lane realtime --kafka-brokers %s
  %s status hello-1 --redis-addrs %s

%s
Each topic of a lane has %d partitions here.
`,
		l.broker.Addr(), events, l.Names.Events(topology.Batch),
		l.store.Addr(), l.Keys.Event("<event id>"),
		l.broker.Addr(), events, redisPort, l.Keys.Event("hello-1"),
		command.Called(), l.broker.Addr(), command.Called(), l.store.Addr(), l.whereMessagesGo(), localPartitions)
}

// whereMessagesGo says which messages are sent to nobody.
func (l *local) whereMessagesGo() string {
	sandboxed := wording.Texts(l.Config.Deliver.SandboxedOf(l.Channels))
	switch len(sandboxed) {
	case 0:
		return "Messages are really sent, by the providers that are configured."
	case len(l.Channels):
		return "Messages go to a sandbox: MEDDELA_SANDBOX_FILE=sent.jsonl writes them to a file."
	}
	return "Messages of " + strings.Join(sandboxed,
		", ") + " go to a sandbox: MEDDELA_SANDBOX_FILE=sent.jsonl writes them to a file."
}
