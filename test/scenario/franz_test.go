package scenario

import (
	"context"
	"hash/fnv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// franz is an upstream system on franz-go.
type franz struct{ client *kgo.Client }

func newFranz(brokers []string, options ...kgo.Opt) (franz, error) {
	client, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(brokers...),
		kgo.RecordPartitioner(kgo.BasicConsistentPartitioner(choosePartition)),
		kgo.ProducerBatchMaxBytes(1 << 20),
		kgo.MetadataMinAge(100 * time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 100 * time.Millisecond }),
	}, options...)...)
	return franz{client}, err
}

// choosePartition takes the record's own partition, or else one by its key.
func choosePartition(string) func(*kgo.Record, int) int {
	return func(r *kgo.Record, n int) int {
		if r.Partition != anyPartition {
			return int(r.Partition) % n
		}
		hash := fnv.New32a()
		_, _ = hash.Write(r.Key)
		return int(hash.Sum32() % uint32(n))
	}
}

func (f franz) publish(topic string, records []record) error {
	return f.client.ProduceSync(context.Background(), franzRecords(topic, records)...).FirstErr()
}

func franzRecords(topic string, records []record) []*kgo.Record {
	out := make([]*kgo.Record, len(records))
	for i, r := range records {
		out[i] = &kgo.Record{Topic: topic, Partition: int32(r.partition), Value: r.value}
		if r.key != "" {
			out[i].Key = []byte(r.key)
		}
		for _, h := range r.headers {
			name, value, _ := strings.Cut(h, "=")
			out[i].Headers = append(out[i].Headers, kgo.RecordHeader{Key: name, Value: []byte(value)})
		}
	}
	return out
}
