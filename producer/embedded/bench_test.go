package embedded

import (
	"bytes"
	"context"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/segmentio/kafka-go"
)

// The ceiling of what runs on the embedded servers: clients that do nothing
// else, in the same process.

const (
	benchPartitions = 12
	benchBatch      = 100
	benchBytes      = 1000
)

// onPartitions calls f for each partition at once, with its share of n
// batches.
func onPartitions(b *testing.B, n int, f func(partition, batches int) error) {
	var all sync.WaitGroup
	for p := range benchPartitions {
		all.Go(func() {
			if err := f(p, (n+benchPartitions-1-p)/benchPartitions); err != nil {
				b.Error(err)
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(n*benchBatch)/b.Elapsed().Seconds(), "records/s")
}

func (w *benchWorld) produce(partition, batches int) error {
	value := bytes.Repeat([]byte("x"), benchBytes)
	records := make([]kafka.Record, benchBatch)
	for range batches {
		for i := range records {
			records[i].Value = kafka.NewBytes(value)
		}
		response, err := w.client.Produce(context.Background(), &kafka.ProduceRequest{
			Topic: "t", Partition: partition, RequiredAcks: kafka.RequireAll, Records: kafka.NewRecordReader(records...),
		})
		if err != nil {
			return err
		}
		if response.Error != nil {
			return response.Error
		}
	}
	return nil
}

// fetch reads so many batches, over and over again from the start.
func (w *benchWorld) fetch(partition, batches int) error {
	var offset int64
	for left := batches * benchBatch; left > 0; {
		response, err := w.client.Fetch(context.Background(), &kafka.FetchRequest{
			Topic: "t", Partition: partition, Offset: offset, MinBytes: 1, MaxBytes: 1 << 20, MaxWait: time.Second,
		})
		if err != nil {
			return err
		}
		if response.Error != nil {
			return response.Error
		}
		for {
			record, err := response.Records.ReadRecord()
			if err != nil {
				break
			}
			offset = record.Offset + 1
			left--
		}
		if offset >= response.HighWatermark {
			offset = 0
		}
	}
	return nil
}

type benchWorld struct{ client *kafka.Client }

func newBench(b *testing.B) *benchWorld {
	broker, err := StartBroker(BrokerConfig{})
	if err != nil {
		b.Fatal(err)
	}
	transport := new(kafka.Transport)
	b.Cleanup(func() {
		transport.CloseIdleConnections()
		broker.Close()
	})
	client := &kafka.Client{Addr: kafka.TCP(broker.Addr()), Transport: transport}
	if _, err := client.CreateTopics(b.Context(), &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{
		{Topic: "t", NumPartitions: benchPartitions, ReplicationFactor: -1},
	}}); err != nil {
		b.Fatal(err)
	}
	return &benchWorld{client}
}

// One operation is a batch of 100 records of 1000 bytes.
func BenchmarkProduce(b *testing.B) {
	w := newBench(b)
	b.ResetTimer()
	onPartitions(b, b.N, w.produce)
}

func BenchmarkFetch(b *testing.B) {
	w := newBench(b)
	onPartitions(b, 50*benchPartitions, w.produce)
	b.ResetTimer()
	onPartitions(b, b.N, w.fetch)
}

// BenchmarkExpiry is how long the store serves nobody while keys expire.
func BenchmarkExpiry(b *testing.B) {
	for _, keys := range []int{1_000, 10_000, 100_000} {
		b.Run(strconv.Itoa(keys), func(b *testing.B) {
			store, err := StartStore(StoreConfig{})
			if err != nil {
				b.Fatal(err)
			}
			defer store.Close()
			client := redis.NewClient(&redis.Options{Addr: store.Addr()})
			defer func() { _ = client.Close() }()
			pipe := client.Pipeline()
			for i := range keys {
				pipe.Set(b.Context(), "key-"+strconv.Itoa(i), "v", time.Hour)
			}
			if _, err := pipe.Exec(b.Context()); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				store.redis.FastForward(time.Microsecond)
			}
		})
	}
}
