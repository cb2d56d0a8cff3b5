// Package roles puts the roles together from the configuration and the servers.
package roles

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/meddela/meddela/cmd/meddela/internal/config"
	"github.com/meddela/meddela/cmd/meddela/internal/connect"
	"github.com/meddela/meddela/cmd/meddela/internal/metrics"
	"github.com/meddela/meddela/cmd/meddela/internal/providerfile"
	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/consumer/control"
	"github.com/meddela/meddela/consumer/delay"
	"github.com/meddela/meddela/consumer/deliver"
	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/deliver/provider/failover"
	"github.com/meddela/meddela/consumer/deliver/provider/sandbox"
	"github.com/meddela/meddela/consumer/deliver/recipient/quiet"
	"github.com/meddela/meddela/consumer/deliver/recipient/suppress"
	"github.com/meddela/meddela/consumer/match"
	"github.com/meddela/meddela/consumer/position"
	"github.com/meddela/meddela/consumer/scan"
	"github.com/meddela/meddela/consumer/status"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/consumer/tracing"
	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/topology"
)

// Installation is what roles are made from: the configuration and the servers.
type Installation struct {
	Config    *config.Config
	Names     topology.Topics
	Keys      topology.Keys
	Kafka     producer.Connection
	Redis     func() (redis.UniversalClient, error)
	Providers *providerfile.File
	// Build makes the providers of a role's channels, as Providers.Build does.
	Build    func(providerfile.Site) (map[topology.Channel]provider.Provider, func(), error)
	Sandbox  *sandbox.Provider
	Channels []topology.Channel // that role deliver delivers
	Log      zerolog.Logger
	// Started is told of each loop that starts.
	Started func(*consumer.Loop)
	// Metrics get what the roles count; nil for none.
	Metrics *metrics.Metrics
	// Version is what traces say of the process.
	Version string

	lanes map[topology.Lane]*shared
}

// Dial opens connections to the servers; its zero value is as configured.
type Dial struct{ Kafka, Redis connect.Dial }

// New makes the installation of a configuration, with all channels. Its error is
// Faults.
func New(c *config.Config, log zerolog.Logger, dial Dial) (*Installation, error) {
	in := &Installation{
		Config: c, Names: c.Names(), Keys: c.Keys(), Channels: topology.Channels(), Log: log,
		Redis: func() (redis.UniversalClient, error) { return connect.Redis(&c.Redis, dial.Redis) },
	}
	var err error
	if in.Kafka, err = connect.Kafka(&c.Kafka, in.Names); err != nil {
		return nil, err
	}
	in.Kafka.DialContext = dial.Kafka
	if in.Providers, err = c.Deliver.Providers(); err != nil {
		return nil, err
	}
	in.Build = in.Providers.Build
	in.lanes = make(map[topology.Lane]*shared)
	for _, lane := range topology.Lanes() {
		connection := in.Kafka
		connection.ClientID = c.Kafka.LaneClient(lane)
		transport, addr := connection.Transports(), connection.Addr()
		in.lanes[lane] = &shared{
			transport: transport,
			publisher: &producer.Publisher{
				Addr: addr, Transport: transport, Compression: connect.Compression(&c.Kafka),
				Log: log.With().Str("lane", string(lane)).Logger(), Expendable: []topology.Topic{in.Names.DeadLetters(lane)},
			},
			reader: consumer.NewReader(addr, transport, int64(c.Loop.InFlightBytes)),
		}
	}
	in.Sandbox, err = newSandbox(c)
	return in, err
}

// shared is what all roles of a lane read and write Kafka with in this process. A lane
// shares nothing with the other, which so cannot hold it up.
type shared struct {
	transport *producer.Transports
	publisher *producer.Publisher
	reader    *consumer.Reader
	watched   sync.Once // by the first role: yield is for all that share the reader
}

type role struct {
	*Installation
	*shared
	name      topology.Role
	lane      topology.Lane
	metrics   *metrics.Metrics
	tracer    *tracing.Tracer // nil for none
	log       zerolog.Logger
	templates *catalogue.Follower   // of roles match and deliver
	orders    *control.Follower     // of roles deliver and delay
	redis     redis.UniversalClient // of roles deliver and status
}

// Run runs one role on one lane until ctx ends. Servers being away is not an
// error: the role waits for them.
func (in *Installation) Run(ctx context.Context, name topology.Role, lane topology.Lane) error {
	r := &role{
		Installation: in, shared: in.lanes[lane], name: name, lane: lane,
		metrics: in.Metrics.Of(name),
		log:     in.Log.With().Str("role", string(name)).Str("lane", string(lane)).Logger(),
	}
	defer r.transport.CloseIdleConnections()
	r.metrics.Publishing(&r.publisher.Errors)
	if lane == topology.Batch && in.Config.Loop.Yield {
		r.watched.Do(func() { go r.yield(ctx) })
	}
	var flush func()
	var err error
	if r.tracer, flush, err = r.newTracer(ctx); err != nil {
		return err
	}
	defer flush()
	if name == topology.RoleDeliver || name == topology.RoleStatus {
		client, err := r.Redis()
		if err != nil {
			return err
		}
		defer func() { _ = client.Close() }()
		r.redis = client
	}
	within := in.Config.Templates.StartTimeout
	if name == topology.RoleMatch || name == topology.RoleDeliver {
		templates, stop, err := connect.Follow(ctx, in.Kafka, in.Names.Templates(), within, catalogue.NewFollower, r.log)
		defer stop()
		if err != nil {
			return unlessStopped(ctx, err)
		}
		r.templates = templates
	}
	if name == topology.RoleDeliver || name == topology.RoleDelay {
		orders, stop, err := connect.Follow(ctx, in.Kafka, in.Names.Control(), within, control.NewFollower, r.log)
		defer stop()
		if err != nil {
			return unlessStopped(ctx, err)
		}
		r.orders = orders
	}
	return map[topology.Role]func(context.Context) error{
		topology.RoleMatch: r.match, topology.RoleDeliver: r.deliver, topology.RoleStatus: r.status,
		topology.RoleDelay: r.delay, topology.RoleNotify: r.notify,
	}[name](ctx)
}

// unlessStopped is the error, unless the role was stopped before it had begun.
func unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// loop runs a handler over its topics.
func (r *role) loop(ctx context.Context, config consumer.Config) error {
	loop := consumer.New(config)
	r.metrics.Loop(loop)
	r.Started(loop)
	return loop.Run(ctx)
}

// loopConfig is that of a loop in which so many batches of a partition are handled side by side.
func (r *role) loopConfig(handler consumer.Handler, parallel int) consumer.Config {
	settings := r.Config.Loop
	return consumer.Config{
		Role: r.name, Lane: r.lane, Names: r.Names, Topics: r.Names.Reads(r.name, r.lane), Handler: handler,
		Publisher: r.publisher, Reader: r.reader, Parallel: parallel,
		Brokers: r.Kafka.Brokers, Instance: r.Config.Kafka.Instance, Transport: r.transport, Log: r.Installation.Log,
		FetchBytes: settings.FetchBytes, CommitInterval: settings.CommitInterval,
		SessionTimeout: settings.SessionTimeout, Grace: settings.Grace,
	}
}

func (r *role) match(ctx context.Context) error {
	r.metrics.Templates(r.templates)
	handler := &match.Handler{
		Lane: r.lane, Names: r.Names, Catalogue: r.templates.Snapshot, Now: time.Now,
		Meter: r.metrics.Match(), Tracer: r.tracer,
	}
	return r.loop(ctx, r.loopConfig(handler, 0))
}

// deliverParallel is how many batches of a partition are delivered side by side.
// At rest a batch is one message, which should not wait for the provider's
// answer to the one before.
const deliverParallel = 64

// retries are the waits before further attempts: a provider that is away for
// hours costs nobody a message that is still valid then.
var retries = []time.Duration{10 * time.Second, time.Minute, 10 * time.Minute, time.Hour, 6 * time.Hour}

// deliver runs a loop for each channel that the process delivers, so that no
// channel waits for another's provider.
func (r *role) deliver(ctx context.Context) error {
	providers, closeProviders, err := r.providers()
	if err != nil {
		return err
	}
	defer closeProviders()
	gate, stop, err := r.gate(ctx)
	if err != nil {
		return unlessStopped(ctx, err)
	}
	defer stop()
	r.metrics.Suppressions(gate.Copy)
	r.metrics.Templates(r.templates)
	r.metrics.Redis(r.redis)
	meter := r.metrics.Deliver()
	topics, closeTopics := r.topics()
	defer closeTopics()
	memory := r.memory()
	memory.Log = func(ctx context.Context, partition int, since time.Time, handle func([]topology.Record) error) error {
		ranges, err := topics.Ranges(ctx, r.Names.DeliveryLog(r.lane), since)
		if err != nil {
			return err
		}
		ranges = slices.DeleteFunc(ranges, func(of scan.Range) bool { return of.Partition != partition })
		return topics.Scan(ctx, ranges, nil, handle)
	}
	loops, ctx := errgroup.WithContext(ctx)
	loops.Go(func() error { failover.Tell(ctx, r.redis, r.Keys, r.lane, providers); return nil })
	for _, channel := range r.Channels {
		loops.Go(func() error {
			handler, err := deliver.New(deliver.Config{
				Lane: r.lane, Channel: channel, Names: r.Names, Keys: r.Keys, Redis: r.redis,
				Templates: templates{r.templates},
				Providers: map[topology.Channel]provider.Provider{channel: providers[channel]},
				Orders:    r.orders.Snapshot,
				Region:    r.Config.Recipient.PhoneRegion,
				Gate:      gate, Hasher: r.Config.Hasher(),
				Lease:      r.Config.Claim.Lease,
				KeepClaims: r.Config.Claim.TTL, ClaimReplicas: r.Config.Claim.Replicas, Memory: memory,
				Retries: retries,
				Meter:   meter(channel),
				Tracer:  r.tracer,
				Log:     r.log.With().Str("channel", string(channel)).Logger(),
			})
			if err != nil {
				return err
			}
			route, _ := providers[channel].(*failover.Route)
			r.metrics.Delivery(channel, &handler.Counters, route)
			config := r.loopConfig(handler, deliverParallel)
			config.Group = r.Names.DeliverGroup(r.lane, channel)
			positions := r.positions(config.Group)
			positions.Forget = memory.Lost
			config.Positions = positions
			config.Only = topology.Header{Key: topology.HeaderChannel, Value: []byte(channel)}
			return r.loop(ctx, config)
		})
	}
	return loops.Wait()
}

// gate says who must not be written to, until stop is called. What it must know is read
// while the role is at work already: until then nobody is written to.
func (r *role) gate(ctx context.Context) (gate *suppress.Gate, stop func(), err error) {
	if err := r.Config.CheckPepper(); err != nil {
		return nil, nil, err
	}
	caps, _ := r.Config.Caps() // which were checked as they were read
	suppressed, keep, stop := connect.Suppressions(ctx, r.Config, r.Kafka, r.redis, r.log)
	err = suppressed.CheckPepper(ctx)
	if errors.Is(err, suppress.ErrPepper) || errors.Is(err, suppress.ErrNoPepper) {
		stop()
		return nil, nil, err
	}
	keep() // whatever else there is may be mended meanwhile
	return &suppress.Gate{Copy: suppressed, Caps: caps}, stop, nil
}

func (r *role) delay(ctx context.Context) error {
	handler := &delay.Handler{Lane: r.lane, Names: r.Names, Orders: r.orders.Snapshot, Now: time.Now}
	return r.loop(ctx, r.loopConfig(handler, 0))
}

// statusParallel is how many batches of a partition are written side by side, so
// that what is held to be written with what comes next holds up nothing.
const statusParallel = 64

func (r *role) status(ctx context.Context) error {
	r.metrics.Redis(r.redis)
	store := &status.Store{Client: r.redis, Keys: r.Keys, TTL: r.Config.Status.TTL, Notices: r.Config.Status.PubSub,
		Meter: r.metrics.Status()}
	handler := &status.Handler{Lane: r.lane, Names: r.Names, Store: store, Tracer: r.tracer}
	config := r.loopConfig(handler, statusParallel)
	positions := r.positions(r.Names.Group(topology.RoleStatus, r.lane))
	topics, closeTopics := r.topics()
	defer closeTopics()
	positions.Topics = topics
	// What is mended is no news: it is neither counted nor announced.
	mender := &status.Handler{Lane: r.lane, Names: r.Names,
		Store: &status.Store{Client: r.redis, Keys: r.Keys, TTL: r.Config.Status.TTL}}
	claims := r.memory()
	positions.Mend = func(ctx context.Context, records []topology.Record) error {
		topic := records[0].Topic
		_, err := mender.Handle(ctx, consumer.Batch{Topic: topic, Partition: records[0].Partition, Records: records})
		if err == nil && topic == r.Names.DeliveryLog(r.lane) {
			_, err = claims.Restore(ctx, records)
		}
		return err
	}
	config.Positions = positions
	return r.loop(ctx, config)
}

// topics reads topics beside the loops, with connections of its own until stop is called.
func (r *role) topics() (topics *scan.Topics, stop func()) {
	transport := r.Kafka.Transport()
	return &scan.Topics{Addr: r.Kafka.Addr(), Transport: transport, Log: r.log}, transport.CloseIdleConnections
}

// memory is what Redis has of jobs' claims.
func (r *role) memory() *deliver.Memory {
	return &deliver.Memory{Redis: r.redis, Keys: r.Keys, KeepClaims: r.Config.Claim.TTL, Logger: r.log}
}

// positions are those of a consumer group that writes to Redis.
func (r *role) positions(group string) *position.Positions {
	p := &position.Positions{Client: r.redis, Keys: r.Keys, Group: group, Log: r.log}
	r.metrics.Positions(p)
	return p
}

// templates is the catalogue as the deliverer sees it.
type templates struct{ *catalogue.Follower }

func (t templates) Template(ref topology.TemplateRef) deliver.Template {
	entry, ok := t.Snapshot().ByRef(ref)
	if !ok {
		return nil
	}
	record := entry.Record()
	policy := deliver.Policy{HoldAmbiguous: record.OnAmbiguous == topology.HoldAmbiguous, Urgent: record.Urgent}
	if record.QuietHours != "" {
		policy.Quiet, _ = quiet.Parse(record.QuietHours) // what cannot be read was refused when it was published
	}
	if record.Retry != nil {
		policy.Retries = make([]time.Duration, len(record.Retry))
		for i, wait := range record.Retry {
			policy.Retries[i] = time.Duration(wait)
		}
	}
	return templateWithPolicy{entry.Template(), policy}
}

// templateWithPolicy is one version as the deliverer sees it.
type templateWithPolicy struct {
	*template.Template
	policy deliver.Policy
}

func (t templateWithPolicy) Policy() *deliver.Policy { return &t.policy }
