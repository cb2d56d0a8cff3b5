package up

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/config"
	"github.com/meddela/meddela/cmd/meddela/internal/health"
	"github.com/meddela/meddela/cmd/meddela/internal/roles"
	"github.com/meddela/meddela/cmd/meddela/samples"
	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/producer/embedded"
	"github.com/meddela/meddela/producer/provision"
	"github.com/meddela/meddela/topology"
)

// local is a whole installation in this process: broker, store, sample
// templates, and every role of both lanes.
type local struct {
	*roles.Installation
	broker *embedded.Broker
	store  *embedded.Store
	checks *health.Checks
	roles  sync.WaitGroup
	stop   context.CancelFunc
}

// localTTL bounds what the embedded store holds: it is in memory, and never
// evicts.
const localTTL = time.Hour

// localPartitions is fewer than a cluster has: one process has them all.
const localPartitions = 4

// startLocal starts everything and returns when it is at work. Port 0 is any
// that is free. The configuration's servers are replaced by the embedded ones;
// its providers are used only if the messages may be real. Of the log it leaves
// only warnings, unless a level was asked for.
func startLocal(ctx context.Context, env *command.Env, kafkaPort, redisPort int, real bool) (*local, error) {
	for _, s := range env.Settings {
		if s.Name == "MEDDELA_LOG_LEVEL" && s.Source == config.FromDefault {
			env.Log = env.Log.Level(zerolog.WarnLevel)
		}
	}
	broker, err := embedded.StartBroker(embedded.BrokerConfig{Port: kafkaPort})
	if err != nil {
		return nil, fmt.Errorf("%w: choose another with --kafka-port", err)
	}
	// Role deliver has a loop for each channel.
	loops := len(topology.Lanes()) * (len(topology.Roles()) - 1 + len(topology.Channels()))
	l := &local{broker: broker, stop: func() {}, checks: health.New("", nil, env.Version, loops)}
	if l.store, err = embedded.StartStore(embedded.StoreConfig{Port: redisPort}); err != nil {
		broker.Close()
		return nil, fmt.Errorf("%w: choose another with --redis-port", err)
	}
	if err := l.start(ctx, env, real); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func (l *local) start(ctx context.Context, env *command.Env, real bool) error {
	c := &env.Config
	c.Kafka = config.KafkaSettings{Brokers: config.List{l.broker.Addr()}, ClientID: c.Kafka.ClientID, Compression: "none"}
	c.Redis = config.RedisSettings{Addrs: config.List{l.store.Addr()}, Mode: "single", KeyPrefix: c.Redis.KeyPrefix}
	c.Topics.Partitions, c.Topics.Replication, c.Topics.MinInSync = localPartitions, 1, 0
	c.Status.TTL = min(c.Status.TTL, localTTL)
	if !real { // else the same id is one message for as long as the setting says
		c.Claim.TTL = min(c.Claim.TTL, localTTL)
		c.Deliver.File, c.Deliver.SMTPURL = "", ""
	}
	var err error
	if l.Installation, err = roles.New(c, env.Log, roles.Dial{}); err != nil {
		return err
	}
	for _, channel := range c.Deliver.Unprovided(l.Providers, l.Channels) {
		c.Deliver.Sandbox = append(c.Deliver.Sandbox, string(channel))
	}
	l.Started = l.checks.Add
	if err := l.prepare(ctx); err != nil {
		return err
	}
	return l.startRoles(ctx)
}

// prepare creates the topics and publishes the sample templates.
func (l *local) prepare(ctx context.Context) error {
	transport := l.Kafka.Transport()
	defer transport.CloseIdleConnections()
	client := &kafka.Client{Addr: l.Kafka.Addr(), Transport: transport}
	if err := provision.Create(ctx, client, l.Names.Specs(l.Config.Sizing())); err != nil {
		return err
	}
	records, err := authoring.Load(samples.Templates())
	if err != nil {
		return err
	}
	writer := &producer.Publisher{Addr: l.Kafka.Addr(), Transport: transport}
	plan := authoring.PlanPublication(new(catalogue.Catalogue), records)
	_, err = authoring.Write(ctx, writer, l.Names.Templates(), plan, time.Now())
	return err
}

// startRoles starts every role of both lanes and waits until all have their
// partitions, or one has failed.
func (l *local) startRoles(ctx context.Context) error {
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	l.stop = stop
	failed := make(chan error, len(topology.Lanes())*len(topology.Roles()))
	for _, lane := range topology.Lanes() {
		for _, name := range topology.Roles() {
			l.roles.Go(func() {
				if err := l.Run(running, name, lane); err != nil {
					failed <- err
				}
			})
		}
	}
	for l.checks.Ready() != nil {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-failed:
			return err
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}

// close stops the roles, then the servers.
func (l *local) close() {
	l.stop()
	l.roles.Wait()
	l.store.Close()
	l.broker.Close()
}
