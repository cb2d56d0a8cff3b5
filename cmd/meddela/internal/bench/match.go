package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/consumer/match"
	"github.com/meddela/meddela/topology"
)

const matchGoal = 0.7

// Match has the matcher, and a bare loop that writes as many records of the
// same sizes without looking at what it reads, work off the same backlog.
func (b *Bench) Match(ctx context.Context, events, rounds int) (*Comparison, error) {
	names := b.names("match")
	if err := b.createTopics(ctx, names); err != nil {
		return nil, err
	}
	from := backlog{names: names, topics: []topology.Topic{names.Events(lane)}, records: events}
	if err := b.fill(ctx, names.Events(lane), events, numbered(b.Sizing.Partitions)); err != nil {
		return nil, err
	}
	matcher, err := newMatcher(names, b.Templates)
	if err != nil {
		return nil, err
	}
	sizes, err := outputSizes(ctx, matcher)
	if err != nil {
		return nil, err
	}
	return b.compare(ctx, "match", "events", rounds, matchGoal,
		b.drainer("match", from, matcher),
		b.drainer("bare fetch-and-produce of the same bytes", from, &bareMatcher{names: names, sizes: sizes}),
		b.drainer("plain copy, each event once", from, &copier{to: names.Jobs(lane)}),
	)
}

// numbered makes events that differ, whichever partition they are for.
func numbered(partitions int) func(partition, at int) topology.Record {
	return func(partition, at int) topology.Record { return newEvent(at*partitions + partition) }
}

// drainer is a contestant that works off a backlog, each time as a new group.
func (b *Bench) drainer(name string, from backlog, handler consumer.Handler) contestant {
	runs := 0
	return contestant{name, func(ctx context.Context, _ int) (work, error) {
		runs++
		group := topology.Role(fmt.Sprintf("%.5s-%d", name, runs))
		return b.drain(ctx, group, from, handler)
	}}
}

func newMatcher(names topology.Topics, records []topology.TemplateRecord) (consumer.Handler, error) {
	templates, err := catalogue.New(records...)
	if err != nil {
		return nil, err
	}
	return &match.Handler[*catalogue.Entry]{
		Lane: lane, Names: names,
		Catalogue: func() match.Catalogue[*catalogue.Entry] { return templates },
	}, nil
}

// outputSize is how many bytes the matcher writes for an event.
type outputSize struct{ job, entry int }

// outputSizes asks the matcher itself.
func outputSizes(ctx context.Context, matcher consumer.Handler) (outputSize, error) {
	const sample = 400
	batch := consumer.Batch{Topic: "sample"}
	for i := range sample {
		r := newEvent(i)
		r.Time = time.Now()
		batch.Records = append(batch.Records, r)
	}
	result, err := matcher.Handle(ctx, batch)
	if err != nil {
		return outputSize{}, err
	}
	if len(result.Out) != 2*sample {
		return outputSize{}, fmt.Errorf("the matcher made %d records of %d events, not a job and an entry of each", len(result.Out), sample)
	}
	var total outputSize
	for i := 0; i < len(result.Out); i += 2 {
		total.job += len(result.Out[i].Value)
		total.entry += len(result.Out[i+1].Value)
	}
	return outputSize{job: total.job / sample, entry: total.entry / sample}, nil
}

// bareMatcher writes what a matcher would, in number, size and place, and
// does nothing for it.
type bareMatcher struct {
	names topology.Topics
	sizes outputSize
}

func (h *bareMatcher) Handle(_ context.Context, b consumer.Batch) (consumer.Result, error) {
	filler := make([]byte, max(h.sizes.job, h.sizes.entry))
	jobs, log := h.names.Jobs(lane), h.names.DeliveryLog(lane)
	out := make([]topology.Record, 0, 2*len(b.Records))
	for i := range b.Records {
		key := b.Records[i].Key
		out = append(out,
			topology.Record{Topic: jobs, Key: key, Value: filler[:h.sizes.job]},
			topology.Record{Topic: log, Key: key, Value: filler[:h.sizes.entry]})
	}
	return consumer.Result{Out: out, Handled: len(b.Records)}, nil
}

// copier writes each record once, as it is.
type copier struct{ to topology.Topic }

func (h *copier) Handle(_ context.Context, b consumer.Batch) (consumer.Result, error) {
	out := make([]topology.Record, len(b.Records))
	for i := range b.Records {
		out[i] = topology.Record{Topic: h.to, Key: b.Records[i].Key, Value: b.Records[i].Value, Headers: b.Records[i].Headers}
	}
	return consumer.Result{Out: out, Handled: len(b.Records)}, nil
}
