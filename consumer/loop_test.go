package consumer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/producer/embedded"
	"github.com/meddela/meddela/test/fixtures"
	"github.com/meddela/meddela/topology"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const partitions = 4

var names = topology.Topics{Prefix: "test."}

// world is a broker with the lanes' topics, and what is needed to run loops
// on it.
type world struct {
	*fixtures.Kafka
	t   *testing.T
	log zerolog.Logger
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{Kafka: fixtures.StartKafka(t, embedded.BrokerConfig{}), t: t}
	w.log = zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.WarnLevel)
	if testing.Verbose() {
		w.log = zerolog.New(os.Stderr).Level(zerolog.InfoLevel)
	}
	w.Publisher.Log = w.log
	w.CreateLanes(t, names, partitions)
	return w
}

// publish writes n numbered events to each partition.
func (w *world) publish(from, to int) {
	w.t.Helper()
	for p := range partitions {
		var records []topology.Record
		for i := from; i < to; i++ {
			records = append(records, topology.Record{Value: fmt.Appendf(nil, "%d/%d", p, i)})
		}
		w.Publish(w.t, names.Events(topology.Realtime), p, records...)
	}
}

// start runs a loop until stop is called or the test ends.
func (w *world) start(h consumer.Handler, change ...func(*consumer.Config)) (stop func()) {
	return w.startLoop(nil, h, change...)
}

// startLoop likewise, and tells of the loop, unless that is nil.
func (w *world) startLoop(loops chan<- *consumer.Loop, h consumer.Handler, change ...func(*consumer.Config)) func() {
	config := consumer.Config{
		Role: topology.RoleMatch, Lane: topology.Realtime, Names: names,
		Topics:  []topology.Topic{names.Events(topology.Realtime)},
		Handler: h, Publisher: w.Publisher,
		Brokers: w.Link.Brokers, Transport: w.Link.Transport(),
		Log: w.log, FetchWait: 200 * time.Millisecond, Grace: 5 * time.Second,
		SessionTimeout: 6 * time.Second,
	}
	for _, c := range change {
		c(&config)
	}
	ctx, cancel := context.WithCancel(context.Background())
	// A request that is just being made as the loop ends opens no connections any more.
	connections, closeAll := context.WithCancel(context.Background())
	transport := config.Transport.(*kafka.Transport)
	transport.Context = connections
	done := make(chan error, 1)
	loop := consumer.New(config)
	if loops != nil {
		loops <- loop
	}
	go func() { done <- loop.Run(ctx) }()
	var once sync.Once
	stop := func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				w.t.Errorf("the loop ended with %v", err)
			}
			closeAll()
			transport.CloseIdleConnections()
		})
	}
	w.t.Cleanup(stop)
	return stop
}

// read reads a whole topic, by partition.
func (w *world) read(topic topology.Topic) (map[int][]string, error) {
	out := make(map[int][]string)
	for p := range partitions {
		f := consumer.Fetcher{
			Addr: w.Link.Addr(), Transport: w.Transport, Topic: topic, Partition: p,
			MaxBytes: 1 << 20, MaxWait: 10 * time.Millisecond,
		}
		for {
			got, err := f.Fetch(w.t.Context())
			if err != nil {
				return nil, err
			}
			for _, r := range got.Records {
				out[p] = append(out[p], string(r.Value))
			}
			if got.Next >= got.HighWatermark {
				break
			}
		}
	}
	return out, nil
}

// jobsAre checks that each partition's jobs are events 0 to n, in order; with
// repeats allowed, that each is there and the first of each are in order.
func (w *world) jobsAre(n int, repeats bool) error {
	jobs, err := w.read(names.Jobs(topology.Realtime))
	if err != nil {
		return err
	}
	for p := range partitions {
		got := jobs[p]
		if repeats {
			got = firsts(got)
		}
		want := make([]string, n)
		for i := range want {
			want[i] = fmt.Sprintf("%d/%d", p, i)
		}
		if !slices.Equal(got, want) {
			return fmt.Errorf("partition %d has %d jobs (%d with repeats), want %d", p, len(got), len(jobs[p]), n)
		}
	}
	return nil
}

func firsts(values []string) []string {
	seen, out := make(map[string]bool), []string(nil)
	for _, v := range values {
		if !seen[v] {
			seen[v] = true
			out = append(out, v)
		}
	}
	return out
}

// committed returns the group's committed offsets.
func (w *world) committed() map[int]int64 {
	w.t.Helper()
	topic := string(names.Events(topology.Realtime))
	response, err := w.Client.OffsetFetch(w.t.Context(), &kafka.OffsetFetchRequest{
		GroupID: names.Group(topology.RoleMatch, topology.Realtime),
		Topics:  map[string][]int{topic: {0, 1, 2, 3}},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	out := make(map[int]int64)
	for _, p := range response.Topics[topic] {
		out[p.Partition] = p.CommittedOffset
	}
	return out
}

// handlerFunc is a Handler by a function.
type handlerFunc func(ctx context.Context, b consumer.Batch) (consumer.Result, error)

func (f handlerFunc) Handle(ctx context.Context, b consumer.Batch) (consumer.Result, error) {
	return f(ctx, b)
}

// toJobs passes every record on to the jobs topic.
func toJobs(_ context.Context, b consumer.Batch) (consumer.Result, error) {
	var result consumer.Result
	for _, r := range b.Records {
		result.Out = append(result.Out, topology.Record{Topic: names.Jobs(topology.Realtime), Key: r.Key, Value: r.Value})
		result.Handled++
	}
	return result, nil
}

func TestInOrderOnceAndCommitted(t *testing.T) {
	w := newWorld(t)
	w.publish(0, 300)
	stop := w.start(handlerFunc(toJobs), func(c *consumer.Config) { c.FetchBytes = 1000 })
	fixtures.Await(w.t, "jobs", func() error { return w.jobsAre(300, false) })
	w.publish(300, 310)
	fixtures.Await(w.t, "live jobs", func() error { return w.jobsAre(310, false) })
	stop()
	if got, want := w.committed(), map[int]int64{0: 310, 1: 310, 2: 310, 3: 310}; !maps.Equal(got, want) {
		t.Errorf("committed %v, want %v", got, want)
	}

	w.start(handlerFunc(toJobs))
	w.publish(310, 320)
	fixtures.Await(w.t, "after a restart, only what is new", func() error { return w.jobsAre(320, false) })
}

// TestPartialProgress: a handler that does part of a batch and then finds its
// server away is called again for the rest, and only for that.
func TestPartialProgress(t *testing.T) {
	w := newWorld(t)
	w.publish(0, 50)
	var calls atomic.Int64
	w.start(handlerFunc(func(ctx context.Context, b consumer.Batch) (consumer.Result, error) {
		if calls.Add(1)%2 == 1 && len(b.Records) > 1 {
			b.Records = b.Records[:len(b.Records)/2]
			result, _ := toJobs(ctx, b)
			return result, errors.New("the server is away")
		}
		return toJobs(ctx, b)
	}))
	fixtures.Await(w.t, "jobs", func() error { return w.jobsAre(50, false) })
}

func TestNotYetWaitsUntilThen(t *testing.T) {
	w := newWorld(t)
	w.publish(0, 3)
	due := time.Now().Add(700 * time.Millisecond)
	var early atomic.Bool
	w.start(handlerFunc(func(ctx context.Context, b consumer.Batch) (consumer.Result, error) {
		if time.Now().Before(due) {
			return consumer.Result{}, consumer.NotYet{Until: due}
		}
		return toJobs(ctx, b)
	}))
	fixtures.Await(w.t, "jobs", func() error {
		err := w.jobsAre(3, false)
		if err == nil && time.Now().Before(due) {
			early.Store(true)
		}
		return err
	})
	if early.Load() {
		t.Error("handled too early")
	}
}

// TestACrashHitsOneRecord: the record that crashes the handler becomes a dead
// letter; all others, those of its own batch included, are handled in order.
func TestACrashHitsOneRecord(t *testing.T) {
	w := newWorld(t)
	w.log = zerolog.Nop()
	w.publish(0, 100)
	w.start(handlerFunc(func(ctx context.Context, b consumer.Batch) (consumer.Result, error) {
		for _, r := range b.Records {
			if string(r.Value) == "1/42" {
				panic("cannot bear this one")
			}
		}
		return toJobs(ctx, b)
	}))
	fixtures.Await(w.t, "the neighbours", func() error {
		jobs, err := w.read(names.Jobs(topology.Realtime))
		if err != nil {
			return err
		}
		if len(jobs[0]) != 100 || len(jobs[1]) != 99 || slices.Contains(jobs[1], "1/42") ||
			!slices.IsSortedFunc(jobs[1], byNumber) {
			return fmt.Errorf("partition 0 has %d, partition 1 has %d", len(jobs[0]), len(jobs[1]))
		}
		return nil
	})
	fixtures.Await(w.t, "the dead letter", func() error {
		letters, err := w.read(names.DeadLetters(topology.Realtime))
		if err == nil && !slices.Equal(letters[1], []string{"1/42"}) {
			err = fmt.Errorf("dead letters %v", letters)
		}
		return err
	})
	fixtures.Await(w.t, "the end of its event", func() error {
		return w.logs(1, topology.NotCovered, topology.ReasonInternalError)
	})
}

// logs checks that the log has one entry on a partition, and no other.
func (w *world) logs(partition int, status topology.Status, reason topology.Reason) error {
	log, err := w.read(names.DeliveryLog(topology.Realtime))
	if err != nil || len(log) != 1 || len(log[partition]) != 1 {
		return fmt.Errorf("the log has %v, %v", log, err)
	}
	entry, err := topology.DecodeEntry([]byte(log[partition][0]))
	if err != nil || entry.Status != status || entry.Reason != reason {
		return fmt.Errorf("the log has %+v, %v", entry, err)
	}
	return nil
}

func byNumber(a, b string) int {
	var p, i, q, j int
	fmt.Sscanf(a, "%d/%d", &p, &i)
	fmt.Sscanf(b, "%d/%d", &q, &j)
	return i - j
}

// TestSharing: a second member takes half of the partitions, and gives them
// back when it leaves; nothing is lost on the way.
func TestSharing(t *testing.T) {
	w := newWorld(t)
	w.start(handlerFunc(toJobs))
	w.publish(0, 100)
	fixtures.Await(w.t, "alone", func() error { return w.jobsAre(100, false) })

	var second atomic.Int64
	stop := w.start(handlerFunc(func(ctx context.Context, b consumer.Batch) (consumer.Result, error) {
		second.Add(int64(len(b.Records)))
		return toJobs(ctx, b)
	}))
	sent := 100
	fixtures.Await(w.t, "the second member's share", func() error {
		w.publish(sent, sent+10)
		sent += 10
		if second.Load() == 0 {
			return errors.New("the second member has handled nothing")
		}
		return w.jobsAre(sent, true)
	})
	stop()
	w.publish(sent, sent+10)
	fixtures.Await(w.t, "alone again", func() error { return w.jobsAre(sent+10, true) })
}

// TestBrokerAway: whatever the broker refuses for a while, every record comes
// through when it is back.
func TestBrokerAway(t *testing.T) {
	w := newWorld(t)
	w.start(handlerFunc(toJobs))
	w.publish(0, 20)
	fixtures.Await(w.t, "before", func() error { return w.jobsAre(20, false) })
	for i, outage := range []func() (heal func()){
		func() func() { w.Sleep(); return w.Wake },
		func() func() { return w.Refuse(kmsg.Produce, kafka.NotEnoughReplicas) },
		func() func() { return w.Refuse(kmsg.Produce, kafka.Unknown) },
		func() func() { return w.Refuse(kmsg.Fetch, kafka.NotLeaderForPartition) },
		func() func() { return w.Refuse(kmsg.OffsetCommit, kafka.GroupCoordinatorNotAvailable) },
	} {
		from := 20 + 20*i
		heal := outage()
		healed := time.AfterFunc(500*time.Millisecond, heal)
		w.publish(from, from+20)
		fixtures.Await(w.t, fmt.Sprintf("after outage %d", i), func() error { return w.jobsAre(from+20, true) })
		healed.Stop()
		heal()
	}
}

// TestCommitsThatFail are said once for a while, not as often as they are tried.
func TestCommitsThatFail(t *testing.T) {
	w := newWorld(t)
	defer w.Refuse(kmsg.OffsetCommit, kafka.GroupCoordinatorNotAvailable)()
	var said, tried atomic.Int64
	stop := w.start(handlerFunc(toJobs), func(c *consumer.Config) {
		c.CommitInterval = 20 * time.Millisecond
		c.Log = w.log.Hook(zerolog.HookFunc(func(_ *zerolog.Event, _ zerolog.Level, message string) {
			if strings.HasPrefix(message, "offsets not committed") {
				said.Add(1)
			}
		}))
	})
	w.Cluster.ControlKey(int16(kmsg.OffsetCommit), func(kmsg.Request) (kmsg.Response, error, bool) {
		w.Cluster.KeepControl()
		tried.Add(1)
		return nil, nil, false
	})
	w.publish(0, 1)
	fixtures.Eventually(t, "several tries", func() bool { return tried.Load() >= 10 })
	stop()
	if n := said.Load(); n != 1 {
		t.Errorf("%d tries failed, which was said %d times, want once", tried.Load(), n)
	}
}

// TestATopicThatRefuses: an output that its topic does not take becomes a dead letter,
// and ends its event; what the dead letters do not take either is kept by its position.
// Nobody is held up, and each is counted once.
func TestATopicThatRefuses(t *testing.T) {
	job := func(size int) []byte {
		j := topology.Job{JobID: "j", EventID: "e", Lane: topology.Realtime, Attempt: 1, Template: "a@1", Type: "a",
			Channel: topology.Email, Source: "test.realtime.events/2/5",
			Event: fmt.Appendf(nil, `{"a":"%s"}`, strings.Repeat("a", size))}
		return j.Append(nil)
	}
	for name, test := range map[string]struct {
		output topology.Record
		kept   int // bytes of the dead letter
		logs   bool
		error  string
	}{
		"a job": {topology.Record{Topic: names.Jobs(topology.Realtime), Value: job(mostJob)}, len(job(mostJob)), true,
			"topic test.realtime.jobs does not take this record"},
		"a large job": {topology.Record{Topic: names.Jobs(topology.Realtime), Value: job(mostLetter)}, 0, true,
			"topic test.realtime.jobs does not take this record"},
		"a dead letter": {names.DeadLetter(topology.Realtime, &topology.Record{Topic: names.Events(topology.Realtime),
			Partition: 2, Offset: 5, Value: make([]byte, mostLetter+1)},
			&topology.Fault{Detail: "why"}, topology.RoleMatch, time.Unix(1, 0)), 0, false, "why"},
		"what is no job": {topology.Record{Topic: names.Jobs(topology.Realtime), Value: make([]byte, mostJob+1)}, mostJob + 1,
			false, "topic test.realtime.jobs does not take this record"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			var log bytes.Buffer
			w.log = zerolog.New(zerolog.SyncWriter(&log))
			w.publish(0, 10)
			loops := make(chan *consumer.Loop, 1)
			stop := w.startLoop(loops, handlerFunc(func(ctx context.Context, b consumer.Batch) (consumer.Result, error) {
				result, err := toJobs(ctx, b)
				for i := range result.Out {
					if string(result.Out[i].Value) == "2/5" {
						result.Out[i] = test.output
					}
				}
				return result, err
			}), func(c *consumer.Config) { c.Publisher = refusingPublisher{w.Publisher} })
			fixtures.Await(t, "the neighbours", func() error {
				jobs, err := w.read(names.Jobs(topology.Realtime))
				if err == nil && (len(jobs[2]) != 9 || len(jobs[1]) != 10) {
					err = fmt.Errorf("partition 1 has %d, partition 2 has %d", len(jobs[1]), len(jobs[2]))
				}
				return err
			})
			fixtures.Await(t, "the dead letter", func() error {
				letters, err := w.read(names.DeadLetters(topology.Realtime))
				if err == nil && (len(letters[2]) != 1 || len(letters[2][0]) != test.kept) {
					err = fmt.Errorf("%d dead letters, want one of %d bytes", len(letters[2]), test.kept)
				}
				return err
			})
			if test.logs {
				if err := w.logs(2, topology.DeliveryError, topology.ReasonTopicRejected); err != nil {
					t.Error(err)
				}
			}
			f := consumer.Fetcher{Addr: w.Link.Addr(), Transport: w.Transport, MaxBytes: 1 << 20, MaxWait: time.Second,
				Topic: names.DeadLetters(topology.Realtime), Partition: 2}
			got, err := f.Fetch(t.Context())
			if err != nil || len(got.Records) != 1 {
				t.Fatalf("%d dead letters, %v", len(got.Records), err)
			}
			if why, _ := got.Records[0].Header(topology.HeaderError); !strings.Contains(string(why), test.error) {
				t.Errorf("the dead letter says %s", why)
			}
			loop := <-loops
			fixtures.Eventually(t, "one is counted", func() bool { return loop.Stats().DeadLetters() == 1 })
			stop()
			told, of := `"records":1,"first":"","last":"","lost":0`, topology.Source("test.realtime.jobs/0/0")
			if name != "what is no job" {
				of = "test.realtime.events/2/5"
				told = fmt.Sprintf(`"records":1,"first":%q,"last":%q,"lost":0`, of, of)
			}
			for _, h := range got.Records[0].Headers {
				if place := topology.HeaderOriginalOffset; h.Key == place && !strings.HasSuffix(string(of), "/"+string(h.Value)) {
					t.Errorf("the dead letter is of offset %s, want %s", h.Value, of)
				}
			}
			topic, _ := got.Records[0].Header(topology.HeaderOriginalTopic)
			if !strings.HasPrefix(string(of), string(topic)+"/") {
				t.Errorf("the dead letter is of %s, want %s", topic, of)
			}
			if !strings.Contains(log.String(), told) {
				t.Errorf("no %s in the log\n%s", told, &log)
			}
		})
	}
}

// refusingAll refuses whatever is for the dead letters, and jobs.
type refusingAll struct{}

func (refusingAll) Publish(_ context.Context, _ int, records []topology.Record) (refused []int, err error) {
	for i, r := range records {
		if r.Topic != names.DeliveryLog(topology.Realtime) {
			refused = append(refused, i)
		}
	}
	return refused, nil
}

// TestWhatNothingTakes is counted as lost, once, and told of with its place, and its partition goes on.
func TestWhatNothingTakes(t *testing.T) {
	w := newWorld(t)
	var log bytes.Buffer
	w.log = zerolog.New(zerolog.SyncWriter(&log))
	w.publish(0, 3)
	loops := make(chan *consumer.Loop, 1)
	stop := w.startLoop(loops, handlerFunc(func(_ context.Context, b consumer.Batch) (result consumer.Result, err error) {
		for i := range b.Records {
			result.Out = append(result.Out, names.DeadLetter(topology.Realtime, &b.Records[i], &topology.Fault{},
				topology.RoleMatch, time.Unix(1, 0)))
		}
		result.Handled = len(b.Records)
		return result, nil
	}), func(c *consumer.Config) { c.Publisher = refusingAll{} })
	fixtures.Eventually(t, "all is committed", func() bool { return w.committed()[2] == 3 && w.committed()[1] == 3 })
	stop()
	if stats := (<-loops).Stats(); stats.Skipped() != partitions*3 || stats.DeadLetters() != 0 {
		t.Errorf("%d are lost and %d dead letters", stats.Skipped(), stats.DeadLetters())
	}
	told := `"records":3,"first":"test.realtime.events/2/0","last":"test.realtime.events/2/2","lost":`
	if strings.Count(log.String(), told+"0") != 1 || strings.Count(log.String(), told+"3") != 1 {
		t.Errorf("no %s in the log\n%s", told, &log)
	}
}

// What refusingPublisher takes of a job and of a dead letter.
const mostJob, mostLetter = 1000, 3000

// refusingPublisher refuses records as a broker does, which the embedded one may not.
type refusingPublisher struct{ consumer.Publisher }

func (p refusingPublisher) Publish(ctx context.Context, partition int, records []topology.Record) ([]int, error) {
	most := map[topology.Topic]int{
		names.Jobs(topology.Realtime): mostJob, names.DeadLetters(topology.Realtime): mostLetter,
	}
	var refused []int
	var rest []topology.Record
	for i, r := range records {
		if bound, ok := most[r.Topic]; ok && len(r.Value) > bound {
			refused = append(refused, i)
		} else {
			rest = append(rest, r)
		}
	}
	_, err := p.Publisher.Publish(ctx, partition, rest)
	return refused, err
}

// noting are Positions that tell what they are told.
type noting struct {
	mu        sync.Mutex
	committed map[int]int64
	reached   map[int]int64
	fault     error
	generations,
	ended int
}

func (n *noting) Begin(committed map[string][]kafka.PartitionAssignment) (
	note func(map[string]map[int]int64) error, end func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.committed = make(map[int]int64)
	for _, a := range committed[string(names.Events(topology.Realtime))] {
		n.committed[a.ID] = a.Offset
	}
	n.generations++
	return n.note, func() { n.mu.Lock(); defer n.mu.Unlock(); n.ended++ }
}

func (n *noting) note(reached map[string]map[int]int64) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	maps.Copy(n.reached, reached[string(names.Events(topology.Realtime))])
	return n.fault
}

func (n *noting) is(want map[int]int64) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return maps.Equal(n.reached, want)
}

func (n *noting) fail(with error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fault = with
}

// TestPositions: what is to be committed is noted first, and is not committed while
// that fails.
func TestPositions(t *testing.T) {
	w := newWorld(t)
	n := &noting{reached: make(map[int]int64)}
	stop := w.start(handlerFunc(toJobs), func(c *consumer.Config) { c.Positions = n })
	all := func(offset int64) map[int]int64 { return map[int]int64{0: offset, 1: offset, 2: offset, 3: offset} }
	w.publish(0, 10)
	fixtures.Eventually(t, "noted and committed", func() bool {
		return n.is(all(10)) && maps.Equal(w.committed(), all(10))
	})
	n.fail(errors.New("Redis is away"))
	w.publish(10, 20)
	fixtures.Eventually(t, "asked to note", func() bool { return n.is(all(20)) })
	if got := w.committed(); !maps.Equal(got, all(10)) {
		t.Errorf("committed %v, which is not noted", got)
	}
	n.fail(nil)
	fixtures.Eventually(t, "committed", func() bool { return maps.Equal(w.committed(), all(20)) })
	stop()
	if n.generations == 0 || n.ended != n.generations {
		t.Errorf("%d generations began, %d ended", n.generations, n.ended)
	}
	w.start(handlerFunc(toJobs), func(c *consumer.Config) { c.Positions = n })
	fixtures.Eventually(t, "the next knows what is committed", func() bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		return maps.Equal(n.committed, all(20))
	})
}

// deleteRecords deletes the records of a partition below an offset, as retention does.
func (w *world) deleteRecords(partition int, below int64) {
	w.t.Helper()
	request := kmsg.NewPtrDeleteRecordsRequest()
	topic := kmsg.NewDeleteRecordsRequestTopic()
	topic.Topic = string(names.Events(topology.Realtime))
	one := kmsg.NewDeleteRecordsRequestTopicPartition()
	one.Partition, one.Offset = int32(partition), below
	topic.Partitions = append(topic.Partitions, one)
	request.Topics = append(request.Topics, topic)
	client, err := kgo.NewClient(kgo.SeedBrokers(w.Link.Brokers...))
	if err != nil {
		w.t.Fatal(err)
	}
	defer client.Close()
	response, err := request.RequestWith(w.t.Context(), client)
	if err != nil || response.Topics[0].Partitions[0].ErrorCode != 0 {
		w.t.Fatal(err, response)
	}
}

// TestRecordsLost to retention are counted once, and not again at each restart of an
// idle partition; also where batches are handled side by side.
func TestRecordsLost(t *testing.T) {
	for _, parallel := range []int{1, 4} {
		w := newWorld(t)
		config := func(c *consumer.Config) { c.Parallel = parallel }
		w.publish(0, 10)
		stop := w.start(handlerFunc(toJobs), config)
		fixtures.Eventually(t, "committed", func() bool { return w.committed()[1] == 10 })
		stop()
		w.publish(10, 30)
		w.deleteRecords(1, 30)
		loops := make(chan *consumer.Loop, 2)
		stop = w.startLoop(loops, handlerFunc(toJobs), config)
		fixtures.Eventually(t, "where the records end is committed", func() bool { return w.committed()[1] == 30 })
		stop()
		if n := (<-loops).Stats().Skipped(); n != 20 {
			t.Errorf("%d records were lost, want 20", n)
		}
		w.startLoop(loops, handlerFunc(toJobs), config)
		w.publish(30, 40)
		fixtures.Eventually(t, "what comes then is handled", func() bool { return w.committed()[1] == 40 })
		if n := (<-loops).Stats().Skipped(); n != 0 {
			t.Errorf("after a restart %d records were lost again", n)
		}
	}
}
