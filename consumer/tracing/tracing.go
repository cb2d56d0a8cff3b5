// Package tracing follows single events: one trace an event, from the system that
// published it to the provider that was handed the message. The trace context
// travels in the records' headers, as W3C has it.
//
// Nil values of its types trace nothing, so that who is traced need not ask
// whether it is.
package tracing

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/meddela/meddela/topology"
)

// Config says what is traced.
type Config struct {
	// Provider's sampler takes every span: which events are traced is decided
	// here, before anything is made for it.
	Provider trace.TracerProvider
	Role     topology.Role
	Lane     topology.Lane
	// Sample is the share of the events without a trace of their own that get
	// one, from 0 to 1. Those with one are traced if it says that it is sampled.
	Sample float64
}

// Tracer traces one role.
type Tracer struct {
	config Config
	tracer trace.Tracer
}

// New makes a Tracer.
func New(c Config) *Tracer {
	return &Tracer{c, c.Provider.Tracer("github.com/meddela/meddela")}
}

// Batch is records that are handled together. Those that are traced are linked
// to a span of the batch's own, which is begun with the first of them.
type Batch struct {
	*Tracer
	topic     topology.Topic
	partition int
	records   int

	mu   sync.Mutex
	span trace.Span
}

// Batch begins the handling of some records of a partition.
func (t *Tracer) Batch(topic topology.Topic, partition, records int) *Batch {
	if t == nil {
		return nil
	}
	return &Batch{Tracer: t, topic: topic, partition: partition, records: records}
}

// End ends the batch's span.
func (b *Batch) End() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.span != nil {
		b.span.End()
	}
}

// Root begins the span of an event's first record; nil if it is not traced.
func (b *Batch) Root(r *topology.Record) *Span {
	if b == nil || header(r, "traceparent") == "" && rand.Float64() >= b.config.Sample {
		return nil
	}
	return b.begin(r)
}

// Child begins the span of a record that another role has written; nil if it is
// not traced.
func (b *Batch) Child(r *topology.Record) *Span {
	if b == nil || header(r, "traceparent") == "" {
		return nil
	}
	return b.begin(r)
}

var propagator propagation.TraceContext

func (b *Batch) begin(r *topology.Record) *Span {
	ctx := context.Background()
	if parent := header(r, "traceparent"); parent != "" {
		ctx = propagator.Extract(ctx, propagation.MapCarrier{
			"traceparent": parent, "tracestate": header(r, "tracestate"),
		})
		if !trace.SpanContextFromContext(ctx).IsSampled() {
			return nil
		}
	}
	ctx, span := b.tracer.Start(ctx, string(b.config.Role), trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithLinks(trace.Link{SpanContext: b.whole().SpanContext()}),
		trace.WithAttributes(append(b.attributes(), attribute.Int64("messaging.kafka.offset", r.Offset))...))
	return &Span{tracer: b.tracer, ctx: ctx, span: span}
}

// whole is the span of the batch itself.
func (b *Batch) whole() trace.Span {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.span == nil {
		_, b.span = b.tracer.Start(context.Background(), string(b.config.Role)+" batch", trace.WithNewRoot(),
			trace.WithSpanKind(trace.SpanKindConsumer),
			trace.WithAttributes(append(b.attributes(), attribute.Int("messaging.batch.message_count", b.records))...))
	}
	return b.span
}

func (b *Batch) attributes() []attribute.KeyValue {
	return []attribute.KeyValue{
		attribute.String("messaging.system", "kafka"),
		attribute.String("messaging.operation.name", "process"),
		attribute.String("messaging.destination.name", string(b.topic)),
		attribute.Int("messaging.destination.partition.id", b.partition),
		attribute.String("meddela.lane", string(b.config.Lane)),
	}
}

// Span is one role's work on one event.
type Span struct {
	tracer trace.Tracer
	ctx    context.Context
	span   trace.Span
}

// Carry returns headers with the trace context of the span, for records that
// come of its work.
func (s *Span) Carry(headers []topology.Header) []topology.Header {
	if s == nil {
		return headers
	}
	kept := slices.DeleteFunc(slices.Clone(headers), func(h topology.Header) bool {
		return slices.Contains(propagator.Fields(), h.Key)
	})
	Inject(s.ctx, func(key, value string) {
		kept = append(kept, topology.Header{Key: key, Value: []byte(value)})
	})
	return kept
}

// Send begins the span of handing a message to a provider, and returns a context
// that carries it. The function ends it, with what came of it.
func (s *Span) Send(ctx context.Context, provider string) (sending context.Context, end func(outcome string)) {
	if s == nil {
		return ctx, func(string) {}
	}
	sending, span := s.tracer.Start(trace.ContextWithSpan(ctx, s.span), "send", trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("meddela.provider", provider)))
	return sending, func(outcome string) {
		span.SetAttributes(attribute.String("meddela.outcome", outcome))
		span.End()
	}
}

// Entry notes what an entry says, which has no address and nothing of the
// message.
func (s *Span) Entry(e *topology.Entry) {
	if s == nil {
		return
	}
	s.span.SetAttributes(
		attribute.String("meddela.event_id", string(e.EventID)),
		attribute.String("meddela.event_type", e.Type),
		attribute.String("meddela.channel", string(e.Channel)),
		attribute.String("meddela.status", string(e.Status)),
	)
	for key, value := range map[string]string{
		"meddela.reason": string(e.Reason), "meddela.template": string(e.Template), "meddela.provider": e.Provider,
		"meddela.job_id": string(e.JobID),
	} {
		if value != "" {
			s.span.SetAttributes(attribute.String(key, value))
		}
	}
	switch e.Status {
	case topology.NotCovered, topology.DeliveryError, topology.Expired:
		s.span.SetStatus(codes.Error, string(e.Reason))
	}
}

// End ends the span.
func (s *Span) End() {
	if s != nil {
		s.span.End()
	}
}

// Inject sets the trace context of what ctx belongs to, if that is traced.
func Inject(ctx context.Context, set func(key, value string)) {
	if !trace.SpanContextFromContext(ctx).IsSampled() {
		return
	}
	carrier := propagation.MapCarrier{}
	propagator.Inject(ctx, carrier)
	for _, key := range slices.Sorted(maps.Keys(carrier)) {
		set(key, carrier[key])
	}
}

func header(r *topology.Record, key string) string {
	value, _ := r.Header(key)
	return string(value)
}
