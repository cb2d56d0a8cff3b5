package position

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"
	"github.com/segmentio/kafka-go"
	"go.uber.org/goleak"

	"github.com/meddela/meddela/consumer/scan"
	"github.com/meddela/meddela/producer/embedded"
	"github.com/meddela/meddela/test/fixtures"
	"github.com/meddela/meddela/topology"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	group      = "test.realtime.status"
	topic      = "test.log"
	partitions = 3
)

// world is a Redis that can lose what it has, and what a group wrote there.
type world struct {
	*Positions
	t      *testing.T
	store  *miniredis.Miniredis
	forgot int
}

func newWorld(t *testing.T) *world {
	store := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: store.Addr()})
	t.Cleanup(func() { _ = client.Close() })
	p := &Positions{Client: client, Keys: topology.Keys{Prefix: "test:"}, Group: group, Log: zerolog.Nop()}
	w := &world{p, t, store, 0}
	p.Forget = func(context.Context) error { w.forgot++; return nil }
	return w
}

// at are offsets of partition 0 and those after it.
func at(offsets ...int64) map[string]map[int]int64 {
	of := map[string]map[int]int64{topic: {}}
	for i, offset := range offsets {
		of[topic][i] = offset
	}
	return of
}

// from is the same as what is committed.
func from(offsets ...int64) assignments {
	of := assignments{}
	for i, offset := range offsets {
		of[topic] = append(of[topic], kafka.PartitionAssignment{ID: i, Offset: offset})
	}
	return of
}

// begin begins a generation, and ends it with the test.
func (w *world) begin(committed ...int64) (note func(reached ...int64)) {
	w.t.Helper()
	noting, end := w.Begin(from(committed...))
	w.t.Cleanup(end)
	return func(reached ...int64) {
		w.t.Helper()
		if err := noting(at(reached...)); err != nil {
			w.t.Fatal(err)
		}
	}
}

// want checks what Redis has of partition 0, and whether a loss was noticed since the last check.
func (w *world) want(what, position string, lost bool) {
	w.t.Helper()
	if got := w.store.HGet(w.Keys.Position(group, 0), topic+"/0"); got != position {
		w.t.Errorf("%s: Redis has %q, want %q", what, got, position)
	}
	if last, _ := w.Lost(); last.IsZero() == lost || lost != (w.forgot > 0) {
		w.t.Errorf("%s: lost at %v, and %d times forgotten, want %v", what, last, w.forgot, lost)
	}
	w.lostAt.Store(0)
	w.forgot = 0
}

// TestNoticed: each way in which Redis may lose something, and what is none.
func TestNoticed(t *testing.T) {
	w := newWorld(t)
	key, field := w.Keys.Position(group, 0), topic+"/0"
	note := w.begin(-2)
	note()
	w.want("before the first commit", "", false)
	note(10)
	w.want("after it", "10", false)
	note()
	w.want("at rest", "10", false)
	w.store.FlushAll()
	note()
	w.want("FLUSHALL at rest", "", true)
	note()
	w.want("which is told once", "10", false)
	w.store.HSet(key, field, "4") // as a replica had it
	note(12)
	w.want("a failover", "4", true)
	note(13)
	w.want("after that", "13", false)

	next := w.begin(13)
	next()
	w.want("another owner", "13", false)
	next(20)
	note(14)
	w.want("a commit of the last owner, which comes late", "20", false)
	w.store.HSet(key, field, "30")
	w.begin(20)()
	w.want("an owner that noted more than it committed, or a topic made again", "20", false)
	w.store.FlushAll()
	w.begin(20)()
	w.want("an empty Redis at the start", "", true)
	w.Keys.Prefix = "other:"
	w.begin(20)()
	if last, _ := w.Lost(); last.IsZero() {
		t.Error("another prefix is not noticed")
	}
}

// TestMissing: what check is told, which changes nothing.
func TestMissing(t *testing.T) {
	w := newWorld(t)
	missing := func(committed ...int64) int64 {
		t.Helper()
		n, err := w.Missing(t.Context(), from(committed...))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	w.begin(-1, -1)(100, 50)
	for _, of := range []struct{ want, got int64 }{
		{0, missing(100, 50)}, {0, missing(90, 50)}, {0, missing(-1, -1, -1)}, {7, missing(107, 50)}, {5, missing(0, 0, 5)},
	} {
		if of.got != of.want {
			t.Errorf("%d are missing, want %d", of.got, of.want)
		}
	}
	w.store.FlushAll()
	if n := missing(100, 50); n != 150 || len(w.store.Keys()) > 0 {
		t.Errorf("after FLUSHALL %d are missing, and there are %v", n, w.store.Keys())
	}
	w.store.SetError("LOADING")
	if _, err := w.Missing(t.Context(), from(1)); err == nil {
		t.Error("no error of a Redis that is away")
	}
}

// TestRedisAway: nothing is committed that is not noted, and a Redis that takes no
// writes is not up.
func TestRedisAway(t *testing.T) {
	w := newWorld(t)
	note, end := w.Begin(from(0))
	defer end()
	if err := w.Probe(t.Context()); err != nil {
		t.Error(err)
	}
	w.store.SetError("OOM command not allowed when used memory > 'maxmemory'.")
	if err := note(at(1)); err == nil {
		t.Error("it is noted in a Redis that takes nothing")
	}
	if err := w.Probe(t.Context()); err == nil {
		t.Error("a Redis that takes nothing is up")
	}
	w.store.SetError("")
	if err := note(nil); err != nil {
		t.Error(err)
	}
	w.want("back again", "1", false)
}

// TestACluster has a position in each sixteenth of its slots.
func TestACluster(t *testing.T) {
	client := redis.NewClusterClient(&redis.ClusterOptions{})
	defer func() { _ = client.Close() }()
	p := Positions{Client: client, Keys: topology.Keys{Prefix: "meddela:"}, Group: "meddela.batch.deliver.email"}
	parts := make(map[uint16]bool)
	for _, key := range p.keys() {
		parts[topology.SlotOf(key)/(slots/spread)] = true
	}
	if len(parts) != spread || len(p.keys()) != spread {
		t.Errorf("%d keys in %d parts: %v", len(p.keys()), len(parts), p.keys())
	}
}

// log is what records said, by partition.
type log struct {
	mu   sync.Mutex
	said map[string]int
}

func (l *log) write(_ context.Context, records []topology.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range records {
		l.said[fmt.Sprintf("%d/%s", r.Partition, r.Value)]++
	}
	return nil
}

func (l *log) took() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.said
	l.said = make(map[string]int)
	return all
}

// TestAnotherServer: what was written since the last note is written again, also where the position is there, and
// nobody is alarmed.
func TestAnotherServer(t *testing.T) {
	w, broker := newWorld(t), fixtures.StartKafka(t, embedded.BrokerConfig{})
	broker.CreateTopic(t, topic, 1, nil)
	for i := range 100 {
		broker.Publish(t, topic, 0, topology.Record{Value: fmt.Append(nil, i)})
	}
	again := &log{said: make(map[string]int)}
	w.Topics, w.Mend = &scan.Topics{Addr: broker.Link.Addr(), Transport: broker.Transport}, again.write
	server := "a"
	w.Servers = func(context.Context) (string, error) { return server, nil }
	note := w.begin(0)
	note(95)
	server = "b"
	note(99)
	fixtures.Eventually(t, "it is written again", func() bool {
		note(99)
		return w.store.HGet(w.Keys.Position(group, 0), topic+"/0") == "99"
	})
	w.want("at the end", "99", false)
	want := map[string]int{"0/95": 1, "0/96": 1, "0/97": 1, "0/98": 1, "0/99": 1}
	if got := again.took(); !maps.Equal(got, want) {
		t.Errorf("%v is written again, want %v", got, want)
	}
}

// TestMended: what was lost is read again from where Redis was, to the end, while new
// records are noted; what is not mended in one generation is in the next.
func TestMended(t *testing.T) {
	w, broker := newWorld(t), fixtures.StartKafka(t, embedded.BrokerConfig{})
	broker.CreateTopic(t, topic, partitions, nil)
	for p := range partitions {
		var records []topology.Record
		for i := range 100 {
			records = append(records, topology.Record{Value: fmt.Append(nil, i)})
		}
		broker.Publish(t, topic, p, records...)
	}
	again := &log{said: make(map[string]int)}
	w.Topics = &scan.Topics{Addr: broker.Link.Addr(), Transport: broker.Transport}
	failing := make(chan struct{})
	var refusing atomic.Bool
	var once sync.Once
	w.Mend = func(ctx context.Context, records []topology.Record) error {
		if refusing.Load() {
			once.Do(func() { close(failing) })
			return errors.New("Redis is away")
		}
		return again.write(ctx, records)
	}
	span := func(first ...int) map[string]int {
		all := make(map[string]int)
		for p, one := range first {
			for i := one; i < 100; i++ {
				all[fmt.Sprintf("%d/%d", p, i)] = 1
			}
		}
		return all
	}
	mended := func(what string, note func(...int64), want map[string]int) {
		t.Helper()
		fixtures.Eventually(t, what, func() bool {
			note()
			_, left := w.Lost()
			return left == 0
		})
		if got := again.took(); !maps.Equal(got, want) {
			t.Errorf("%s: %d records were written again, want %d", what, len(got), len(want))
		}
	}
	note := w.begin(0, 0, 0)
	note(90, 80, 70) // what follows is under way
	w.want("before", "90", false)
	w.store.FlushAll()
	note()
	w.want("FLUSHALL", "", true)
	mended("FLUSHALL", note, span(0, 0, 0))
	w.want("mended", "90", false)

	key := w.Keys.Position(group, 0)
	w.store.HSet(key, topic+"/0", "60")
	w.store.HSet(key, topic+"/1", "79")
	note(95, 90, 90)
	mended("a failover", note, span(60, 79))
	note()
	w.want("mended", "95", true)

	// Redis refuses for a while, and loses more meanwhile; then another owner comes.
	refusing.Store(true)
	w.store.HSet(key, topic+"/0", "50")
	note()
	<-failing
	w.store.HSet(key, topic+"/0", "40")
	note(100)
	w.want("not mended", "40", true)
	if _, left := w.Lost(); left != 60 {
		t.Errorf("%d are left, want 60", left)
	}
	refusing.Store(false)
	mended("by itself", note, span(40))
	w.store.HSet(key, topic+"/0", "30")
	next := w.begin(100, 90, 90)
	next()
	mended("another owner", next, span(30))
}

// TestOnServers: the script on a real Redis or cluster.
func TestOnServers(t *testing.T) {
	addresses := os.Getenv("MEDDELA_TEST_REDIS")
	if addresses == "" {
		t.Skip("MEDDELA_TEST_REDIS is not set")
	}
	client := redis.NewUniversalClient(&redis.UniversalOptions{Addrs: strings.Split(addresses, ",")})
	defer func() { _ = client.Close() }()
	keys := topology.Keys{Prefix: fmt.Sprintf("test-%d:", time.Now().UnixNano())}
	p := &Positions{Client: client, Keys: keys, Group: group, Log: zerolog.Nop()}
	note, end := p.Begin(from(-1, 5))
	defer end()
	noted := func(reached map[string]map[int]int64) {
		t.Helper()
		if err := note(reached); err != nil {
			t.Fatal(err)
		}
	}
	noted(nil) // partition 1 is missing
	noted(at(7, 8))
	missing, err := p.Missing(t.Context(), from(7, 10))
	if last, _ := p.Lost(); err != nil || missing != 2 || last.IsZero() {
		t.Errorf("%d are missing, lost at %v, %v", missing, last, err)
	}
	if err := p.Probe(t.Context()); err != nil {
		t.Error(err)
	}
	of := p.keys()
	if err := client.HDel(t.Context(), of[len(of)-1], topic+"/0").Err(); err != nil { // of one server
		t.Fatal(err)
	}
	p.lostAt.Store(0)
	noted(nil)
	if last, _ := p.Lost(); last.IsZero() {
		t.Error("the loss of one server's data is not noticed")
	}
	for _, key := range of {
		if err := client.Del(t.Context(), key).Err(); err != nil {
			t.Error(err)
		}
	}
}

// TestGivenUp: a partition that is another's now is not noted any more, though what is lost of
// it was just to be mended.
func TestGivenUp(t *testing.T) {
	w := newWorld(t)
	asked, answer := make(chan struct{}), make(chan struct{})
	var once sync.Once
	w.Topics = &scan.Topics{Addr: kafka.TCP("127.0.0.1:1"), Transport: roundTrip(func(ctx context.Context) error {
		once.Do(func() { close(asked) })
		<-answer
		return errors.New("nobody is there")
	})}
	w.Mend = func(context.Context, []topology.Record) error { return nil }
	noting, end := w.Begin(from(10, 10, 10))
	note := func(reached ...int64) {
		if err := noting(at(reached...)); err != nil {
			t.Error(err)
		}
	}
	note(20, 20, 20)
	w.store.FlushAll()
	note()
	<-asked
	note(-1, -1)
	close(answer)
	note(-1, -1, 30)
	end()
	if _, left := w.Lost(); left != 0 {
		t.Errorf("%d offsets are to be mended when all is over", left)
	}
}

// roundTrip is a cluster that does what a function does.
type roundTrip func(context.Context) error

func (f roundTrip) RoundTrip(ctx context.Context, _ net.Addr, _ kafka.Request) (kafka.Response, error) {
	return nil, f(ctx)
}
