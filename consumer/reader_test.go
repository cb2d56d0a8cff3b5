package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
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
	"github.com/meddela/meddela/topology/wire"
)

// TestAPartitionThatFails: one that the broker will not give holds up no other, and goes on where it was.
func TestAPartitionThatFails(t *testing.T) {
	w := newWorld(t)
	var healed atomic.Bool
	id := w.Cluster.TopicInfo(string(names.Events(topology.Realtime))).TopicID
	w.Cluster.ControlKey(int16(kmsg.Fetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
		w.Cluster.KeepControl()
		request := r.(*kmsg.FetchRequest)
		if healed.Load() || len(request.Topics) != 1 || request.Topics[0].TopicID != id {
			return nil, nil, false
		}
		for i, p := range request.Topics[0].Partitions {
			if p.Partition != 2 {
				continue
			}
			if len(request.Topics[0].Partitions) == 1 {
				response := request.ResponseKind().(*kmsg.FetchResponse)
				topic := kmsg.NewFetchResponseTopic()
				topic.TopicID = id
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
	reader := consumer.NewReader(w.Link.Addr(), w.Transport, most)
	goOn := make(chan struct{})
	var highest, handled atomic.Int64
	w.start(handlerFunc(func(ctx context.Context, b consumer.Batch) (consumer.Result, error) {
		<-goOn
		highest.Store(max(highest.Load(), reader.InFlight()))
		handled.Add(int64(len(b.Records)))
		return consumer.Result{Handled: len(b.Records)}, nil
	}), func(c *consumer.Config) { c.Reader = reader })
	fixtures.Eventually(t, "something in flight", func() bool { return reader.InFlight() > value })
	time.AfterFunc(300*time.Millisecond, func() { close(goOn) })
	fixtures.Eventually(t, "all are handled", func() bool { return handled.Load() == partitions*n })
	fixtures.Eventually(t, "all is given back", func() bool { return reader.InFlight() == 0 })
	t.Logf("at most %d bytes in flight of %d", highest.Load(), most)
	if bound := int64(most + partitions*3*2*value); highest.Load() > bound {
		t.Errorf("%d bytes were in flight; want at most %d", highest.Load(), bound)
	}
}

// TestOneLargeBatchAtATime is in hand of a Reader, whatever many partitions and loops there are; small ones go on
// meanwhile, also while a handler waits with a large one, and after that is lost.
func TestOneLargeBatchAtATime(t *testing.T) {
	const size, n = 10_000, 1_000
	w := newWorld(t)
	events, jobs := names.Events(topology.Realtime), names.Jobs(topology.Realtime)
	w.Publisher.Compression, w.Publisher.BatchBytes = kafka.Compression(compress.Zstd), 2*size*n
	for p := range partitions {
		for range 2 {
			w.Publish(t, events, p, slices.Repeat([]topology.Record{{Value: make([]byte, size)}}, n)...)
		}
	}
	reader := consumer.NewReader(w.Link.Addr(), w.Transport, consumer.DefaultInFlight)
	goOn, free := make(chan struct{}), make(chan struct{})
	close(free)
	var handled, again, small, highest atomic.Int64
	watched := func(h consumer.Handler) consumer.Handler {
		return handlerFunc(func(ctx context.Context, b consumer.Batch) (consumer.Result, error) {
			highest.Store(max(highest.Load(), reader.InFlight()))
			return h.Handle(ctx, b)
		})
	}
	stop := w.start(watched(counting(new(atomic.Int64), goOn)), func(c *consumer.Config) {
		c.Reader, c.Group, c.Grace = reader, "lost", time.Millisecond
	})
	w.start(watched(counting(&small, free)), func(c *consumer.Config) {
		c.Reader, c.Group, c.Topics = reader, "small", []topology.Topic{jobs}
	})
	fixtures.Eventually(t, "a large one is in hand", func() bool { return reader.InFlight() > size*n })
	for p := range partitions {
		w.Publish(t, jobs, p, topology.Record{Value: []byte("small")})
	}
	fixtures.Eventually(t, "the small ones are handled", func() bool { return small.Load() == partitions })
	stop()
	for name, of := range map[string]*atomic.Int64{"a": &handled, "b": &again} {
		w.start(watched(counting(of, free)), func(c *consumer.Config) { c.Reader, c.Group = reader, name })
	}
	fixtures.Eventually(t, "all are handled by both", func() bool {
		return handled.Load() == 2*n*partitions && again.Load() == 2*n*partitions
	})
	fixtures.Eventually(t, "all is given back", func() bool { return reader.InFlight() == 0 })
	if most := int64(2*2*size*n + 1<<20); highest.Load() > most { // two loops share one
		t.Errorf("%d bytes were in flight, want at most %d", highest.Load(), most)
	}
}

// TestALargeBatchThatIsTooEarly keeps no other one waiting: a job may wait for hours on a delay topic.
func TestALargeBatchThatIsTooEarly(t *testing.T) {
	w := newWorld(t)
	w.Publisher.Compression, w.Publisher.BatchBytes = kafka.Compression(compress.Zstd), 4<<20
	var early, later atomic.Int64
	w.start(handlerFunc(func(_ context.Context, b consumer.Batch) (consumer.Result, error) {
		if b.Partition == 0 {
			early.Add(1)
			return consumer.Result{}, consumer.NotYet{Until: time.Now().Add(time.Hour)}
		}
		later.Add(int64(len(b.Records)))
		return consumer.Result{Handled: len(b.Records)}, nil
	}))
	large := slices.Repeat([]topology.Record{{Value: make([]byte, 10_000)}}, 200)
	for p, comes := range []*atomic.Int64{&early, &later} {
		w.Publish(t, names.Events(topology.Realtime), p, slices.Clone(large)...)
		fixtures.Eventually(t, fmt.Sprintf("partition %d is in work", p), func() bool { return comes.Load() > 0 })
	}
}

// TestBudgetOfMany: many partitions that are answered at once stay within the budget as well, though what
// they brought could be unpacked to many times of it.
func TestBudgetOfMany(t *testing.T) {
	const many, most, value, n = 64, 1 << 20, 10_000, 30
	w := newWorld(t)
	topic := topology.Topic("test.many")
	w.CreateTopic(t, topic, many, nil)
	w.Publisher.Compression, w.Publisher.BatchBytes = kafka.Compression(compress.Zstd), value
	for p := range many {
		w.Publish(t, topic, p, slices.Repeat([]topology.Record{{Value: make([]byte, value)}}, n)...)
	}
	reader := consumer.NewReader(w.Link.Addr(), w.Transport, most)
	goOn := make(chan struct{})
	var handled atomic.Int64
	w.start(counting(&handled, goOn), func(c *consumer.Config) {
		c.Reader, c.Topics = reader, []topology.Topic{topic}
	})
	fixtures.Eventually(t, "all have fetched some", func() bool { return reader.InFlight() > many*value })
	time.Sleep(300 * time.Millisecond)
	// At least 16 KiB are always fetched, and a batch comes whole.
	if n, bound := reader.InFlight(), int64(most+many*(16<<10+value)); n > bound {
		t.Errorf("%d bytes are in flight; want at most %d", n, bound)
	}
	close(goOn)
	fixtures.Eventually(t, "all are handled", func() bool { return handled.Load() == many*n })
	fixtures.Eventually(t, "all is given back", func() bool { return reader.InFlight() == 0 })
}

// readers are two loops that share a Reader, each with a group of its own and the records of its own name.
func (w *world) readers(reader *consumer.Reader, handlers map[string]consumer.Handler) {
	for name, h := range handlers {
		w.start(h, func(c *consumer.Config) {
			c.Reader, c.Group, c.FetchWait = reader, name, 5*time.Second
			c.Only = topology.Header{Key: "for", Value: []byte(name)}
		})
	}
}

func (w *world) publishFor(whose string, partition, n int) {
	var records []topology.Record
	for i := range n {
		records = append(records, topology.Record{
			Value:   fmt.Append(nil, i),
			Headers: []topology.Header{{Key: "for", Value: []byte(whose[i%len(whose) : i%len(whose)+1])}},
		})
	}
	w.Publish(w.t, names.Events(topology.Realtime), partition, records...)
}

// counting handles all records and counts them, once it may go on.
func counting(handled *atomic.Int64, goOn <-chan struct{}) consumer.Handler {
	return handlerFunc(func(ctx context.Context, b consumer.Batch) (consumer.Result, error) {
		select {
		case <-goOn:
		case <-ctx.Done():
			return consumer.Result{}, ctx.Err()
		}
		handled.Add(int64(len(b.Records)))
		return consumer.Result{Handled: len(b.Records)}, nil
	})
}

// TestLoopsShareReads: what two loops read of a partition is fetched once, and each gets what is its own.
func TestLoopsShareReads(t *testing.T) {
	const steps = 30
	w := newWorld(t)
	var requests, a, b atomic.Int64
	w.Cluster.ControlKey(int16(kmsg.Fetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
		w.Cluster.KeepControl()
		requests.Add(1)
		return nil, nil, false
	})
	goOn := make(chan struct{})
	close(goOn)
	reader := consumer.NewReader(w.Link.Addr(), w.Transport, consumer.DefaultInFlight)
	w.readers(reader, map[string]consumer.Handler{"a": counting(&a, goOn), "b": counting(&b, goOn)})
	both := func(n int64) {
		fixtures.Eventually(t, "both have handled theirs", func() bool { return a.Load() == n && b.Load() == n })
	}
	w.publishFor("ab", 0, 2)
	both(1)
	before := requests.Load()
	for i := range int64(steps) {
		w.publishFor("ab", int(i)%partitions, 2)
		both(i + 2)
	}
	if n := requests.Load() - before; n > steps*3/2 {
		t.Errorf("%d requests for %d batches that two read; want about one for each batch", n, steps)
	}
}

// TestALoopThatIsBehind holds up no other that shares its Reader, and gets all that is its own.
func TestALoopThatIsBehind(t *testing.T) {
	const n = 3000
	w := newWorld(t)
	var a, b atomic.Int64
	goOn, free := make(chan struct{}), make(chan struct{})
	close(free)
	reader := consumer.NewReader(w.Link.Addr(), w.Transport, 100_000)
	w.readers(reader, map[string]consumer.Handler{"a": counting(&a, goOn), "b": counting(&b, free)})
	for range 10 {
		for p := range partitions {
			w.publishFor("ab", p, n/10)
		}
	}
	fixtures.Eventually(t, "the other has handled all", func() bool { return b.Load() == n*partitions/2 })
	if a.Load() != 0 {
		t.Errorf("%d are handled that were to wait", a.Load())
	}
	close(goOn)
	fixtures.Eventually(t, "it has handled all", func() bool { return a.Load() == n*partitions/2 })
	fixtures.Eventually(t, "all is given back", func() bool { return reader.InFlight() == 0 })
}

// TestLoopsThatComeAndGo: with a budget that is smaller than one batch, handlers that take their time and members of
// two groups that come and go in the midst of reads, all is handled and all is given back.
func TestLoopsThatComeAndGo(t *testing.T) {
	const n, size = 200, 3000
	w := newWorld(t)
	w.Publisher.BatchBytes = 40 * size
	var mu sync.Mutex
	handled := map[string]map[string]bool{"a": {}, "b": {}}
	reader := consumer.NewReader(w.Link.Addr(), w.Transport, 1<<16)
	start := func(name string, parallel int) (stop func()) {
		return w.start(handlerFunc(func(ctx context.Context, b consumer.Batch) (consumer.Result, error) {
			time.Sleep(rand.N(5 * time.Millisecond))
			mu.Lock()
			defer mu.Unlock()
			some := 1 + rand.N(len(b.Records)) // and the rest later
			for _, r := range b.Records[:some] {
				handled[name][fmt.Sprint(r.Partition, r.Offset)] = true
			}
			return consumer.Result{Handled: some}, nil
		}), func(c *consumer.Config) { c.Reader, c.Group, c.Parallel = reader, name, parallel })
	}
	start("a", 0)
	start("b", 8)
	for range 5 {
		for p := range partitions {
			w.Publish(t, names.Events(topology.Realtime), p,
				slices.Repeat([]topology.Record{{Value: make([]byte, size)}}, n/5)...)
		}
		time.Sleep(300 * time.Millisecond)
		stopA, stopB := start("a", 8), start("b", 0)
		time.Sleep(300 * time.Millisecond)
		stopA()
		stopB()
	}
	fixtures.Await(t, "all", func() error {
		mu.Lock()
		defer mu.Unlock()
		if a, b := len(handled["a"]), len(handled["b"]); a < n*partitions || b < n*partitions {
			return fmt.Errorf("%d and %d are handled of %d", a, b, n*partitions)
		}
		return nil
	})
	fixtures.Eventually(t, "all is given back", func() bool { return reader.InFlight() == 0 })
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

// TestABatchThatComesDamaged is read again. Where it is damaged for good, one dead letter says so, and what is behind
// it is handled.
func TestABatchThatComesDamaged(t *testing.T) {
	events := names.Events(topology.Realtime)
	for times, want := range map[int64]int{2: 9, 1 << 40: 6} {
		w := newWorld(t)
		put := func(i int) {
			batch := make([]topology.Record, 3)
			for j := range batch {
				batch[j].Value = strconv.AppendInt(nil, int64(3*i+j), 10)
			}
			w.Publish(t, events, 2, batch...)
		}
		put(0)
		set, err := wire.AppendSet(nil, []*topology.Record{{}, {}, {}}, compress.None, time.Unix(1_790_000_000, 0))
		if err != nil {
			t.Fatal(err)
		}
		set = set[4:]
		set[7], set[len(set)-1] = 3, set[len(set)-1]^1
		var read atomic.Int64
		id := w.Cluster.TopicInfo(string(events)).TopicID
		w.Cluster.ControlKey(int16(kmsg.Fetch), func(request kmsg.Request) (kmsg.Response, error, bool) {
			w.Cluster.KeepControl()
			for _, of := range request.(*kmsg.FetchRequest).Topics {
				for _, p := range of.Partitions {
					if of.TopicID != id || p.Partition != 2 || p.FetchOffset < 3 || p.FetchOffset > 5 ||
						read.Add(1) > times {
						continue
					}
					answer := kmsg.NewFetchResponseTopicPartition()
					answer.Partition, answer.HighWatermark, answer.LastStableOffset = 2, 9, 9
					answer.RecordBatches = set
					response := request.ResponseKind().(*kmsg.FetchResponse)
					response.Topics = []kmsg.FetchResponseTopic{{TopicID: id,
						Partitions: []kmsg.FetchResponseTopicPartition{answer}}}
					return response, nil, true
				}
			}
			return nil, nil, false
		})
		var mu sync.Mutex
		var got []string
		w.start(handlerFunc(func(_ context.Context, b consumer.Batch) (consumer.Result, error) {
			mu.Lock()
			defer mu.Unlock()
			for i := range b.Records {
				got = append(got, string(b.Records[i].Value))
			}
			return consumer.Result{Handled: len(b.Records)}, nil
		}))
		handled := func(value string) {
			fixtures.Eventually(t, value+" is handled", func() bool {
				mu.Lock()
				defer mu.Unlock()
				return slices.Contains(got, value)
			})
		}
		handled("2")
		put(1)
		put(2)
		handled("8")
		if all := "012345678"; strings.Join(got, "") != all[:want-3]+all[6:] {
			t.Errorf("damaged %d times: handled %q", times, got)
		}
		if want == 9 {
			continue
		}
		f := consumer.Fetcher{
			Addr: w.Link.Addr(), Transport: w.Transport, Topic: names.DeadLetters(topology.Realtime), Partition: 2,
			MaxBytes: 1 << 20, MaxWait: 5 * time.Second,
		}
		letters, err := f.Fetch(t.Context())
		if err != nil || len(letters.Records) != 1 {
			t.Fatalf("%d dead letters, %v; want one", len(letters.Records), err)
		}
		for key, want := range map[string]string{
			topology.HeaderOriginalOffset: "3", topology.HeaderReason: "bad_value",
			topology.HeaderError: "no record up to offset 5 can be read: the record batch does not match its checksum; " +
				"publish them again, in smaller batches",
		} {
			if value, _ := letters.Records[0].Header(key); string(value) != want {
				t.Errorf("%s is %q, want %q", key, value, want)
			}
		}
		whole := consumer.Fetcher{Addr: w.Link.Addr(), Transport: w.Transport, Topic: events, Partition: 2,
			MaxBytes: 1 << 20, MaxWait: 5 * time.Second, Whole: true}
		whole.SeekTo(3)
		fixtures.Eventually(t, "it is told that not all can be read", func() bool {
			_, err := whole.Fetch(t.Context())
			return errors.Is(err, consumer.ErrUnreadable)
		})
	}
}

// TestQuota: a broker by which a quota is used up answers at once, and with nothing (KIP-219). It is asked no more
// for as long as it says, which is no fault; then all is read.
func TestQuota(t *testing.T) {
	const throttle, times = 150 * time.Millisecond, 4
	w := newWorld(t)
	topic := topology.Topic("test.one")
	w.CreateTopic(t, topic, 1, nil)
	w.Publish(t, topic, 0, topology.Record{Value: []byte("x")})
	var mu sync.Mutex
	var until time.Time
	early, throttled := 0, 0
	w.Cluster.ControlKey(int16(kmsg.Fetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
		w.Cluster.KeepControl()
		mu.Lock()
		defer mu.Unlock()
		if time.Now().Before(until) {
			early++
		}
		if throttled == times {
			return nil, nil, false
		}
		throttled++
		until = time.Now().Add(throttle)
		response := r.ResponseKind().(*kmsg.FetchResponse)
		response.ThrottleMillis = int32(throttle.Milliseconds())
		return response, nil, true
	})
	loops, goOn := make(chan *consumer.Loop, 1), make(chan struct{})
	close(goOn)
	var handled atomic.Int64
	w.startLoop(loops, counting(&handled, goOn), func(c *consumer.Config) { c.Topics = []topology.Topic{topic} })
	fixtures.Eventually(t, "all is read", func() bool { return handled.Load() == 1 })
	mu.Lock()
	defer mu.Unlock()
	if early > 0 || throttled != times {
		t.Errorf("%d requests came before the time that the broker had said, %d times", early, throttled)
	}
	if n, _, _ := (<-loops).Stats().Faults(); n > 0 {
		t.Errorf("%d faults", n)
	}
}

// TestQuotaOfOneFetch: a single fetch waits for a quota as well.
func TestQuotaOfOneFetch(t *testing.T) {
	w := newWorld(t)
	w.publish(0, 1)
	var fetches atomic.Int64
	w.Cluster.ControlKey(int16(kmsg.Fetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
		w.Cluster.KeepControl()
		if fetches.Add(1) > 2 {
			return nil, nil, false
		}
		response := r.ResponseKind().(*kmsg.FetchResponse)
		response.ThrottleMillis = 20
		return response, nil, true
	})
	f := consumer.Fetcher{
		Addr: w.Link.Addr(), Transport: w.Transport, Topic: names.Events(topology.Realtime),
		MaxBytes: 1 << 20, MaxWait: time.Second,
	}
	if got, err := f.Fetch(t.Context()); err != nil || len(got.Records) != 1 || fetches.Load() != 3 {
		t.Errorf("%d records after %d requests, %v; want one after three", len(got.Records), fetches.Load(), err)
	}
}
