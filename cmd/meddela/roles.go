package main

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"
	"github.com/segmentio/kafka-go"
	"golang.org/x/sync/errgroup"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/consumer/delay"
	"github.com/meddela/meddela/consumer/deliver"
	"github.com/meddela/meddela/consumer/match"
	"github.com/meddela/meddela/consumer/message"
	"github.com/meddela/meddela/consumer/status"
	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/topology"
)

// installation is what roles are made from: the configuration and the servers.
type installation struct {
	config    *Config
	names     topology.Topics
	keys      topology.Keys
	kafka     producer.Connection
	redis     func() (redis.UniversalClient, error)
	providers map[topology.Channel]deliver.Provider
	log       zerolog.Logger
	// started, if set, is told of each loop that starts.
	started func(*consumer.Loop)
}

// role is one role on one lane, with connections of its own: what another role
// or lane does cannot hold it up.
type role struct {
	*installation
	name      topology.Role
	lane      topology.Lane
	transport *kafka.Transport
	log       zerolog.Logger
}

// run runs one role on one lane until ctx ends. Servers being away is not an
// error: the role waits for them.
func (in *installation) run(ctx context.Context, name topology.Role, lane topology.Lane) error {
	r := &role{
		installation: in, name: name, lane: lane,
		transport: in.kafka.Transport(),
		log:       in.log.With().Str("role", string(name)).Str("lane", string(lane)).Logger(),
	}
	defer r.transport.CloseIdleConnections()
	switch name {
	case topology.RoleMatch:
		return r.withTemplates(ctx, r.match)
	case topology.RoleDeliver:
		return r.withTemplates(ctx, r.deliver)
	case topology.RoleStatus:
		return r.status(ctx)
	case topology.RoleDelay:
		handler := &delay.Handler{Lane: lane, Names: in.names}
		return r.loop(ctx, handler, handler.Topics()...)
	}
	return fmt.Errorf("unknown role %q", name)
}

// loop runs the role's handler over its topics.
func (r *role) loop(ctx context.Context, handler consumer.Handler, topics ...topology.Topic) error {
	loop := consumer.New(r.loopConfig(handler, topics))
	if r.started != nil {
		r.started(loop)
	}
	return loop.Run(ctx)
}

func (r *role) loopConfig(handler consumer.Handler, topics []topology.Topic) consumer.Config {
	settings := r.config.Loop
	return consumer.Config{
		Role: r.name, Lane: r.lane, Names: r.names, Topics: topics, Handler: handler,
		Publisher: &producer.Publisher{
			Addr:        r.kafka.Addr(),
			Transport:   r.transport,
			Compression: r.config.Kafka.compression(),
			Log:         r.log,
		},
		Brokers: r.kafka.Brokers, Dialer: r.kafka.Dialer(), Transport: r.transport, Log: r.installation.log,
		FetchBytes: settings.FetchBytes, CommitInterval: settings.CommitInterval,
		SessionTimeout: settings.SessionTimeout, Grace: settings.Grace,
	}
}

// withTemplates loads the catalogue before the first record is read, and keeps
// it up to date while the role runs.
func (r *role) withTemplates(ctx context.Context, run func(context.Context, *catalogue.Follower) error) error {
	transport := r.kafka.Transport()
	defer transport.CloseIdleConnections()
	follower := catalogue.NewFollower(catalogue.Config{
		Source: catalogue.FromTopic(r.kafka.Addr(), transport, r.names.Templates()),
		Log:    r.log,
	})
	// The role finishes what it has fetched after ctx has ended, and may need
	// templates for that.
	following, stop := context.WithCancel(context.WithoutCancel(ctx))
	var group errgroup.Group
	group.Go(func() error { follower.Run(following); return nil })
	defer func() { stop(); _ = group.Wait() }()
	starting, cancel := context.WithTimeout(ctx, r.config.Templates.StartTimeout)
	defer cancel()
	if err := follower.AwaitReady(starting); err != nil {
		if ctx.Err() != nil {
			return nil // stopped before it had begun
		}
		return err
	}
	return run(ctx, follower)
}

func (r *role) match(ctx context.Context, follower *catalogue.Follower) error {
	handler := &match.Handler[*catalogue.Entry]{
		Lane: r.lane, Names: r.names,
		Catalogue: func() match.Catalogue[*catalogue.Entry] { return follower.Catalogue() },
	}
	return r.loop(ctx, handler, r.names.Events(r.lane))
}

func (r *role) deliver(ctx context.Context, follower *catalogue.Follower) error {
	client, err := r.redis()
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	handler, err := deliver.New(deliver.Config{
		Lane: r.lane, Names: r.names, Keys: r.keys, Redis: client,
		Templates:  templates{follower},
		Providers:  r.providers,
		Lease:      r.config.Claim.Lease,
		KeepClaims: r.config.Claim.TTL,
		Retries:    retries(),
		Log:        r.log,
	})
	if err != nil {
		return err
	}
	return r.loop(ctx, handler, r.names.Jobs(r.lane))
}

// retries are the waits of the delay tiers, shortest first: a provider that is
// away for hours costs nobody a message that is still valid then.
func retries() []time.Duration {
	var waits []time.Duration
	for _, tier := range topology.Tiers() {
		waits = append(waits, tier.Wait)
	}
	return waits
}

func (r *role) status(ctx context.Context) error {
	client, err := r.redis()
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	handler := &status.Handler{
		Lane: r.lane, Names: r.names,
		Store: &status.Store{
			Client: client, Keys: r.keys,
			TTL: r.config.Status.TTL, Notices: r.config.Status.Notices,
		},
	}
	return r.loop(ctx, handler, handler.Topics()...)
}

// templates is the catalogue as the deliverer sees it.
type templates struct{ follower *catalogue.Follower }

func (t templates) CatchUp(ctx context.Context) error { return t.follower.CatchUp(ctx) }

func (t templates) Template(ref topology.TemplateRef) (deliver.Template, bool) {
	entry, ok := t.follower.Catalogue().ByRef(ref)
	if !ok {
		return nil, false
	}
	compiled, err := entry.Template()
	if err != nil {
		return nil, false // a version that does not compile is never in the catalogue
	}
	return template{compiled, entry.Record().OnAmbiguous == topology.HoldAmbiguous}, true
}

// template is one version as the deliverer sees it.
type template struct {
	*message.Template
	hold bool
}

func (t template) HoldsAmbiguous() bool { return t.hold }
