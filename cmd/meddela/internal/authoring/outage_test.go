package authoring_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"go.uber.org/goleak"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/consumer/follow"
	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/producer/embedded"
	"github.com/meddela/meddela/test/fixtures"
	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cutting lets some writes through and then puts the broker to sleep.
type cutting struct {
	kafka.RoundTripper
	broker *fixtures.Gate
	writes atomic.Int64 // that are let through
}

func (c *cutting) RoundTrip(ctx context.Context, addr net.Addr, request protocol.Message) (protocol.Message, error) {
	response, err := c.RoundTripper.RoundTrip(ctx, addr, request)
	if _, ok := request.(*wire.ProduceRequest); ok && err == nil && c.writes.Add(-1) == 0 {
		c.broker.Sleep()
	}
	return response, err
}

const liveTopic topology.Topic = "test.templates"

// liveOn reads what is live on a broker.
func liveOn(t *testing.T, broker *fixtures.Kafka) *catalogue.Catalogue {
	t.Helper()
	source := follow.FromTopic(broker.Link.Addr(), broker.Transport, liveTopic, zerolog.Nop())
	follower := catalogue.NewFollower(source, zerolog.Nop())
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		follower.Run(ctx)
	}()
	defer func() { cancel(); <-ended }()
	if err := follower.AwaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	return follower.Snapshot()
}

func TestPublicationThatIsCutShortCanBeRepeated(t *testing.T) {
	broker := fixtures.StartKafka(t, embedded.BrokerConfig{})
	broker.CreateTopic(t, liveTopic, 1, nil)

	var records []topology.TemplateRecord
	for i := range 80 {
		records = append(records, record(fmt.Sprintf("t%02d", i), "one", "order"))
	}
	// Each template is a request of its own: the broker dies between two.
	cut := &cutting{RoundTripper: broker.Transport, broker: broker.Gate}
	cut.writes.Store(40)
	writer := &producer.Publisher{Addr: broker.Link.Addr(), Transport: cut, BatchBytes: 1}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	written, err := authoring.Write(ctx, writer, liveTopic,
		authoring.PlanPublication(new(catalogue.Catalogue), records), now)
	if !errors.Is(err, context.DeadlineExceeded) ||
		!strings.HasPrefix(err.Error(), "32 of 80 templates are published, 32 perhaps, 16 not: ") || len(written) != 32 {
		t.Fatalf("publishing to a broker that dies: %d written, %v", len(written), err)
	}

	broker.Wake()
	live := liveOn(t, broker)
	if live.Names() != 40 {
		t.Errorf("%d templates are live half-way, want 40", live.Names())
	}
	for _, ref := range written {
		if _, ok := live.ByRef(ref); !ok {
			t.Errorf("%s is not live, and was said to be written", ref)
		}
	}
	written, err = authoring.Write(t.Context(), writer, liveTopic, authoring.PlanPublication(live, records),
		now.Add(time.Hour))
	if err != nil || len(written) != 40 {
		t.Fatalf("repeated: %d written, %v; want the other 40", len(written), err)
	}
	live = liveOn(t, broker)
	for _, c := range authoring.PlanPublication(live, records) {
		if c.Kind != authoring.Unchanged {
			t.Errorf("%s is %s after all", c.Record.Name, c.Kind)
		}
	}
}
