package lag_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
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
	"github.com/meddela/meddela/consumer/lag"
	"github.com/meddela/meddela/producer/embedded"
	"github.com/meddela/meddela/test/fixtures"
	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	partitions = 2
	lane       = topology.Realtime
)

var names = topology.Topics{Prefix: "test."}

// world is an installation's topics, and who measures it.
type world struct {
	*fixtures.Kafka
	t *testing.T
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{fixtures.StartKafka(t, embedded.BrokerConfig{}), t}
	w.CreateLanes(t, names, partitions)
	return w
}

// measure measures some roles of a lane.
func (w *world) measure(roles ...topology.Role) *lag.Report {
	w.t.Helper()
	transport := w.Link.Transport() // which remembers no metadata of before
	defer transport.CloseIdleConnections()
	gauge := lag.Gauge{
		Addr: w.Link.Addr(), Transport: transport, Names: names, Lanes: []topology.Lane{lane}, Roles: roles,
		Channels: []topology.Channel{topology.Email, topology.SMS},
	}
	report, err := gauge.Measure(fixtures.Soon(w.t))
	if err != nil {
		w.t.Fatal(err)
	}
	for i := range report.Groups {
		if err := report.Groups[i].Err; err != nil {
			w.t.Fatal(err)
		}
	}
	return report
}

// group measures the only group of a role.
func (w *world) group(role topology.Role) *lag.Group {
	w.t.Helper()
	report := w.measure(role)
	if len(report.Groups) != 1 {
		w.t.Fatalf("%d groups of role %s", len(report.Groups), role)
	}
	return &report.Groups[0]
}

// write writes empty records of some times to a partition.
func (w *world) write(topic topology.Topic, partition int, times ...time.Time) {
	w.t.Helper()
	records := make([]topology.Record, len(times))
	for i, at := range times {
		records[i] = topology.Record{Time: at, Value: []byte("{}")}
	}
	w.Publish(w.t, topic, partition, records...)
}

// commit commits an offset of a group without members.
func (w *world) commit(group string, topic topology.Topic, partition int, offset int64) {
	w.t.Helper()
	response, err := w.Client.OffsetCommit(fixtures.Soon(w.t), &kafka.OffsetCommitRequest{
		GroupID: group, GenerationID: -1,
		Topics: map[string][]kafka.OffsetCommit{string(topic): {{Partition: partition, Offset: offset}}},
	})
	if err == nil {
		err = response.Topics[string(topic)][0].Error
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// join adds a process to the group of the matchers until the test or leave ends it.
func (w *world) join() (leave func()) {
	transport := w.Link.Transport()
	loop := consumer.New(consumer.Config{
		Role: topology.RoleMatch, Lane: lane, Names: names, Topics: names.Reads(topology.RoleMatch, lane),
		Publisher: w.Publisher, Brokers: w.Link.Brokers, Transport: transport,
		Log: zerolog.Nop(), FetchWait: 100 * time.Millisecond, SessionTimeout: 6 * time.Second,
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- loop.Run(ctx) }()
	leave = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
		transport.CloseIdleConnections()
	})
	w.t.Cleanup(leave)
	return leave
}

// TestStrangeMembers: a member is one, whatever it says when it joins.
func TestStrangeMembers(t *testing.T) {
	w := newWorld(t)
	group := wire.Group{Name: names.Group(topology.RoleMatch, lane), Addr: w.Link.Addr(), Transport: w.Transport}
	says := []byte("\x00\x03\x7f\xff\xff\xffwhat is not known yet")
	ctx := fixtures.Soon(t)
	joined, err := group.Join(ctx, "", time.Minute, time.Minute, says)
	if errors.Is(err, kafka.MemberIDRequired) {
		joined, err = group.Join(ctx, joined.Member, time.Minute, time.Minute, says)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := group.Sync(ctx, joined.Membership, map[string][]byte{joined.Member: says}); err != nil {
		t.Fatal(err)
	}
	if got := w.group(topology.RoleMatch); got.Members != 1 {
		t.Errorf("%d members", got.Members)
	}
	if err := group.Leave(ctx, joined.Member); err != nil {
		t.Error(err)
	}
}

func TestAnEmptyInstallation(t *testing.T) {
	w := newWorld(t)
	report := w.measure(topology.Roles()...)
	want := 0
	for _, role := range topology.Roles() {
		if role == topology.RoleDeliver {
			want += 2 // channels
		} else {
			want++
		}
	}
	if len(report.Groups) != want || report.Brokers != 1 || report.UnderReplicated != 0 || report.Offline != 0 {
		t.Errorf("%d groups of %d; the cluster is %+v", len(report.Groups), want, report)
	}
	for _, g := range report.Groups {
		if g.Lag() != 0 || !g.Oldest().IsZero() || g.Members != 0 {
			t.Errorf("%s: lag %d since %v, %d members", g.Name, g.Lag(), g.Oldest(), g.Members)
		}
		if want := partitions * len(names.Reads(g.Role, lane)); len(g.Partitions) != want {
			t.Errorf("%s has %d partitions of %d", g.Name, len(g.Partitions), want)
		}
		for _, p := range g.Partitions {
			if p.Committed != -1 || p.End != 0 {
				t.Errorf("%s: %+v", g.Name, p)
			}
		}
	}
}

// TestATopicThatWasMadeAnew: what was committed of the topic that it was is not done with.
func TestATopicThatWasMadeAnew(t *testing.T) {
	w, events := newWorld(t), names.Events(lane)
	at := time.Now().Add(-time.Hour).Truncate(time.Millisecond)
	w.write(events, 0, at, at, at)
	leave := w.join()
	fixtures.Eventually(t, "all is committed", func() bool { return w.group(topology.RoleMatch).Lag() == 0 })
	leave()
	answer, err := w.Client.DeleteTopics(fixtures.Soon(t), &kafka.DeleteTopicsRequest{Topics: []string{string(events)}})
	if err != nil || answer.Errors[string(events)] != nil {
		t.Fatal(answer, err)
	}
	group := names.Group(topology.RoleMatch, lane)
	old := w.committed(group, events)
	w.CreateTopic(t, events, partitions, nil)
	w.write(events, 0, at, at)
	if _, err := w.Client.OffsetCommit(fixtures.Soon(t), old); err != nil {
		t.Fatal(err)
	}
	if g := w.group(topology.RoleMatch); g.Lag() != 2 || !g.Oldest().Equal(at) {
		t.Errorf("lag %d since %v, want 2 since %v", g.Lag(), g.Oldest(), at)
	}
}

// committed is a request that commits again what is committed.
func (w *world) committed(group string, topic topology.Topic) *kafka.OffsetCommitRequest {
	w.t.Helper()
	is, err := w.Client.OffsetFetch(fixtures.Soon(w.t), &kafka.OffsetFetchRequest{
		GroupID: group, Topics: map[string][]int{string(topic): {0, 1}}})
	if err != nil {
		w.t.Fatal(err)
	}
	again := &kafka.OffsetCommitRequest{GroupID: group, GenerationID: -1, Topics: map[string][]kafka.OffsetCommit{}}
	for _, p := range is.Topics[string(topic)] {
		if p.CommittedOffset >= 0 {
			again.Topics[string(topic)] = append(again.Topics[string(topic)],
				kafka.OffsetCommit{Partition: p.Partition, Offset: p.CommittedOffset, Metadata: p.Metadata})
		}
	}
	return again
}

// TestLagAndOldest: what is committed counts no longer, and the age is that of the first record that does.
func TestLagAndOldest(t *testing.T) {
	w := newWorld(t)
	events := names.Events(lane)
	start := time.Now().Add(-time.Hour).Truncate(time.Millisecond)
	at := func(minutes int) time.Time { return start.Add(time.Duration(minutes) * time.Minute) }
	w.write(events, 0, at(0), at(1), at(2))
	w.write(events, 1, at(3))
	group := names.Group(topology.RoleMatch, lane)
	for _, step := range []struct {
		what      string
		partition int
		commit    int64
		lag       int64
		oldest    time.Time
	}{
		{"nothing is committed", 0, 0, 4, at(0)},
		{"a part is", 0, 2, 2, at(2)},
		{"a partition is done", 0, 3, 1, at(3)},
		{"all are", 1, 1, 0, time.Time{}},
	} {
		if step.commit > 0 {
			w.commit(group, events, step.partition, step.commit)
		}
		g := w.group(topology.RoleMatch)
		if g.Lag() != step.lag || !g.Oldest().Equal(step.oldest) {
			t.Errorf("%s: %d behind since %v; want %d since %v", step.what, g.Lag(), g.Oldest(), step.lag, step.oldest)
		}
	}
}

// TestTimesOfWrongClocks: the age is that of the first record whose time can be true; no such time makes one up.
func TestTimesOfWrongClocks(t *testing.T) {
	wrong := []time.Time{time.UnixMilli(-1), time.UnixMilli(1e9), time.Now().Add(time.Hour),
		time.UnixMilli(time.Now().Unix()), time.UnixMilli(time.Now().UnixMicro()), time.UnixMilli(time.Now().UnixNano()),
		time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)}
	at := time.Now().Add(-time.Hour).Truncate(time.Millisecond)
	for _, test := range []struct {
		written []time.Time
		oldest  time.Time
	}{{wrong, time.Time{}}, {append(wrong, at, time.Now()), at}} {
		w := newWorld(t)
		w.write(names.Events(lane), 0, test.written...)
		if g := w.group(topology.RoleMatch); g.Lag() != int64(len(test.written)) || !g.Oldest().Equal(test.oldest) {
			t.Errorf("%d behind since %v, want %d since %v", g.Lag(), g.Oldest(), len(test.written), test.oldest)
		}
	}
}

// TestNoTrueTimeForLong: not all that there is is read for a time that can be true.
func TestNoTrueTimeForLong(t *testing.T) {
	w := newWorld(t)
	for _, at := range append(slices.Repeat([]time.Time{time.UnixMilli(1e9)}, 40), time.Now()) {
		w.Publish(t, names.Events(lane), 0, topology.Record{Time: at, Value: make([]byte, 20<<10)})
	}
	var asked atomic.Int64
	w.Cluster.ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		w.Cluster.KeepControl()
		asked.Add(1)
		return nil, nil, false
	})
	if g := w.group(topology.RoleMatch); g.Lag() != 41 || !g.Oldest().IsZero() || asked.Load() > 20 {
		t.Errorf("%d behind since %v, by %d fetches", g.Lag(), g.Oldest(), asked.Load())
	}
}

// TestEachChannelHasItsOwn: deliverers of all channels read the same jobs, each up to where it is.
func TestEachChannelHasItsOwn(t *testing.T) {
	w := newWorld(t)
	jobs := names.Jobs(lane)
	w.write(jobs, 0, time.Now().Add(-time.Minute))
	w.commit(names.DeliverGroup(lane, topology.SMS), jobs, 0, 1)
	report := w.measure(topology.RoleDeliver)
	if len(report.Groups) != 2 {
		t.Fatalf("%d groups", len(report.Groups))
	}
	for _, g := range report.Groups {
		want := int64(1)
		if g.Channel == topology.SMS {
			want = 0
		}
		if g.Lag() != want {
			t.Errorf("%s is %d behind; want %d", g.Name, g.Lag(), want)
		}
	}
}

// TestMembers: a group is measured with and without processes.
func TestMembers(t *testing.T) {
	w := newWorld(t)
	members := func(n int) func() bool {
		return func() bool { return w.group(topology.RoleMatch).Members == n }
	}
	first, second := w.join(), w.join()
	fixtures.Eventually(t, "two members", members(2))
	first()
	fixtures.Eventually(t, "one member", members(1))
	second()
	fixtures.Eventually(t, "no member", members(0))
}

// TestDelayTopics: what waits there counts as lag, and is old only from when it is due; what is paused waits for an
// operator, and is never old.
func TestDelayTopics(t *testing.T) {
	now := time.Now().Truncate(time.Millisecond)
	tiers := topology.Tiers()
	tier, written := tiers[0], now.Add(-time.Hour)
	large := topology.Record{Topic: names.Jobs(lane), Value: make([]byte, 2<<20)} // unpacked
	for _, c := range []struct {
		what   string
		topic  topology.Topic
		record topology.Record
		oldest time.Time
	}{
		{
			"due later", names.Delay(lane, tier),
			names.Delayed(lane, topology.Record{Topic: names.Jobs(lane), Time: written}, now.Add(time.Hour), written),
			time.Time{},
		},
		{
			"due a minute ago", names.Delay(lane, tier),
			names.Delayed(lane, topology.Record{Topic: names.Jobs(lane), Time: written}, now.Add(-time.Minute), written),
			now.Add(-time.Minute),
		},
		{
			"large, not due yet", names.Delay(lane, tiers[6]),
			names.Delayed(lane, large, now.Add(time.Hour), written), time.Time{},
		},
		{
			"large, and due by now", names.Delay(lane, tiers[4]),
			names.Delayed(lane, large, now.Add(time.Hour), written), written.Add(tiers[4].Wait),
		},
		{
			"without a time", names.Delay(lane, tier),
			topology.Record{Time: written}, written,
		},
		{
			"paused", names.Paused(lane),
			names.Pausing(lane, topology.Record{Topic: names.Jobs(lane), Time: written}, "", nil), time.Time{},
		},
	} {
		t.Run(c.what, func(t *testing.T) {
			w := newWorld(t)
			c.record.Time, w.Publisher.Compression = written, kafka.Zstd
			w.Publish(t, c.topic, 0, c.record)
			g := w.group(topology.RoleDelay)
			if g.Lag() != 1 || !g.Oldest().Equal(c.oldest) {
				t.Errorf("%d behind since %v; want 1 since %v", g.Lag(), g.Oldest(), c.oldest)
			}
		})
	}
}

// TestWhatUpstreamCallsDue is as old as any other event.
func TestWhatUpstreamCallsDue(t *testing.T) {
	at := time.Now().Add(-time.Hour).Truncate(time.Millisecond)
	for _, due := range []string{"2099-01-01T00:00:00Z", "1970-01-01T00:00:00Z"} {
		w := newWorld(t)
		w.Publish(t, names.Events(lane), 0, topology.Record{Time: at, Value: []byte("{}"),
			Headers: []topology.Header{{Key: topology.HeaderDue, Value: []byte(due)}}})
		if oldest := w.group(topology.RoleMatch).Oldest(); !oldest.Equal(at) {
			t.Errorf("due %s: old since %v, want %v", due, oldest, at)
		}
	}
}

// TestAborted: what is of no transaction that was committed waits for nobody.
func TestAborted(t *testing.T) {
	w := newWorld(t)
	client, err := kgo.NewClient(kgo.SeedBrokers(w.Link.Brokers...), kgo.TransactionalID("upstream"),
		kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	at, ctx := time.Now().Add(-time.Hour).Truncate(time.Millisecond), fixtures.Soon(t)
	if err := client.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	record := &kgo.Record{Topic: string(names.Events(lane)), Timestamp: at}
	if err := client.ProduceSync(ctx, record).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if err := client.EndTransaction(ctx, kgo.TryAbort); err != nil {
		t.Fatal(err)
	}
	w.write(names.Events(lane), 0, at.Add(time.Minute))
	if g := w.group(topology.RoleMatch); g.Lag() != 3 || !g.Oldest().Equal(at.Add(time.Minute)) {
		t.Errorf("%d behind since %v, want 3 since %v", g.Lag(), g.Oldest(), at.Add(time.Minute))
	}
}

// TestATopicOfUnknownID: a commit may be of another topic of that name, so that the group is not measured by it.
func TestATopicOfUnknownID(t *testing.T) {
	w := newWorld(t)
	w.Cluster.ControlKey(int16(kmsg.Metadata), func(request kmsg.Request) (kmsg.Response, error, bool) {
		w.Cluster.KeepControl()
		return nil, errors.New("away"), request.GetVersion() >= 12 // which is how ids are asked for
	})
	transport := w.Link.Transport()
	defer transport.CloseIdleConnections()
	gauge := lag.Gauge{Addr: w.Link.Addr(), Transport: transport, Names: names, Lanes: []topology.Lane{lane},
		Roles: []topology.Role{topology.RoleMatch}}
	report, err := gauge.Measure(fixtures.Soon(t))
	if err != nil || report.Groups[0].Err == nil {
		t.Errorf("%+v, %v: want the group's own error", report, err)
	}
}

// TestAnIDThatIsNotKnownYet is asked for again, as all else that a cluster does not know while it settles.
func TestAnIDThatIsNotKnownYet(t *testing.T) {
	w := newWorld(t)
	w.write(names.Events(lane), 0, time.Now())
	var asked atomic.Int64
	w.Cluster.ControlKey(int16(kmsg.Metadata), func(request kmsg.Request) (kmsg.Response, error, bool) {
		w.Cluster.KeepControl()
		if request.GetVersion() < 12 || asked.Add(1) > 2 {
			return nil, nil, false
		}
		response := request.ResponseKind().(*kmsg.MetadataResponse)
		topic := kmsg.NewMetadataResponseTopic()
		topic.Topic, topic.ErrorCode = request.(*kmsg.MetadataRequest).Topics[0].Topic, int16(kafka.LeaderNotAvailable)
		response.Topics = append(response.Topics, topic)
		return response, nil, true
	})
	if g := w.group(topology.RoleMatch); g.Lag() != 1 || asked.Load() < 3 {
		t.Errorf("%d behind, asked %d times", g.Lag(), asked.Load())
	}
}

// TestRetention: what the broker has deleted cannot be worked off, and is no lag.
func TestRetention(t *testing.T) {
	w := newWorld(t)
	events := names.Events(lane)
	w.write(events, 0, time.Now(), time.Now(), time.Now())
	w.commit(names.Group(topology.RoleMatch, lane), events, 0, 1)
	if err := w.Cluster.DeleteRecords(string(events), 0, 2); err != nil {
		t.Fatal(err)
	}
	if g := w.group(topology.RoleMatch); g.Lag() != 1 {
		t.Errorf("%d behind; want the one record that is left", g.Lag())
	}
}

// TestPartitionsWithoutLeader: they are counted, and the report is of those that can be asked.
func TestPartitionsWithoutLeader(t *testing.T) {
	w := newWorld(t)
	w.write(names.Events(lane), 0, time.Now())
	heal := w.LoseLeaders(t)
	report := w.measure(topology.RoleMatch)
	want := partitions * len(names.Reads(topology.RoleMatch, lane))
	if report.Offline != want || len(report.Groups[0].Partitions) != 0 {
		t.Errorf("%d offline, %d measured; want %d and none", report.Offline, len(report.Groups[0].Partitions), want)
	}
	heal()
	report = w.measure(topology.RoleMatch)
	if report.Offline != 0 || report.Groups[0].Lag() != 1 {
		t.Errorf("healed: %d offline, %d behind", report.Offline, report.Groups[0].Lag())
	}
}

// TestTheOldestUnderAQuota: an answer that brings nothing because a quota is used up is no answer.
func TestTheOldestUnderAQuota(t *testing.T) {
	w := newWorld(t)
	topic, at := names.Events(lane), time.Now().Add(-time.Minute).Truncate(time.Millisecond)
	w.write(topic, 0, at)
	var asked atomic.Int64
	w.Cluster.ControlKey(int16(kmsg.Fetch), func(request kmsg.Request) (kmsg.Response, error, bool) {
		w.Cluster.KeepControl()
		response := request.ResponseKind().(*kmsg.FetchResponse)
		response.ThrottleMillis = 50
		return response, nil, asked.Add(1) == 1
	})
	if oldest := w.group(topology.RoleMatch).Oldest(); !oldest.Equal(at) {
		t.Errorf("the oldest is of %v, want %v", oldest, at)
	}
}

// TestTheOldestIsLarge: what unpacks to much is as old as its batch says, and is not unpacked for that.
func TestTheOldestIsLarge(t *testing.T) {
	w := newWorld(t)
	topic, at := names.Events(lane), time.Now().Add(-time.Minute).Truncate(time.Millisecond)
	w.Publisher.Compression = kafka.Zstd
	for _, size := range []int{25 << 20, 40 << 20} { // what roles read of it, and what they do not
		w.Publish(t, topic, 0, topology.Record{Value: make([]byte, size), Time: at})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if oldest := w.group(topology.RoleMatch).Oldest(); !oldest.Equal(at) {
			t.Errorf("the oldest is of %v, want %v", oldest, at)
		}
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 20<<20 {
			t.Errorf("%d MB were taken to know that", took>>20)
		}
	}
	w.commit(names.Group(topology.RoleMatch, lane), topic, 0, 2)
	w.write(topic, 0, at.Add(time.Second))
	if oldest := w.group(topology.RoleMatch).Oldest(); !oldest.Equal(at.Add(time.Second)) {
		t.Errorf("behind it the oldest is of %v, want %v", oldest, at.Add(time.Second))
	}
}
