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
	"github.com/meddela/meddela/topology"
)

// flushTime is how long a process that ends tries to hand over its last spans.
const flushTime = 3 * time.Second

// NewTracer is what a role traces with, and what to call at its end; nil where
// nothing is traced.
func NewTracer(ctx context.Context, c *config.Config, log zerolog.Logger, version string,
	role topology.Role, lane topology.Lane) (t *tracing.Tracer, stop func(), err error) {
	if c.Trace.Endpoint == "" {
		return nil, func() {}, nil
	}
	endpoint, err := endpoint(c.Trace.Endpoint)
	if err != nil {
		return nil, nil, err
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(endpoint))
	if err != nil {
		return nil, nil, config.Faults{fmt.Sprintf("MEDDELA_TRACE_ENDPOINT: %v", err)}
	}
	// What goes wrong with handing over spans is nothing that events wait for.
	complaints := log.Sample(&zerolog.BurstSampler{Burst: 1, Period: 30 * time.Second})
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		complaints.Warn().Err(err).Msg("spans cannot be handed over; they are lost")
	}))
	host, _ := os.Hostname()
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter),
		sdktrace.WithSampler(sdktrace.AlwaysSample()), // the Tracer has decided before
		sdktrace.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "meddela-"+string(role)),
			attribute.String("service.namespace", "meddela"),
			attribute.String("service.version", version),
			attribute.String("service.instance.id", fmt.Sprintf("%s/%d", host, os.Getpid())),
		)),
	)
	log.Info().Float64("sample", c.Trace.Sample).Msg("tracing events")
	return tracing.New(tracing.Config{Provider: provider, Role: role, Lane: lane, Sample: c.Trace.Sample}), func() {
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
