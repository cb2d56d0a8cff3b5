package bench

import (
	"context"
	"errors"
	"time"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/topology"
)

// pipeline is processes that make events into statuses, and where they work.
type pipeline struct {
	children
	names topology.Topics
	keys  topology.Keys
}

// publishTemplates makes the templates known to a measurement's roles.
func (b *Bench) publishTemplates(ctx context.Context, names topology.Topics) error {
	to := &producer.Publisher{Addr: b.Kafka.Addr(), Transport: b.transport}
	_, err := authoring.Publish(ctx, to, names.Templates(), new(catalogue.Catalogue), b.Templates, time.Now())
	return err
}

// startPipeline starts the roles on topics of their own.
func (b *Bench) startPipeline(ctx context.Context, measurement string) (*pipeline, error) {
	p := &pipeline{names: b.names(measurement), keys: b.keys(measurement)}
	b.Progress("starting the roles")
	if err := b.createTopics(ctx, p.names); err != nil {
		return nil, err
	}
	if err := b.publishTemplates(ctx, p.names); err != nil {
		return nil, err
	}
	var err error
	p.children, err = b.startRoles(p.names, p.keys)
	return p, err
}

// during does something while the pipeline runs, and stops it.
func (p *pipeline) during(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := p.guard(ctx)
	err := do(ctx)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	cancel()
	return errors.Join(err, p.stop())
}
