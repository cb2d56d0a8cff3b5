package main

import (
	"context"
	"flag"
	"fmt"
	"time"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/consumer/match"
	"github.com/meddela/meddela/topology"
)

// matchFigure has the matcher, and a bare loop that writes as many records of the same sizes without looking at what it
// reads, work off the same backlog.
func matchFigure(flags *flag.FlagSet) func(*bench) []Table {
	events := count(flags, "events", 200_000, "how many events are matched each time")
	rounds := roundsFlag(flags)
	return func(b *bench) []Table {
		s := b.newSystem("match", lane)
		s.publishSamples()
		from := s.names.Events(lane)
		s.fill(from, *events, numbered)
		matcher := newMatcher(s.names, s.catalogue())
		bare := &bareMatcher{names: s.names}
		bare.job, bare.entry = outputSizes(s.ctx, matcher)
		return []Table{compare("match", "events", *rounds, 0.7,
			s.drainer("match", *events, matcher, from),
			s.drainer("bare fetch-and-produce of the same bytes", *events, bare, from),
			s.drainer("plain copy, each event once", *events, &forwarder{to: s.names.Jobs(lane)}, from),
		)}
	}
}

func newMatcher(names topology.Topics, templates *catalogue.Catalogue) consumer.Handler {
	return &match.Handler[*catalogue.Entry]{
		Lane: lane, Names: names,
		Catalogue: func() match.Catalogue[*catalogue.Entry] { return templates },
	}
}

// outputSizes asks a matcher how many bytes the job and the entry of an event have.
func outputSizes(ctx context.Context, matcher consumer.Handler) (job, entry int) {
	const sample = 400
	batch := consumer.Batch{Topic: "sample"}
	for i := range sample {
		r := newEvent(i)
		r.Time = time.Now()
		batch.Records = append(batch.Records, r)
	}
	out := must(matcher.Handle(ctx, batch)).Out
	if len(out) != 2*sample {
		check(fmt.Errorf("the matcher made %d records of %d events, not a job and an entry of each", len(out), sample))
	}
	for i := 0; i < len(out); i += 2 {
		job += len(out[i].Value)
		entry += len(out[i+1].Value)
	}
	return job / sample, entry / sample
}

// bareMatcher writes what a matcher would, in number, size and place, and does nothing for it.
type bareMatcher struct {
	names      topology.Topics
	job, entry int // bytes
}

func (h *bareMatcher) Handle(_ context.Context, b consumer.Batch) (consumer.Result, error) {
	filler := make([]byte, max(h.job, h.entry))
	jobs, log := h.names.Jobs(lane), h.names.DeliveryLog(lane)
	out := make([]topology.Record, 0, 2*len(b.Records))
	for i := range b.Records {
		key := b.Records[i].Key
		out = append(out,
			topology.Record{Topic: jobs, Key: key, Value: filler[:h.job]},
			topology.Record{Topic: log, Key: key, Value: filler[:h.entry]})
	}
	return consumer.Result{Out: out, Handled: len(b.Records)}, nil
}

// forwarder writes each record once: as it is or, if a size is given, as that many bytes.
type forwarder struct {
	to   topology.Topic
	size int
}

func (h *forwarder) Handle(_ context.Context, b consumer.Batch) (consumer.Result, error) {
	value := make([]byte, h.size)
	out := make([]topology.Record, len(b.Records))
	for i := range b.Records {
		out[i] = topology.Record{Topic: h.to, Key: b.Records[i].Key, Value: value}
		if h.size == 0 {
			out[i].Value, out[i].Headers = b.Records[i].Value, b.Records[i].Headers
		}
	}
	return consumer.Result{Out: out, Handled: len(b.Records)}, nil
}
