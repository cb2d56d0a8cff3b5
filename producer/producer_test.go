package producer_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/producer/embedded"
	"github.com/meddela/meddela/test/fixtures"
	"github.com/meddela/meddela/topology"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const partitions = 12

var names = topology.Topics{Prefix: topology.DefaultPrefix}

// start starts a broker with the realtime events topic, and a smaller one for
// dead letters.
func start(t *testing.T) (*fixtures.Gate, producer.Connection) {
	t.Helper()
	gate := new(fixtures.Gate)
	broker, err := embedded.StartBroker(embedded.BrokerConfig{Listen: gate.Listen})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	link := producer.Connection{Brokers: []string{broker.Addr()}}
	client := kafka.Client{Addr: link.Addr(), Transport: transport(t, link)}
	_, err = client.CreateTopics(t.Context(), &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{
		{Topic: string(names.Events(topology.Realtime)), NumPartitions: partitions, ReplicationFactor: 1},
		{Topic: string(names.DeadLetters(topology.Realtime)), NumPartitions: 3, ReplicationFactor: 1,
			ConfigEntries: []kafka.ConfigEntry{{ConfigName: "max.message.bytes", ConfigValue: "2000"}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return gate, link
}

func transport(t *testing.T, link producer.Connection) *kafka.Transport {
	transport := link.Transport()
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

func newProducer(t *testing.T, link producer.Connection) *producer.Producer {
	t.Helper()
	p, err := producer.New(producer.Config{Connection: link})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// read reads a partition of a topic to its end.
func read(t *testing.T, link producer.Connection, topic topology.Topic, partition int) []topology.Record {
	t.Helper()
	f := consumer.Fetcher{
		Addr: link.Addr(), Transport: transport(t, link), Topic: topic, Partition: partition,
		MaxBytes: 4 << 20, MaxWait: 10 * time.Millisecond,
	}
	var records []topology.Record
	for {
		got, err := f.Fetch(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, got.Records...)
		if got.Next >= got.HighWatermark {
			return records
		}
	}
}

func event(id string) topology.Event {
	return topology.Event{
		ID: topology.EventID(id), Type: "order", Channel: topology.Email, To: "kim@example.com", Ctx: []byte(`{"n":1}`),
	}
}

func TestReceiptsSayWhereEachEventIs(t *testing.T) {
	_, link := start(t)
	var events []topology.Event
	for i := range 1000 {
		events = append(events, event(fmt.Sprintf("order-%d", i)))
	}
	receipts, err := newProducer(t, link).Publish(t.Context(), topology.Realtime, events)
	if err != nil {
		t.Fatal(err)
	}
	var logs [partitions][]topology.Record
	for p := range logs {
		logs[p] = read(t, link, names.Events(topology.Realtime), p)
	}
	for i, r := range receipts {
		at := logs[r.Partition][r.Offset]
		if r.Err != nil || r.ID != events[i].ID || string(at.Key) != string(r.ID) ||
			string(at.Value) != string(events[i].Append(nil)) {
			t.Fatalf("event %d: receipt %+v, and there is %s %s", i, r, at.Key, at.Value)
		}
	}
}

// TestPartitionsAreJavasPartitions: the expected numbers are those that Kafka's
// own producer chooses for these keys on 12 partitions.
func TestPartitionsAreJavasPartitions(t *testing.T) {
	_, link := start(t)
	keys := map[string]int{"21": -973932308 & 0x7fffffff % 12, "foobar": -790332482 & 0x7fffffff % 12,
		"a-little-bit-long-string": -985981536 & 0x7fffffff % 12}
	var events []topology.Event
	for key := range keys {
		events = append(events, event(key))
	}
	receipts, err := newProducer(t, link).Publish(t.Context(), topology.Realtime, events)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range receipts {
		if r.Partition != keys[string(r.ID)] {
			t.Errorf("%s went to partition %d, Java's producer would choose %d", r.ID, r.Partition, keys[string(r.ID)])
		}
	}
}

func TestAFaultHarmsNoOtherEvent(t *testing.T) {
	_, link := start(t)
	events := []topology.Event{event("a-1"), event("bad id"), event("a-2"), {ID: "a-3"}, event("")}
	receipts, err := newProducer(t, link).Publish(t.Context(), topology.Realtime, events)
	if err == nil || !strings.Contains(err.Error(), "2 of 5 events") {
		t.Errorf("the error is %v", err)
	}
	for i, r := range receipts {
		var fault *topology.Fault
		if wantFault := i == 1 || i == 3; errors.As(r.Err, &fault) != wantFault {
			t.Errorf("event %d: %v", i, r.Err)
		}
	}
	if own := receipts[4]; !own.ID.Valid() {
		t.Errorf("the event without id has id %q", own.ID)
	}
}

func TestARecordWithoutIDHasThatOfItsPlace(t *testing.T) {
	_, link := start(t)
	receipts, err := newProducer(t, link).PublishRecords(t.Context(), topology.Realtime, []topology.Record{
		{Value: []byte(`{"type":"order","ctx":{}}`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if own := receipts[0]; own.ID != topology.PositionID(topology.Realtime, own.Partition, own.Offset) {
		t.Errorf("it has id %s at %d/%d", own.ID, own.Partition, own.Offset)
	}
}

func TestPublishWaitsForABrokerThatIsAway(t *testing.T) {
	broker, link := start(t)
	p := newProducer(t, link)
	broker.Sleep()
	woken := time.AfterFunc(300*time.Millisecond, broker.Wake)
	defer woken.Stop()
	if _, err := p.Publish(t.Context(), topology.Realtime, []topology.Event{event("a-1")}); err != nil {
		t.Fatal(err)
	}

	broker.Sleep()
	defer broker.Wake()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	receipts, err := p.Publish(ctx, topology.Realtime, []topology.Event{event("a-2")})
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(receipts[0].Err, context.DeadlineExceeded) {
		t.Errorf("past its deadline: %v, receipt %v", err, receipts[0].Err)
	}
}

// TestRefusedRecords: a record that is too large for its topic is named, and
// its neighbours are written in order, at a partition number that wraps around.
func TestRefusedRecords(t *testing.T) {
	_, link := start(t)
	p := producer.Publisher{Addr: link.Addr(), Transport: transport(t, link)}
	var records []topology.Record
	for i := range 9 {
		records = append(records, topology.Record{
			Topic: names.DeadLetters(topology.Realtime), Value: fmt.Appendf(nil, "%d", i),
		})
	}
	records[4].Value = make([]byte, 5000)
	refused, err := p.Publish(t.Context(), 11, records)
	if err != nil || len(refused) != 1 || refused[0] != 4 {
		t.Fatalf("refused %v, %v; want the fifth record", refused, err)
	}
	var got string
	for _, r := range read(t, link, names.DeadLetters(topology.Realtime), 11%3) {
		got += string(r.Value)
	}
	if got != "01235678" {
		t.Errorf("written: %s", got)
	}
}

// TestRequestsAreShared: what many publish while requests are under way goes in few, in order, and a record
// that its topic refuses harms only itself.
func TestRequestsAreShared(t *testing.T) {
	const callers = 300
	kafka := fixtures.StartKafka(t, embedded.BrokerConfig{})
	events, letters := names.Events(topology.Realtime), names.DeadLetters(topology.Realtime)
	kafka.CreateTopic(t, events, partitions, nil)
	kafka.CreateTopic(t, letters, partitions, map[string]string{"max.message.bytes": "2000"})
	for p := range partitions { // connects, and learns of the topics
		kafka.Publish(t, events, p, topology.Record{Value: []byte("first")})
		kafka.Publish(t, letters, p, topology.Record{Value: []byte("first")})
	}
	var requests atomic.Int64
	kafka.Cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		kafka.Cluster.KeepControl()
		requests.Add(1)
		return nil, nil, false
	})
	heal := kafka.Stall()
	var started, done sync.WaitGroup
	for i := range callers {
		started.Add(1)
		done.Go(func() {
			letter := topology.Record{Topic: letters, Value: make([]byte, 10)}
			if i == 7 {
				letter.Value = make([]byte, 5000)
			}
			var records []topology.Record
			for n := range 3 {
				records = append(records, topology.Record{Topic: events, Value: fmt.Appendf(nil, "%d/%d", i, n)}, letter)
			}
			started.Done()
			refused, err := kafka.Publisher.Publish(fixtures.Soon(t), i%partitions, records)
			if err != nil || i == 7 && !slices.Equal(refused, []int{1, 3, 5}) || i != 7 && refused != nil {
				t.Errorf("caller %d: refused %v, %v", i, refused, err)
			}
		})
	}
	started.Wait()
	heal()
	done.Wait()
	if n := requests.Load(); n > callers/4 {
		t.Errorf("%d requests for what %d published at once on two topics", n, callers)
	}
	next := make(map[string]int)
	for p := range partitions {
		for _, r := range read(t, kafka.Link, events, p)[1:] {
			caller, n, _ := strings.Cut(string(r.Value), "/")
			if n != fmt.Sprint(next[caller]) {
				t.Errorf("after %d records of caller %s comes %s", next[caller], caller, r.Value)
			}
			next[caller]++
		}
	}
	if len(next) != callers {
		t.Errorf("records of %d callers are there, want %d", len(next), callers)
	}
}

// TestMetadataIsAskedForOfOwnTopics only: a shared cluster may have thousands of others.
func TestMetadataIsAskedForOfOwnTopics(t *testing.T) {
	kafka := fixtures.StartKafka(t, embedded.BrokerConfig{})
	kafka.CreateTopic(t, names.Events(topology.Realtime), partitions, nil)
	var ofAll atomic.Bool
	kafka.Cluster.ControlKey(int16(kmsg.Metadata), func(request kmsg.Request) (kmsg.Response, error, bool) {
		kafka.Cluster.KeepControl()
		if len(request.(*kmsg.MetadataRequest).Topics) != 2 {
			ofAll.Store(true)
		}
		return nil, nil, false
	})
	_, err := newProducer(t, kafka.Link).Publish(t.Context(), topology.Realtime, []topology.Event{event("a-1")})
	if err != nil || ofAll.Load() {
		t.Errorf("asked for others: %v; %v", ofAll.Load(), err)
	}
}

func TestABrokerMustBeNamed(t *testing.T) {
	if _, err := producer.New(producer.Config{}); err == nil ||
		!strings.Contains(err.Error(), "name at least one broker") {
		t.Errorf("the error is %v", err)
	}
}
