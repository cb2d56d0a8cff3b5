package scenario

import (
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/meddela/meddela/topology"
)

// spans are what roles have handed over.
type spans struct {
	mu  sync.Mutex
	all []*traces.Span
}

// ServeHTTP is a collector's receiver of OTLP over HTTP.
func (s *spans) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var request collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(body, &request)
	}
	if err != nil || r.URL.Path != "/v1/traces" {
		http.Error(w, "no spans", http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, resource := range request.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			s.all = append(s.all, scope.Spans...)
		}
	}
}

// of returns the spans of a trace, by name.
func (s *spans) of(trace string) map[string][]*traces.Span {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := make(map[string][]*traces.Span)
	for _, span := range s.all {
		if hex.EncodeToString(span.TraceId) == trace {
			found[span.Name] = append(found[span.Name], span)
		}
	}
	return found
}

// TestTraces: an event that comes with a trace is followed to the provider and
// to its status, in one trace; one whose trace is not sampled is not.
func TestTraces(t *testing.T) {
	everywhere(t, func(t *testing.T, s *site) {
		const lane = topology.Realtime
		const sampled, unsampled = "0af7651916cd43dd8448eb211c80319c", "1bf7651916cd43dd8448eb211c80319c"
		const parent = "b7ad6b7169203331"
		var got spans
		server := httptest.NewServer(&got)
		t.Cleanup(server.Close)
		s.settings = []string{"MEDDELA_TRACE_ENDPOINT=" + server.URL, "MEDDELA_TRACE_SAMPLE=0"}
		roles := s.startRoles(lane)
		traced, other := order("traced", "mail"), order("other", "mail")
		traced.headers = []string{"traceparent=00-" + sampled + "-" + parent + "-01"}
		other.headers = []string{"traceparent=00-" + unsampled + "-" + parent + "-00"}
		s.publish(lane, traced, other, order("untraced", "mail"))
		s.awaitOutcomes(20*time.Second, map[string]string{"traced": "sent", "other": "sent", "untraced": "sent"})
		s.stop(roles...) // which hand over what they have

		s.eventually(10*time.Second, "the trace is whole", func() error {
			found := got.of(sampled)
			match, deliver, send := found["match"], found["deliver"], found["send"]
			if len(match) != 1 || len(deliver) != 1 || len(send) != 1 {
				return fmt.Errorf("%d spans of match, %d of deliver, %d of sending", len(match), len(deliver), len(send))
			}
			for name, ids := range map[string][2]string{
				"match":   {hex.EncodeToString(match[0].ParentSpanId), parent},
				"deliver": {hex.EncodeToString(deliver[0].ParentSpanId), hex.EncodeToString(match[0].SpanId)},
				"send":    {hex.EncodeToString(send[0].ParentSpanId), hex.EncodeToString(deliver[0].SpanId)},
			} {
				if ids[0] != ids[1] {
					return fmt.Errorf("the parent of %s is %s, not %s", name, ids[0], ids[1])
				}
			}
			// Of the event, of the matcher's entry and of the deliverer's.
			parents := make(map[string]bool)
			for _, span := range found["status"] {
				parents[hex.EncodeToString(span.ParentSpanId)] = true
			}
			if !parents[parent] || !parents[hex.EncodeToString(match[0].SpanId)] ||
				!parents[hex.EncodeToString(deliver[0].SpanId)] {
				return fmt.Errorf("the status's spans have parents %v", parents)
			}
			if len(deliver[0].Links) != 1 {
				return fmt.Errorf("deliver has %d links, not that to its batch", len(deliver[0].Links))
			}
			return nil
		})
		if found := got.of(unsampled); len(found) > 0 {
			t.Errorf("a trace that is not sampled has %v", found)
		}
		for _, span := range got.all {
			if name := span.Name; name != "match batch" && name != "deliver batch" && name != "status batch" &&
				hex.EncodeToString(span.TraceId) != sampled {
				t.Errorf("an event without a trace has a span %s", name)
			}
		}
	})
}
