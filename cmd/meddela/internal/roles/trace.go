package roles

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/rs/zerolog"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/meddela/meddela/cmd/meddela/internal/config"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/consumer/tracing"
)

// flushTime is how long a process that ends tries to hand over its last spans.
const flushTime = 3 * time.Second

// newTracer is what the role traces with, and what to call at its end; nil where
// nothing is traced.
func (r *role) newTracer(ctx context.Context) (t *tracing.Tracer, stop func(), err error) {
	if r.Config.Trace.Endpoint == "" {
		return nil, func() {}, nil
	}
	endpoint, err := endpoint(r.Config.Trace.Endpoint)
	if err != nil {
		return nil, nil, err
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(endpoint))
	if err != nil {
		return nil, nil, config.Faults{fmt.Sprintf("MEDDELA_TRACE_ENDPOINT: %v", err)}
	}
	// What goes wrong with handing over spans is nothing that events wait for.
	complaints := r.log.Sample(&zerolog.BurstSampler{Burst: 1, Period: 30 * time.Second})
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		complaints.Warn().Err(err).Msg("spans cannot be handed over; they are lost")
	}))
	host, _ := os.Hostname()
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter),
		sdktrace.WithSampler(sdktrace.AlwaysSample()), // the Tracer has decided before
		sdktrace.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "meddela-"+string(r.name)),
			attribute.String("service.namespace", "meddela"),
			attribute.String("service.version", r.Version),
			attribute.String("service.instance.id", fmt.Sprintf("%s/%d", host, os.Getpid())),
		)),
	)
	sample := r.Config.Trace.Sample
	r.log.Info().Float64("sample", sample).Msg("tracing events")
	return tracing.New(tracing.Config{Provider: provider, Role: r.name, Lane: r.lane, Sample: sample}), func() {
		ctx, cancel := context.WithTimeout(context.Background(), flushTime)
		defer cancel()
		_ = provider.Shutdown(ctx) // what cannot be handed over is lost, and was complained about
	}, nil
}

// endpoint is the collector's URL, with the path of traces where it has none.
func endpoint(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return "", config.Faults{fmt.Sprintf("MEDDELA_TRACE_ENDPOINT is %q: it must be a URL such as http://127.0.0.1:4318",
			wording.Abridged(text))}
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/v1/traces"
	}
	return u.String(), nil
}
