package scan_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/meddela/meddela/consumer/scan"
	"github.com/meddela/meddela/test/fixtures"
	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/wire"
)

func TestEverythingOnceAndInOrder(t *testing.T) {
	w := newWorld(t, 1)
	w.topics.FetchBytes = 4 << 10 // several fetches
	w.fill(0, 1000)
	f, progress := w.scan(w.ranges())
	f.want(t, 0, 1000)
	if progress.Total.Load() != partitions*1000 || progress.Lost.Load() != 0 {
		t.Errorf("total %d, lost %d", progress.Total.Load(), progress.Lost.Load())
	}
}

func TestAnEmptyTopicHasNoRanges(t *testing.T) {
	w := newWorld(t, 1)
	if ranges := w.ranges(); len(ranges) != 0 {
		t.Errorf("ranges %v", ranges)
	}
	f, _ := w.scan(nil)
	f.want(t, 0, 0)
}

// TestALiveTopic: what is written after the range was made is not in it.
func TestALiveTopic(t *testing.T) {
	w := newWorld(t, 1)
	w.topics.FetchBytes = 4 << 10
	w.fill(0, 300)
	ranges := w.ranges()
	f := newFound()
	var once sync.Once
	err := w.topics.Scan(t.Context(), ranges, nil, func(records []topology.Record) error {
		once.Do(func() { w.fill(300, 400) })
		return f.add(records)
	})
	if err != nil {
		t.Fatal(err)
	}
	f.want(t, 0, 300)
}

func TestRangesByTime(t *testing.T) {
	w := newWorld(t, 1)
	id, err := wire.TopicID(t.Context(), w.topics.Addr, w.Transport, topic)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now().Add(-time.Hour).Truncate(time.Second)
	at := func(minutes int) time.Time { return start.Add(time.Duration(minutes) * time.Minute) }
	for i := range 10 { // offset i at minute i
		w.write(2, &kgo.Record{Timestamp: at(i)})
	}
	for _, test := range []struct {
		name         string
		since, until time.Time
		from, to     int64
	}{
		{"all", time.Time{}, time.Time{}, 0, 10},
		{"from a record's own time", at(3), time.Time{}, 3, 10},
		{"from between two", at(3).Add(time.Second), time.Time{}, 4, 10},
		{"from before the first", at(-1), time.Time{}, 0, 10},
		{"from before 1970", time.Unix(-1000, 0), time.Time{}, 0, 10},
		{"from after the last", at(11), time.Time{}, 0, 0},
		{"between two times", at(3), at(5), 3, 5},
		{"up to after the last", at(3), at(11), 3, 10},
		{"up to before the first", time.Time{}, at(-1), 0, 0},
	} {
		ranges, err := w.topics.Between(t.Context(), topic, test.since, test.until)
		if err != nil {
			t.Fatal(err)
		}
		var want []scan.Range
		if test.to > 0 {
			want = []scan.Range{{Topic: topic, ID: id, Partition: 2, From: test.from, To: test.to}}
		}
		if !slices.Equal(ranges, want) {
			t.Errorf("%s: %v, want %v", test.name, ranges, want)
		}
	}
}

// TestTransactions: aborted records are not read, and a range that ends in
// aborted records and markers ends.
func TestTransactions(t *testing.T) {
	w := newWorld(t, 1)
	client := w.client(kgo.TransactionalID("upstream"))
	transaction := func(end kgo.TransactionEndTry, from, to int) {
		t.Helper()
		if err := client.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		for p := range partitions {
			for _, r := range numbers(from, to) {
				r.Partition = int32(p)
				if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := client.EndTransaction(t.Context(), end); err != nil {
			t.Fatal(err)
		}
	}
	transaction(kgo.TryAbort, 900, 903)
	transaction(kgo.TryCommit, 0, 5)
	transaction(kgo.TryCommit, 5, 6)
	transaction(kgo.TryAbort, 903, 906)
	f, progress := w.scan(w.ranges())
	f.want(t, 0, 6)
	if want := int64(partitions * (6 + 6 + 4)); progress.Total.Load() != want {
		t.Errorf("%d offsets, want %d with the markers", progress.Total.Load(), want)
	}
	if _, err := w.topics.At(t.Context(), topic, 1, 0); err == nil ||
		!strings.HasPrefix(err.Error(), "there is no record at offset 0 of test.events/1: ") {
		t.Errorf("the record of an aborted transaction: %v", err)
	}
}

// TestWhatIsGoneMeanwhile: retention may overtake a scan.
func TestWhatIsGoneMeanwhile(t *testing.T) {
	w := newWorld(t, 1)
	w.fill(0, 300)
	ranges := w.ranges()
	for p := range partitions {
		w.deleteBefore(p, 100)
	}
	f, progress := w.scan(ranges)
	f.want(t, 100, 300)
	if progress.Lost.Load() != partitions*100 {
		t.Errorf("%d lost, want %d", progress.Lost.Load(), partitions*100)
	}
	for p := range partitions {
		w.deleteBefore(p, 300)
	}
	f, progress = w.scan(ranges)
	f.want(t, 0, 0)
	if progress.Lost.Load() != partitions*300 {
		t.Errorf("%d lost, want %d", progress.Lost.Load(), partitions*300)
	}
}

// TestARangeBeyondTheEnd: as after the loss of a leader whose last records
// nobody else had.
func TestARangeBeyondTheEnd(t *testing.T) {
	w := newWorld(t, 1)
	w.fill(0, 10)
	ranges := w.ranges()
	for i := range ranges {
		ranges[i].To += 5
	}
	f, progress := w.scan(ranges)
	f.want(t, 0, 10)
	if progress.Lost.Load() != partitions*5 {
		t.Errorf("%d lost, want %d", progress.Lost.Load(), partitions*5)
	}
}

func TestCompactionGaps(t *testing.T) {
	w := newWorld(t, 1)
	const compacted = "test.templates"
	w.createTopic(compacted, 1, map[string]string{"cleanup.policy": "compact"})
	for i := range 30 {
		w.write(0, &kgo.Record{Topic: compacted, Key: []byte{byte(i % 3)}, Value: []byte{byte(i)}})
	}
	w.Cluster.Compact()
	ranges, err := w.topics.Ranges(t.Context(), compacted, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	last := map[byte]byte{}
	n := 0
	err = w.topics.Scan(t.Context(), ranges, nil, func(records []topology.Record) error {
		for _, r := range records {
			last[r.Key[0]] = r.Value[0]
			n++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n >= 30 || len(last) != 3 || last[0] != 27 || last[1] != 28 || last[2] != 29 {
		t.Errorf("%d records, the last ones %v", n, last)
	}
}

// TestKeptOfALeaderThatMoved: who asks once, as a command does, is not told of a leader that has just moved.
func TestKeptOfALeaderThatMoved(t *testing.T) {
	w := newWorld(t, 1)
	w.fill(0, 5)
	time.AfterFunc(300*time.Millisecond, w.Refuse(kmsg.ListOffsets, kafka.NotLeaderForPartition))
	if kept, err := w.topics.Kept(t.Context(), topic, 2); err != nil || len(kept) != 1 || kept[0].Partition != 2 {
		t.Error(kept, err)
	}
}

// TestOutages: whatever happens to the broker in the middle of a scan, each
// record is given once.
func TestOutages(t *testing.T) {
	for name, outage := range map[string]func(w *world) (heal func()){
		"broker asleep":    func(w *world) func() { w.Sleep(); return w.Wake },
		"fetches refused":  func(w *world) func() { return w.Refuse(kmsg.Fetch, kafka.NotLeaderForPartition) },
		"storage fails":    func(w *world) func() { return w.Refuse(kmsg.Fetch, kafka.KafkaStorageError) },
		"unknown error":    func(w *world) func() { return w.Refuse(kmsg.Fetch, kafka.Unknown) },
		"leaders not seen": func(w *world) func() { return w.LoseLeaders(w.t) },
		"leaders move":     func(w *world) func() { w.Cluster.ShufflePartitionLeaders(); return func() {} },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 3)
			w.topics.FetchBytes = 2 << 10
			w.fill(0, 500)
			ranges := w.ranges()
			f := newFound()
			var once sync.Once
			healed := make(chan struct{})
			err := w.topics.Scan(t.Context(), ranges, nil, func(records []topology.Record) error {
				once.Do(func() {
					heal := outage(w)
					time.AfterFunc(300*time.Millisecond, func() { heal(); close(healed) })
				})
				return f.add(records)
			})
			<-healed
			if err != nil {
				t.Fatal(err)
			}
			f.want(t, 0, 500)
		})
	}
}

// TestTopicMadeAgain: nothing is read of a topic that has the name of the one that a range was made of.
func TestTopicMadeAgain(t *testing.T) {
	for _, before := range []int{0, 40} { // offsets that have been read
		w := newWorld(t, 1)
		w.fill(0, 100)
		w.topics.FetchBytes = 64
		ranges, again := w.ranges(), func() {
			request := &kafka.DeleteTopicsRequest{Topics: []string{string(topic)}}
			answer, err := w.Client.DeleteTopics(fixtures.Soon(t), request)
			if err != nil || answer.Errors[string(topic)] != nil {
				t.Fatal(answer, err)
			}
			w.createTopic(topic, partitions, nil)
			w.writer = w.client() // that knows of no id
			w.fill(500, 600)
		}
		if before == 0 {
			again()
		}
		seen, once := 0, new(sync.Once)
		err := w.topics.Scan(t.Context(), ranges[:1], nil, func(records []topology.Record) error {
			if seen += len(records); seen >= before && before > 0 {
				once.Do(again)
			}
			for _, r := range records {
				if n, _ := strconv.Atoi(string(r.Value)); n >= 500 {
					t.Errorf("%s is of the new topic", r.Value)
				}
			}
			return nil
		})
		if !errors.Is(err, scan.ErrAnew) {
			t.Errorf("after %d: %v", seen, err)
		}
	}
}

func TestPatienceEnds(t *testing.T) {
	w := newWorld(t, 1)
	w.fill(0, 10)
	ranges := w.ranges()
	w.topics.Patience = 200 * time.Millisecond
	heal := w.Refuse(kmsg.Fetch, kafka.LeaderNotAvailable)
	if err := w.topics.Scan(t.Context(), ranges, nil, newFound().add); !errors.Is(err, kafka.LeaderNotAvailable) {
		t.Errorf("error %v", err)
	}
	heal()
	heal = w.Refuse(kmsg.Fetch, kafka.TopicAuthorizationFailed)
	w.topics.Patience = time.Hour
	if err := w.topics.Scan(t.Context(), ranges, nil, newFound().add); !errors.Is(err, kafka.TopicAuthorizationFailed) {
		t.Errorf("error %v", err)
	}
	heal()
	w.topics.Patience = 200 * time.Millisecond
	w.Sleep()
	defer w.Wake()
	if _, err := w.topics.Ranges(t.Context(), topic, time.Time{}); err == nil {
		t.Error("ranges of a broker that is away")
	}
}

func TestTheContextEndsAScanAtOnce(t *testing.T) {
	w := newWorld(t, 1)
	w.topics.FetchBytes = 2 << 10
	w.fill(0, 500)
	ranges := w.ranges()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var once sync.Once
	var ended time.Time
	heal := func() {}
	err := w.topics.Scan(ctx, ranges, nil, func([]topology.Record) error {
		once.Do(func() {
			heal = w.Stall()
			time.AfterFunc(100*time.Millisecond, func() { ended = time.Now(); cancel() })
		})
		return nil
	})
	took := time.Since(ended)
	heal()
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if took > time.Second {
		t.Errorf("the scan ended %v after its context", took)
	}
	if err := w.topics.Scan(ctx, ranges, nil, newFound().add); !errors.Is(err, context.Canceled) {
		t.Errorf("a scan that is over before it begins: %v", err)
	}
}

func TestAnErrorOfTheHandlerEndsAScan(t *testing.T) {
	w := newWorld(t, 1)
	w.fill(0, 10)
	broken := errors.New("broken")
	err := w.topics.Scan(t.Context(), w.ranges(), nil, func([]topology.Record) error { return broken })
	if !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}

func TestOneRecord(t *testing.T) {
	w := newWorld(t, 1)
	w.fill(0, 30)
	for p := range partitions {
		w.deleteBefore(p, 10)
	}
	r, err := w.topics.At(t.Context(), topic, 2, 17)
	if err != nil || string(r.Value) != "000017" || r.Offset != 17 || r.Partition != 2 || r.Topic != topic {
		t.Errorf("record %v, error %v", r, err)
	}
	for _, test := range []struct {
		topic     topology.Topic
		partition int
		offset    int64
		says      string
	}{
		{topic, 2, 9, "offset 9 of test.events/2 is not kept any more: the partition holds 10 to 29"},
		{topic, 2, 30, "offset 30 of test.events/2 is not there yet: the partition holds 10 to 29"},
		{topic, 2, -1, "offset -1 of test.events/2 is not kept any more: the partition holds 10 to 29"},
		{emptyTopic, 0, 0, "offset 0 of test.empty/0 is not there: the partition holds no records, the next one written gets offset 0"},
		{topic, 4, 0, "test.events has no partition 4: it has 0 to 3"},
		{"test.none", 0, 0, "the topic test.none does not exist: create it with `meddela topics apply`"},
	} {
		if _, err := w.topics.At(t.Context(), test.topic, test.partition, test.offset); err == nil ||
			err.Error() != test.says {
			t.Errorf("error %v\nwant  %s", err, test.says)
		}
	}
}

func TestAMissingTopic(t *testing.T) {
	w := newWorld(t, 1)
	var missing *topology.NoTopicError
	if _, err := w.topics.Ranges(t.Context(), "test.none", time.Time{}); !errors.As(err, &missing) ||
		missing.Topic != "test.none" {
		t.Errorf("error %v", err)
	}
}

// TestWhatCanNeverBeRead is passed over, counted and told of once, with its place, and what is around it is given.
func TestWhatCanNeverBeRead(t *testing.T) {
	w := newWorld(t, 1)
	var log bytes.Buffer
	w.topics.Log, w.topics.Patience = zerolog.New(&log), time.Second
	w.write(0, numbers(0, 2)...)
	hostile := w.client(kgo.ProducerBatchCompression(kgo.ZstdCompression()), kgo.ProducerBatchMaxBytes(100<<20),
		kgo.BrokerMaxWriteBytes(200<<20))
	for range 2 { // of 40 MB each, which are some kilobytes on the wire
		if err := hostile.ProduceSync(t.Context(), &kgo.Record{Value: make([]byte, 40<<20)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	w.write(0, numbers(2, 3)...)
	w.write(0, &kgo.Record{Headers: make([]kgo.RecordHeader, wire.MostHeaders+1)})
	w.write(0, numbers(3, 4)...)
	f, progress := w.scan(w.ranges())
	if got := f.values[0]; !slices.Equal(got, []string{"000000", "000001", "000002", "000003"}) || len(f.values) != 1 {
		t.Errorf("given %v", f.values)
	}
	if lost := progress.Lost.Load(); lost != 3 {
		t.Errorf("%d are lost, want 3", lost)
	}
	for _, offset := range []int{2, 3, 5} {
		of := fmt.Sprintf(`"topic":"test.events","partition":0,"offset":%d,"up_to":%d,"error":`, offset, offset)
		if n := strings.Count(log.String(), of); n != 1 {
			t.Errorf("told %d times of offset %d:\n%s", n, offset, &log)
		}
	}
	if _, err := w.topics.At(t.Context(), topic, 0, 3); err == nil || !strings.Contains(err.Error(),
		"offset 3 of test.events/0 can never be read") {
		t.Errorf("it alone: %v", err)
	}
}
