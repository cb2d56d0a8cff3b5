package consumer_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/compress"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/test/fixtures"
	"github.com/meddela/meddela/topology"
)

// TestAPartitionThatFails: one that the broker will not give holds up no other, and goes on where it was.
func TestAPartitionThatFails(t *testing.T) {
	w := newWorld(t)
	var healed atomic.Bool
	w.Cluster.ControlKey(int16(kmsg.Fetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
		w.Cluster.KeepControl()
		request := r.(*kmsg.FetchRequest)
		if healed.Load() || len(request.Topics) != 1 || request.Topics[0].Topic != string(names.Events(topology.Realtime)) {
			return nil, nil, false
		}
		for i, p := range request.Topics[0].Partitions {
			if p.Partition != 2 {
				continue
			}
			if len(request.Topics[0].Partitions) == 1 {
				response := request.ResponseKind().(*kmsg.FetchResponse)
				topic := kmsg.NewFetchResponseTopic()
				topic.Topic = request.Topics[0].Topic
				partition := kmsg.NewFetchResponseTopicPartition()
				partition.Partition, partition.ErrorCode = 2, kerr.KafkaStorageError.Code
				topic.Partitions = append(topic.Partitions, partition)
				response.Topics = append(response.Topics, topic)
				return response, nil, true
			}
			// The rest of the request is answered, without this partition.
			request.Topics[0].Partitions = append(request.Topics[0].Partitions[:i], request.Topics[0].Partitions[i+1:]...)
			break
		}
		return nil, nil, false
	})
	w.publish(0, 50)
	w.start(handlerFunc(toJobs))
	fixtures.Await(t, "the others' jobs", func() error {
		jobs, err := w.read(names.Jobs(topology.Realtime))
		for p := range partitions {
			if err == nil && p != 2 && len(jobs[p]) != 50 {
				err = fmt.Errorf("partition %d has %d", p, len(jobs[p]))
			}
		}
		return err
	})
	healed.Store(true)
	fixtures.Await(t, "all jobs", func() error { return w.jobsAre(50, false) })
}

// TestBudget: what is in flight stays within the budget though handlers wait and batches are compressed
// to a hundredth, but for a batch of each partition; all of it is given back.
func TestBudget(t *testing.T) {
	const most, value, n = 400_000, 20_000, 60
	w := newWorld(t)
	w.Publisher.Compression, w.Publisher.BatchBytes = kafka.Compression(compress.Zstd), value*2
	for p := range partitions {
		var records []topology.Record
		for i := range n {
			records = append(records, topology.Record{Value: fmt.Appendf(nil, "%d/%d%s", p, i, strings.Repeat(" ", value))})
		}
		w.Publish(t, names.Events(topology.Realtime), p, records...)
	}
	budget := consumer.NewBudget(most)
	goOn := make(chan struct{})
	var highest, handled atomic.Int64
	w.start(handlerFunc(func(ctx context.Context, b consumer.Batch) (consumer.Result, error) {
		<-goOn
		highest.Store(max(highest.Load(), budget.Used()))
		handled.Add(int64(len(b.Records)))
		return consumer.Result{Handled: len(b.Records)}, nil
	}), func(c *consumer.Config) { c.Budget = budget })
	fixtures.Eventually(t, "something in flight", func() bool { return budget.Used() > value })
	time.AfterFunc(300*time.Millisecond, func() { close(goOn) })
	fixtures.Eventually(t, "all are handled", func() bool { return handled.Load() == partitions*n })
	fixtures.Eventually(t, "all is given back", func() bool { return budget.Used() == 0 })
	t.Logf("at most %d bytes in flight of %d", highest.Load(), most)
	if bound := int64(most + partitions*3*2*value); highest.Load() > bound {
		t.Errorf("%d bytes were in flight; want at most %d", highest.Load(), bound)
	}
}

// TestABatchThatUnpacksToTooMuch becomes one dead letter by its position; what is before and behind it goes on.
func TestABatchThatUnpacksToTooMuch(t *testing.T) {
	w := newWorld(t)
	w.publish(0, 3)
	w.Publisher.Compression, w.Publisher.BatchBytes = kafka.Compression(compress.Zstd), 1<<30
	bomb := topology.Record{Value: make([]byte, 40<<20)}
	w.Publish(t, names.Events(topology.Realtime), 2, bomb, bomb)
	w.publish(3, 6)
	w.start(handlerFunc(toJobs))
	fixtures.Await(t, "the jobs", func() error { return w.jobsAre(6, false) })
	f := consumer.Fetcher{
		Addr: w.Link.Addr(), Transport: w.Transport, Topic: names.DeadLetters(topology.Realtime), Partition: 2,
		MaxBytes: 1 << 20, MaxWait: 5 * time.Second,
	}
	got, err := f.Fetch(t.Context())
	if err != nil || len(got.Records) != 1 {
		t.Fatalf("%d dead letters, %v; want one", len(got.Records), err)
	}
	for key, want := range map[string]string{
		topology.HeaderOriginalOffset: "3", topology.HeaderReason: "too_large", topology.HeaderOriginalPartition: "2",
	} {
		if value, _ := got.Records[0].Header(key); string(value) != want {
			t.Errorf("%s is %q, want %q", key, value, want)
		}
	}
}
