package embedded

import (
	"bytes"
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/segmentio/kafka-go"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// kafkaWorld is a broker and a client of it.
type kafkaWorld struct {
	*testing.T
	broker *Broker
	client *kafka.Client
}

func newKafka(t *testing.T, config BrokerConfig) *kafkaWorld {
	t.Helper()
	broker, err := StartBroker(config)
	if err != nil {
		t.Fatal(err)
	}
	transport := &kafka.Transport{MetadataTTL: 100 * time.Millisecond, IdleTimeout: time.Minute}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		broker.Close()
	})
	client := &kafka.Client{Addr: kafka.TCP(broker.Addr()), Transport: transport, Timeout: 5 * time.Second}
	return &kafkaWorld{t, broker, client}
}

// create makes a topic with settings given as name and value in turn.
func (w *kafkaWorld) create(topic string, partitions int, settings ...string) {
	w.Helper()
	config := kafka.TopicConfig{Topic: topic, NumPartitions: partitions, ReplicationFactor: -1}
	for i := 0; i < len(settings); i += 2 {
		config.ConfigEntries = append(config.ConfigEntries,
			kafka.ConfigEntry{ConfigName: settings[i], ConfigValue: settings[i+1]})
	}
	response, err := w.client.CreateTopics(w.Context(), &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{config}})
	if err == nil {
		err = response.Errors[topic]
	}
	if err != nil {
		w.Fatalf("topic %s: %v", topic, err)
	}
}

// produce writes records with these values to partition 0.
func (w *kafkaWorld) produce(topic string, values ...string) error {
	return w.produceIn(w.Context(), topic, values...)
}

func (w *kafkaWorld) produceIn(ctx context.Context, topic string, values ...string) error {
	var records []kafka.Record
	for _, v := range values {
		records = append(records, kafka.Record{Value: kafka.NewBytes([]byte(v))})
	}
	response, err := w.client.Produce(ctx, &kafka.ProduceRequest{
		Topic: topic, RequiredAcks: kafka.RequireAll, Records: kafka.NewRecordReader(records...),
	})
	if err != nil {
		return err
	}
	return response.Error
}

// fill writes about so many bytes to partition 0, and returns the number of
// records.
func (w *kafkaWorld) fill(topic string, total int) int {
	w.Helper()
	const batch, size = 100, 1000
	values := make([]string, batch)
	for i := range values {
		values[i] = string(bytes.Repeat([]byte{byte(i)}, size))
	}
	var records int
	for ; records*size < total; records += batch {
		if err := w.produce(topic, values...); err != nil {
			w.Fatal(err)
		}
	}
	return records
}

// fetch reads what partition 0 has from an offset on.
func (w *kafkaWorld) fetch(topic string, offset int64) ([]string, error) {
	response, err := w.client.Fetch(w.Context(), &kafka.FetchRequest{
		Topic: topic, Offset: offset, MinBytes: 1, MaxBytes: 1 << 20, MaxWait: 50 * time.Millisecond,
	})
	if err != nil {
		return nil, err
	}
	if response.Error != nil {
		return nil, response.Error
	}
	var values []string
	for {
		record, err := response.Records.ReadRecord()
		if err != nil {
			return values, nil
		}
		value, err := kafka.ReadAll(record.Value)
		if err != nil {
			return values, err
		}
		values = append(values, string(value))
	}
}

// member is one of a consumer group that it joins.
func (w *kafkaWorld) member(group, topic string) *kafka.ConsumerGroup {
	w.Helper()
	member, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID: group, Brokers: []string{w.broker.Addr()}, Topics: []string{topic},
		StartOffset: kafka.FirstOffset, HeartbeatInterval: 100 * time.Millisecond,
		SessionTimeout: 6 * time.Second, JoinGroupBackoff: 50 * time.Millisecond,
	})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = member.Close() })
	return member
}

// next is the next generation of a member, within a deadline.
func (w *kafkaWorld) next(member *kafka.ConsumerGroup) *kafka.Generation {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), 20*time.Second)
	defer cancel()
	generation, err := member.Next(ctx)
	if err != nil {
		w.Fatal(err)
	}
	return generation
}

func newStore(t *testing.T) (*Store, *redis.Client) {
	t.Helper()
	store, err := StartStore(StoreConfig{})
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(&redis.Options{
		Addr: store.Addr(), MaxRetries: -1, DialerRetries: 1,
		ReadTimeout: 300 * time.Millisecond, ContextTimeoutEnabled: true,
	})
	t.Cleanup(func() {
		_ = client.Close()
		store.Close()
	})
	return store, client
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 20 s", what)
		}
	}
}

func portOf(t *testing.T, address string) int {
	t.Helper()
	_, text, _ := bytes.Cut([]byte(address), []byte(":"))
	port, err := strconv.Atoi(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return port
}
