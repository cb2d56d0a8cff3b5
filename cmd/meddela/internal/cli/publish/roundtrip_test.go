package publish

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/clitest"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/topology"
)

// What is applied and published can be read back.
func TestTopicsThenPublishThenRead(t *testing.T) {
	broker := clitest.StartKafka(t).ListenAddrs()[0]
	environment := map[string]string{
		"MEDDELA_KAFKA_BROKERS": broker, "MEDDELA_TOPICS_PARTITIONS": "3", "MEDDELA_KAFKA_COMPRESSION": "lz4",
	}
	meddela(t, environment, "", "topics", "apply").Want(t, command.ExitOK)

	input := `{"id":"a","type":"x","ctx":{}}` + "\n" + `{"id":"b","type":"x","ctx":{}}` + "\nnonsense\n" +
		`{"type":"x","ctx":{}}`
	got := meddela(t, environment, input, "publish", "--lane", "realtime", "-o", "json")
	got.Want(t, command.ExitFailed)
	if !strings.HasSuffix(got.Err, "meddela: 1 of 4 events were not published\n") {
		t.Errorf("stderr %q", got.Err)
	}
	var said []string
	for line := range strings.Lines(got.Out) {
		var view receiptView
		if err := json.Unmarshal([]byte(line), &view); err != nil {
			t.Fatal(err)
		}
		if view.Error == "" {
			said = append(said, fmt.Sprintf("%s %d %d", view.ID, *view.Partition, *view.Offset))
		} else if view.Line != 3 || view.Reason != topology.ReasonNotJSON {
			t.Errorf("receipt %s", line)
		}
	}
	read := readEvents(t, broker, 3)
	slices.Sort(said)
	slices.Sort(read)
	if !slices.Equal(said, read) || len(read) != 3 {
		t.Errorf("receipts say %q, and the topic has %q", said, read)
	}
}

// readEvents reads the realtime events as "id partition offset".
func readEvents(t *testing.T, broker string, partitions int) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var events []string
	for p := range partitions {
		connection, err := kafka.DialLeader(ctx, "tcp", broker, "meddela.realtime.events", p)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = connection.Close() }()
		end, err := connection.ReadLastOffset()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := connection.Seek(0, kafka.SeekAbsolute); err != nil {
			t.Fatal(err)
		}
		for offset := int64(0); offset < end; offset++ {
			m, err := connection.ReadMessage(1 << 20)
			if err != nil {
				t.Fatal(err)
			}
			event, err := topology.DecodeEvent(topology.Record{Partition: p, Offset: m.Offset, Value: m.Value},
				topology.Realtime)
			if err != nil {
				t.Fatal(err)
			}
			events = append(events, fmt.Sprintf("%s %d %d", event.ID, p, m.Offset))
		}
	}
	return events
}
