package tracing_test

import (
	"context"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/meddela/meddela/consumer/tracing"
	"github.com/meddela/meddela/topology"
)

const (
	traceID = "0af7651916cd43dd8448eb211c80319c"
	parent  = "b7ad6b7169203331"
)

func tracer(t testing.TB, sample float64) (*tracing.Tracer, *tracetest.InMemoryExporter) {
	t.Helper()
	exporter := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
	t.Cleanup(func() { _ = provider.Shutdown(context.Background()) })
	return tracing.New(tracing.Config{Provider: provider, Role: topology.RoleMatch, Lane: topology.Realtime,
		Sample: sample}), exporter
}

func with(traceparent string) *topology.Record {
	r := &topology.Record{Headers: []topology.Header{{Key: "x-channel", Value: []byte("sms")}}}
	if traceparent != "" {
		r.Headers = append(r.Headers, topology.Header{Key: "traceparent", Value: []byte(traceparent)},
			topology.Header{Key: "tracestate", Value: []byte("a=b")})
	}
	return r
}

// TestWhoIsTraced: a trace of the event's own decides; else the share does, and
// only where the event comes in.
func TestWhoIsTraced(t *testing.T) {
	for name, c := range map[string]struct {
		traceparent string
		sample      float64
		root, child bool
	}{
		"sampled":                  {"00-" + traceID + "-" + parent + "-01", 0, true, true},
		"not sampled":              {"00-" + traceID + "-" + parent + "-00", 1, false, false},
		"without, all are sampled": {"", 1, true, false},
		"without, none is":         {"", 0, false, false},
		"of no sense":              {"hello", 1, false, false},
		"all zeros":                {"00-00000000000000000000000000000000-0000000000000000-01", 1, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			of, _ := tracer(t, c.sample)
			batch := of.Batch("t", 3, 2)
			defer batch.End()
			if root := batch.Root(with(c.traceparent)); (root != nil) != c.root {
				t.Errorf("as a root: %t", root != nil)
			}
			if child := batch.Child(with(c.traceparent)); (child != nil) != c.child {
				t.Errorf("as a child: %t", child != nil)
			}
		})
	}
}

// TestOneTrace: what comes of an event carries its trace on, and the batch that
// it was handled with is linked.
func TestOneTrace(t *testing.T) {
	of, exporter := tracer(t, 0)
	batch := of.Batch("m.realtime.events", 3, 500)
	r := with("00-" + traceID + "-" + parent + "-01")
	span := batch.Root(r)
	headers := span.Carry(r.Headers)
	span.Entry(&topology.Entry{EventID: "e", Type: "code", Channel: topology.SMS, Status: topology.NotCovered,
		Reason: topology.ReasonNoTemplateForType})
	_, end := span.Send(context.Background(), "ses-1")
	end("accepted")
	span.End()
	batch.End()

	got := exporter.GetSpans()
	if len(got) != 3 || got[0].Name != "send" || got[1].Name != "match" || got[2].Name != "match batch" {
		t.Fatalf("%+v", got)
	}
	event, whole := got[1], got[2]
	if event.SpanContext.TraceID().String() != traceID || event.Parent.SpanID().String() != parent ||
		got[0].Parent.SpanID() != event.SpanContext.SpanID() {
		t.Errorf("parents: %+v", got)
	}
	if whole.SpanContext.TraceID() == event.SpanContext.TraceID() || len(event.Links) != 1 ||
		event.Links[0].SpanContext.SpanID() != whole.SpanContext.SpanID() {
		t.Errorf("links: %+v", event.Links)
	}
	if event.Status.Code != codes.Error || event.Status.Description != string(topology.ReasonNoTemplateForType) {
		t.Errorf("status: %+v", event.Status)
	}
	for _, want := range []attribute.KeyValue{
		attribute.String("messaging.destination.name", "m.realtime.events"), attribute.String("meddela.event_id", "e"),
		attribute.String("meddela.status", "not_covered"),
	} {
		found := false
		for _, have := range event.Attributes {
			found = found || have == want
		}
		if !found {
			t.Errorf("no %v among %v", want, event.Attributes)
		}
	}
	carried := make(map[string]string)
	for _, h := range headers {
		if carried[h.Key] != "" {
			t.Errorf("two headers %s", h.Key)
		}
		carried[h.Key] = string(h.Value)
	}
	if want := "00-" + traceID + "-" + event.SpanContext.SpanID().String() + "-01"; carried["traceparent"] != want ||
		carried["tracestate"] != "a=b" || carried["x-channel"] != "sms" {
		t.Errorf("carried: %v, want %s", carried, want)
	}
	if string(r.Headers[1].Value) != "00-"+traceID+"-"+parent+"-01" {
		t.Error("the record itself was changed")
	}
}

// TestNothing: where nothing is traced, everything is as without.
func TestNothing(t *testing.T) {
	var of *tracing.Tracer
	batch := of.Batch("t", 0, 1)
	r := with("00-" + traceID + "-" + parent + "-01")
	span := batch.Root(r)
	if headers := span.Carry(r.Headers); len(headers) != len(r.Headers) {
		t.Errorf("%v", headers)
	}
	ctx, end := span.Send(context.Background(), "p")
	tracing.Inject(ctx, func(key, _ string) { t.Errorf("injects %s", key) })
	end("accepted")
	span.Entry(new(topology.Entry))
	span.End()
	batch.Child(r).End()
	batch.End()
}

// TestInject: a provider is told of the trace.
func TestInject(t *testing.T) {
	of, _ := tracer(t, 1)
	batch := of.Batch("t", 0, 1)
	ctx, end := batch.Root(with("")).Send(context.Background(), "p")
	defer end("accepted")
	told := ""
	tracing.Inject(ctx, func(key, value string) { told += key + "=" + value })
	if !strings.HasPrefix(told, "traceparent=00-") || !strings.HasSuffix(told, "-01") {
		t.Errorf("told %q", told)
	}
}

// Benchmark is the cost for one event.
func Benchmark(b *testing.B) {
	r := with("")
	handle := func(of *tracing.Tracer) {
		batch := of.Batch("t", 0, 1)
		span := batch.Root(r)
		_ = span.Carry(r.Headers)
		span.End()
		batch.End()
	}
	b.Run("off", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			handle(nil)
		}
	})
	for name, share := range map[string]float64{"1%": 0.01, "all": 1} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			provider := sdktrace.NewTracerProvider()
			of := tracing.New(tracing.Config{Provider: provider, Role: topology.RoleMatch, Lane: topology.Realtime,
				Sample: share})
			for b.Loop() {
				handle(of)
			}
		})
	}
}
