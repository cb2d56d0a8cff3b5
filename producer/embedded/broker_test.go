package embedded

import (
	"errors"
	"net"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
)

// TestTopicSettings: what a topic was created with is told again, and can be
// altered.
func TestTopicSettings(t *testing.T) {
	w := newKafka(t, BrokerConfig{})
	settings := []string{
		"cleanup.policy", "delete", "retention.ms", "604800000", "retention.bytes", "8388608",
		"segment.bytes", "2097152", "max.message.bytes", "2097152", "min.insync.replicas", "2",
	}
	w.create("t", 12, settings...)
	for i := 0; i < len(settings); i += 2 {
		if got := w.setting("t", settings[i]); got != settings[i+1] {
			t.Errorf("%s is %q, want %q", settings[i], got, settings[i+1])
		}
	}
	response, err := w.client.IncrementalAlterConfigs(t.Context(), &kafka.IncrementalAlterConfigsRequest{
		Resources: []kafka.IncrementalAlterConfigsRequestResource{{
			ResourceType: kafka.ResourceTypeTopic, ResourceName: "t",
			Configs: []kafka.IncrementalAlterConfigsRequestConfig{{
				Name: "retention.ms", Value: "1000", ConfigOperation: kafka.ConfigOperationSet,
			}},
		}},
	})
	if err != nil || response.Resources[0].Error != nil {
		t.Fatal(err, response)
	}
	if got := w.setting("t", "retention.ms"); got != "1000" {
		t.Errorf("altered retention.ms is %q", got)
	}
	if topics := w.topics(); !slices.Equal(topics, []string{"t/12"}) {
		t.Errorf("the topics are %v", topics)
	}
}

// setting is what the broker says of one setting of a topic.
func (w *kafkaWorld) setting(topic, name string) string {
	w.Helper()
	response, err := w.client.DescribeConfigs(w.Context(), &kafka.DescribeConfigsRequest{
		Resources: []kafka.DescribeConfigRequestResource{{
			ResourceType: kafka.ResourceTypeTopic, ResourceName: topic, ConfigNames: []string{name},
		}},
	})
	if err != nil {
		w.Fatal(err)
	}
	for _, entry := range response.Resources[0].ConfigEntries {
		if entry.ConfigName == name {
			return entry.ConfigValue
		}
	}
	return ""
}

// topics lists each topic as name/partitions.
func (w *kafkaWorld) topics() []string {
	w.Helper()
	response, err := w.client.Metadata(w.Context(), new(kafka.MetadataRequest))
	if err != nil {
		w.Fatal(err)
	}
	var topics []string
	for _, topic := range response.Topics {
		topics = append(topics, topic.Name+"/"+strconv.Itoa(len(topic.Partitions)))
	}
	return topics
}

// TestNoTopicSpringsUp, even for a client that would like it to.
func TestNoTopicSpringsUp(t *testing.T) {
	w := newKafka(t, BrokerConfig{})
	writer := &kafka.Writer{
		Addr: w.client.Addr, Transport: w.client.Transport, AllowAutoTopicCreation: true,
		RequiredAcks: kafka.RequireAll, BatchTimeout: time.Millisecond, MaxAttempts: 2,
	}
	err := writer.WriteMessages(t.Context(), kafka.Message{Topic: "nope", Value: []byte("v")})
	if !errors.Is(err, kafka.UnknownTopicOrPartition) {
		t.Errorf("writing: %v", err)
	}
	if err := writer.Close(); err != nil {
		t.Error(err)
	}
	if topics := w.topics(); len(topics) != 0 {
		t.Errorf("there are %v", topics)
	}
}

// TestGroup: members share the partitions, the first is not kept waiting, and
// what a group committed it gets again.
func TestGroup(t *testing.T) {
	w := newKafka(t, BrokerConfig{})
	w.create("t", 4)
	first, started := w.member("g", "t"), time.Now()
	alone := w.next(first)
	if took := time.Since(started); took > 2*time.Second {
		t.Errorf("the first member waited %v", took)
	}
	if got := len(alone.Assignments["t"]); got != 4 {
		t.Errorf("alone it has %d partitions", got)
	}
	if err := alone.CommitOffsets(map[string]map[int]int64{"t": {0: 7, 1: 8, 2: 9, 3: 10}}); err != nil {
		t.Fatal(err)
	}

	second := w.member("g", "t")
	shared := make(chan *kafka.Generation)
	go func() { shared <- w.next(second) }()
	rest := w.next(first)
	committed := map[int]int64{}
	for _, generation := range []*kafka.Generation{rest, <-shared} {
		if got := len(generation.Assignments["t"]); got != 2 {
			t.Errorf("of two, one has %d partitions", got)
		}
		for _, p := range generation.Assignments["t"] {
			committed[p.ID] = p.Offset
		}
	}
	for p, want := range []int64{7, 8, 9, 10} {
		if committed[p] != want {
			t.Errorf("partition %d goes on at %d, want %d", p, committed[p], want)
		}
	}
	if err := alone.CommitOffsets(map[string]map[int]int64{"t": {0: 1}}); err == nil {
		t.Error("an old generation could commit")
	}
}

// TestAPortInUse is told with the address.
func TestAPortInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	address := taken.Addr().String()
	_, broker := StartBroker(BrokerConfig{Port: portOf(t, address), Nodes: 2})
	_, store := StartStore(StoreConfig{Port: portOf(t, address)})
	for want, err := range map[string]error{
		"embedded broker: port " + address + " is in use": broker,
		"embedded store: port " + address + " is in use":  store,
	} {
		if err == nil || err.Error() != want {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestTheSamePortAgain: a port is free after Close, and what was there is
// gone.
func TestTheSamePortAgain(t *testing.T) {
	w := newKafka(t, BrokerConfig{})
	w.create("t", 1)
	address := w.broker.Addr()
	w.broker.Close()
	again := newKafka(t, BrokerConfig{Port: portOf(t, address)})
	if got := again.broker.Addr(); got != address {
		t.Errorf("it listens on %s, want %s", got, address)
	}
	if topics := again.topics(); len(topics) != 0 {
		t.Errorf("there are %v", topics)
	}
}

// TestAfterClose: it may be closed again, and is still known by its address.
func TestAfterClose(t *testing.T) {
	w := newKafka(t, BrokerConfig{})
	for range 2 {
		w.broker.Close()
	}
	if w.broker.Addr() == "" {
		t.Error("the address is forgotten")
	}
}
