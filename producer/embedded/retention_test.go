package embedded

import (
	"runtime"
	"strconv"
	"testing"

	"github.com/segmentio/kafka-go"
)

// bounds are the first offset of partition 0 and the one behind the last.
func (w *kafkaWorld) bounds(topic string) (first, end int64) {
	w.Helper()
	response, err := w.client.ListOffsets(w.Context(), &kafka.ListOffsetsRequest{
		Topics: map[string][]kafka.OffsetRequest{topic: {kafka.FirstOffsetOf(0), kafka.LastOffsetOf(0)}},
	})
	if err != nil {
		w.Fatal(err)
	}
	p := response.Topics[topic][0]
	return p.FirstOffset, p.LastOffset
}

// kept is how many records are left of partition 0 when there has been time to
// forget them.
func (w *kafkaWorld) kept(topic string) int {
	w.Helper()
	w.broker.retention.pass()
	first, end := w.bounds(topic)
	return int(end - first)
}

// TestMemoryIsBounded: what went through does not stay.
func TestMemoryIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 200 MB")
	}
	w := newKafka(t, BrokerConfig{})
	w.create("t", 1)
	before := heap()
	w.fill("t", 200<<20)
	w.broker.retention.pass()
	const most = 48 << 20
	if grown := heap() - before; grown > most {
		t.Errorf("200 MB left %d MB, want %d MB at the most", grown>>20, most>>20)
	}
	first, end := w.bounds("t")
	if _, err := w.fetch("t", first); err != nil {
		t.Errorf("reading what is left: %v", err)
	}
	if kept := end - first; kept < 10_000 {
		t.Errorf("only %d records are left", kept)
	}
}

func heap() int64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// TestWhatIsUnreadIsKept until the group that reads it has committed it, or
// until there is too much.
func TestWhatIsUnreadIsKept(t *testing.T) {
	const retain, backlog = 1 << 20, 4 << 20
	w := newKafka(t, BrokerConfig{RetainBytes: retain, BacklogBytes: backlog})
	w.create("t", 1)
	member := w.member("g", "t")
	generation := w.next(member)
	written := w.fill("t", 3<<20)
	if kept := w.kept("t"); kept != written {
		t.Fatalf("of %d unread records, %d are kept", written, kept)
	}

	half := int64(written / 2)
	commit := func(offset int64) {
		if err := generation.CommitOffsets(map[string]map[int]int64{"t": {0: offset}}); err != nil {
			t.Fatal(err)
		}
	}
	commit(half)
	w.kept("t")
	if first, _ := w.bounds("t"); first != half {
		t.Errorf("with %d read, the first left is %d", half, first)
	}

	commit(int64(written))
	about(t, "all read", w.kept("t"), retain)

	w.fill("t", 2*backlog)
	about(t, "too much unread", w.kept("t"), backlog)

	if err := member.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the group is gone", func() bool { return w.kept("t") < backlog/2/1000 })
	about(t, "no group", w.kept("t"), retain)
}

// about checks a number of records of 1000 bytes against a number of bytes.
func about(t *testing.T, when string, records, bytes int) {
	t.Helper()
	if got := records * 1000; got < bytes*8/10 || got > bytes*12/10 {
		t.Errorf("%s: %d records are kept, want %d bytes of them", when, records, bytes)
	}
}

// TestTopicsThatLimitThemselves are left alone.
func TestTopicsThatLimitThemselves(t *testing.T) {
	for name, settings := range map[string][]string{
		"compacted":       {"cleanup.policy", "compact"},
		"retention.bytes": {"retention.bytes", strconv.Itoa(64 << 20)},
	} {
		t.Run(name, func(t *testing.T) {
			w := newKafka(t, BrokerConfig{RetainBytes: 1 << 20})
			w.create("t", 1, settings...)
			written := w.fill("t", 3<<20)
			w.broker.Cluster.ApplyRetention()
			if kept := w.kept("t"); kept != written {
				t.Errorf("of %d, %d are kept", written, kept)
			}
		})
	}
}

// TestCompact: of each key the latest is left.
func TestCompact(t *testing.T) {
	w := newKafka(t, BrokerConfig{})
	w.create("t", 1, "cleanup.policy", "compact")
	for i := range 10 {
		record := kafka.Record{Key: kafka.NewBytes([]byte{byte(i % 2)}), Value: kafka.NewBytes([]byte(strconv.Itoa(i)))}
		response, err := w.client.Produce(t.Context(), &kafka.ProduceRequest{
			Topic: "t", RequiredAcks: kafka.RequireAll, Records: kafka.NewRecordReader(record),
		})
		if err != nil || response.Error != nil {
			t.Fatal(err, response)
		}
	}
	w.broker.Cluster.Compact()
	first, end := w.bounds("t")
	var left []string
	for offset := first; offset < end && left == nil; offset++ {
		var err error
		if left, err = w.fetch("t", offset); err != nil {
			t.Fatal(err)
		}
	}
	// The last batch is never touched, and what it repeats stays until then.
	if len(left) == 0 || len(left) > 3 || left[len(left)-1] != "9" {
		t.Errorf("left are %v", left)
	}
}

// TestDeletedTopicsAreForgotten.
func TestDeletedTopicsAreForgotten(t *testing.T) {
	w := newKafka(t, BrokerConfig{})
	w.create("t", 1)
	if _, err := w.client.DeleteTopics(t.Context(), &kafka.DeleteTopicsRequest{Topics: []string{"t"}}); err != nil {
		t.Fatal(err)
	}
	w.broker.retention.pass()
	for name := range w.broker.retention.topics.Range {
		t.Errorf("remembered is %v", name)
	}
}
