package bench

import (
	"context"
	"io"
	"net"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/meddela/meddela/cmd/meddela/internal/metrics"
	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/consumer/match"
	"github.com/meddela/meddela/consumer/tracing"
	"github.com/meddela/meddela/topology"
)

// overheadGoal is the share of the rate that is to be left.
const overheadGoal = 0.95

// Overhead has the matcher, the role that does most for each second of CPU, work
// off the same backlog with and without what shows how it is. Metrics are asked
// for every second, far more often than anybody does; traces are handed to a
// collector on this machine, whose work counts as ours.
func (b *Bench) Overhead(ctx context.Context, events, rounds int, sample float64) (*Comparison, error) {
	names := b.names("overhead")
	if err := b.createTopics(ctx, names); err != nil {
		return nil, err
	}
	from := backlog{names: names, topics: []topology.Topic{names.Events(lane)}, records: events}
	if err := b.fill(ctx, names.Events(lane), events, numbered(b.Sizing.Partitions)); err != nil {
		return nil, err
	}
	shown := metrics.New(topology.RoleMatch, lane, "bench")
	page, err := newSink(shown.Handler())
	if err != nil {
		return nil, err
	}
	defer page.close()
	scraping, stop := context.WithCancel(ctx)
	defer stop()
	go scrape(scraping, page.url)
	tracer, flush, err := newTracer(ctx, sample)
	if err != nil {
		return nil, err
	}
	defer flush()
	templates, err := catalogue.New(b.Templates...)
	if err != nil {
		return nil, err
	}
	meter := shown.Match()
	matcher := func(meter match.Meter, tracer *tracing.Tracer) consumer.Handler {
		return &match.Handler[*catalogue.Entry]{
			Lane: lane, Names: names, Meter: meter, Tracer: tracer,
			Catalogue: func() match.Catalogue[*catalogue.Entry] { return templates },
		}
	}
	return b.compare(ctx, "overhead", "events", rounds, overheadGoal,
		b.drainer("both: metrics, and a share of events traced", from, matcher(meter, tracer)),
		b.drainer("neither", from, matcher(nil, nil)),
		b.drainer("metrics only", from, matcher(meter, nil)),
	)
}

// sink is a server in this process.
type sink struct {
	url   string
	close func()
}

func newSink(handler http.Handler) (*sink, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Second}
	go func() { _ = server.Serve(listener) }()
	return &sink{"http://" + listener.Addr().String(), func() { _ = server.Close() }}, nil
}

// scrape asks for the metrics every second until ctx ends.
func scrape(ctx context.Context, url string) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if response, err := http.Get(url); err == nil {
			_, _ = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
		}
	}
}

// newTracer makes a tracer whose collector throws away what it gets.
func newTracer(ctx context.Context, sample float64) (*tracing.Tracer, func(), error) {
	collector, err := newSink(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	if err != nil {
		return nil, nil, err
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(collector.url+"/v1/traces"))
	if err != nil {
		collector.close()
		return nil, nil, err
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter))
	return tracing.New(tracing.Config{Provider: provider, Role: topology.RoleMatch, Lane: lane, Sample: sample}), func() {
		_ = provider.Shutdown(context.WithoutCancel(ctx))
		collector.close()
	}, nil
}
