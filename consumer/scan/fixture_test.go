package scan_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/meddela/meddela/consumer/scan"
	"github.com/meddela/meddela/producer/embedded"
	"github.com/meddela/meddela/test/fixtures"
	"github.com/meddela/meddela/topology"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	topic      topology.Topic = "test.events"
	emptyTopic topology.Topic = "test.empty"
	partitions                = 4
)

// world is a broker with a topic, who writes to it, and who scans it.
type world struct {
	*fixtures.Kafka
	t      testing.TB
	writer *kgo.Client
	topics *scan.Topics
}

func newWorld(t testing.TB, nodes int) *world {
	t.Helper()
	w := &world{t: t, Kafka: fixtures.StartKafka(t, embedded.BrokerConfig{Nodes: nodes, RetainBytes: 1 << 30})}
	w.writer = w.client()
	w.createTopic(topic, partitions, nil)
	w.createTopic(emptyTopic, 1, nil)
	w.topics = &scan.Topics{Addr: w.Link.Addr(), Transport: w.Transport, Patience: 20 * time.Second}
	return w
}

func (w *world) client(options ...kgo.Opt) *kgo.Client {
	w.t.Helper()
	client, err := kgo.NewClient(append(options,
		kgo.SeedBrokers(w.Link.Brokers...),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.DefaultProduceTopic(string(topic)),
		kgo.ProducerLinger(0),
	)...)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(client.Close)
	return client
}

func (w *world) createTopic(name topology.Topic, partitions int32, config map[string]string) {
	w.t.Helper()
	wanted := kmsg.NewCreateTopicsRequestTopic()
	wanted.Topic, wanted.NumPartitions, wanted.ReplicationFactor = string(name), partitions, 1
	for key, value := range config {
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = key, &value
		wanted.Configs = append(wanted.Configs, c)
	}
	request := kmsg.NewPtrCreateTopicsRequest()
	request.Topics = append(request.Topics, wanted)
	response, err := request.RequestWith(w.t.Context(), w.writer)
	if err != nil || response.Topics[0].ErrorCode != 0 {
		w.t.Fatal(err, response)
	}
}

// write writes one batch to a partition.
func (w *world) write(partition int, records ...*kgo.Record) {
	w.t.Helper()
	for _, r := range records {
		r.Partition = int32(partition)
	}
	if err := w.writer.ProduceSync(w.t.Context(), records...).FirstErr(); err != nil {
		w.t.Fatal(err)
	}
}

// fill writes the numbers of a span to each partition, in several batches.
func (w *world) fill(from, to int) {
	w.t.Helper()
	const batch = 50
	for p := range partitions {
		for i := from; i < to; i += batch {
			w.write(p, numbers(i, min(i+batch, to))...)
		}
	}
}

func numbers(from, to int) []*kgo.Record {
	var records []*kgo.Record
	for i := from; i < to; i++ {
		records = append(records, &kgo.Record{Value: fmt.Appendf(nil, "%06d", i)})
	}
	return records
}

// deleteBefore does what retention does.
func (w *world) deleteBefore(partition int, offset int64) {
	w.t.Helper()
	if err := w.Cluster.DeleteRecords(string(topic), int32(partition), offset); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) ranges() []scan.Range {
	w.t.Helper()
	ranges, err := w.topics.Ranges(w.t.Context(), topic, time.Time{})
	if err != nil {
		w.t.Fatal(err)
	}
	return ranges
}

// found collects what a scan gives, by partition, and that it gives a partition's
// records to one call at a time.
type found struct {
	mu     sync.Mutex
	values map[int][]string
	busy   map[int]bool
	clash  bool
}

func newFound() *found { return &found{values: map[int][]string{}, busy: map[int]bool{}} }

func (f *found) add(records []topology.Record) error {
	p := records[0].Partition
	f.mu.Lock()
	f.clash = f.clash || f.busy[p]
	f.busy[p] = true
	f.mu.Unlock()
	var values []string
	for _, r := range records {
		values = append(values, string(r.Value))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.busy[p] = false
	f.values[p] = append(f.values[p], values...)
	return nil
}

// want tells that each partition gave the numbers of a span, in order and once.
func (f *found) want(t testing.TB, from, to int) {
	t.Helper()
	var want []string
	for _, r := range numbers(from, to) {
		want = append(want, string(r.Value))
	}
	for p := range partitions {
		if got := f.values[p]; !slices.Equal(got, want) {
			t.Errorf("partition %d: %d records from %.2q, want %d from %.2q", p, len(got), got, len(want), want)
		}
	}
	if f.clash {
		t.Error("two calls had one partition's records at the same time")
	}
}

func (w *world) scan(ranges []scan.Range) (*found, *scan.Progress) {
	w.t.Helper()
	f, progress := newFound(), new(scan.Progress)
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	if err := w.topics.Scan(ctx, ranges, progress, f.add); err != nil {
		w.t.Fatal(err)
	}
	if progress.Done.Load() != progress.Total.Load() {
		w.t.Errorf("the scan ended at %d of %d offsets", progress.Done.Load(), progress.Total.Load())
	}
	return f, progress
}
