package suppress_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/meddela/meddela/consumer/deliver/recipient/suppress"
	"github.com/meddela/meddela/consumer/position"
	"github.com/meddela/meddela/test/fixtures"
	"github.com/meddela/meddela/topology"
)

// store is a Redis, keys in it that no other test has, and a topic.
type store struct {
	t      testing.TB
	client redis.UniversalClient
	keys   topology.Keys
	topic  *topic
	kept   *sync.Map // the list whose copy is kept, by nothing
}

// topic is one in memory.
type topic struct {
	mu      sync.Mutex
	first   int64
	next    int64
	records []topology.Record
	moved   chan struct{}
	away    error
}

func newTopic() *topic { return &topic{moved: make(chan struct{})} }

func (m *topic) Bounds(context.Context) (first, end int64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.first, m.next, m.away
}

func (m *topic) Fetch(ctx context.Context, from int64) (found []topology.Record, next int64, err error) {
	for {
		m.mu.Lock()
		moved, away := m.moved, m.away
		for _, r := range m.records {
			if r.Offset >= from && len(found) < 3000 {
				found = append(found, r)
			}
		}
		next = m.next
		if len(found) > 0 && found[len(found)-1].Offset+1 < next {
			next = found[len(found)-1].Offset + 1
		}
		beyond := from > m.next
		m.mu.Unlock()
		switch {
		case away != nil:
			return nil, from, away
		case beyond:
			return nil, from, errors.New("there is no such offset")
		case next > from:
			return found, next, nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return nil, from, ctx.Err()
		case <-time.After(200 * time.Millisecond):
			return nil, from, nil
		}
	}
}

func (m *topic) publish(_ context.Context, records []topology.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away != nil {
		return m.away
	}
	for _, r := range records {
		r.Offset = m.next
		m.records, m.next = append(m.records, r), m.next+1
	}
	m.wake()
	return nil
}

func (m *topic) wake() {
	close(m.moved)
	m.moved = make(chan struct{})
}

// compact keeps of each key the last record, unless it has no value.
func (m *topic) compact() {
	m.mu.Lock()
	defer m.mu.Unlock()
	last := make(map[string]int64)
	for _, r := range m.records {
		last[string(r.Key)] = r.Offset
	}
	m.records = slices.DeleteFunc(m.records, func(r topology.Record) bool {
		return last[string(r.Key)] != r.Offset || r.Value == nil
	})
}

// replace is what deleting it and making it anew, or losing its end, comes to.
func (m *topic) replace(records []topology.Record) {
	m.mu.Lock()
	m.records, m.next = nil, 0
	m.mu.Unlock()
	_ = m.publish(context.Background(), records)
}

func (m *topic) all() []topology.Record {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.records)
}

func (m *topic) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.away = err
	m.wake()
}

var testRun atomic.Int64

// onServers runs a test with a store at each server.
func onServers(t *testing.T, test func(*testing.T, store)) {
	fixtures.OnServers(t, func(t *testing.T, addresses string) { test(t, storeAt(t, addresses)) })
}

func storeAt(t testing.TB, addresses string) store {
	s := store{
		t: t, topic: newTopic(), kept: new(sync.Map),
		client: redis.NewUniversalClient(&redis.UniversalOptions{Addrs: strings.Split(addresses, ",")}),
		// Its brackets and stars are no pattern.
		keys: topology.Keys{Prefix: fmt.Sprintf("test[*]-%d-%d:", time.Now().UnixNano(), testRun.Add(1))},
	}
	t.Cleanup(func() {
		s.removeAll(t)
		_ = s.client.Close()
	})
	return s
}

// removeAll leaves nothing of a test on a server that others use too.
func (s store) removeAll(t testing.TB) {
	for _, key := range s.allKeys(t) {
		if err := s.client.Unlink(context.Background(), key).Err(); err != nil {
			t.Errorf("%s is left behind: %v", key, err)
		}
	}
}

// allKeys lists what this test has in the store.
func (s store) allKeys(t testing.TB) (all []string) {
	t.Helper()
	var mu sync.Mutex
	list := func(ctx context.Context, node *redis.Client) error {
		found, err := node.Keys(ctx, strings.Replace(s.keys.Prefix, "[*]", `\[\*\]`, 1)+"*").Result()
		mu.Lock()
		defer mu.Unlock()
		all = append(all, found...)
		return err
	}
	if err := position.EachServer(context.Background(), s.client, list); err != nil {
		t.Error(err)
	}
	return all
}

// list is one whose copy is kept, and complete: always the same.
func (s store) list() *suppress.List {
	s.t.Helper()
	if l, ok := s.kept.Load(nil); ok {
		return l.(*suppress.List)
	}
	l := s.another()
	s.kept.Store(nil, l)
	return l
}

// another is one more such list.
func (s store) another() *suppress.List {
	s.t.Helper()
	l := s.idle()
	s.keep(l.Copy)
	if err := l.CatchUp(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	return l
}

// idle is one whose copy is not kept.
func (s store) idle() *suppress.List {
	copied := &suppress.Copy{Client: s.client, Keys: s.keys, Hasher: suppress.NewHasher("pepper"), Source: s.topic,
		Log: zerolog.Nop()}
	return &suppress.List{Copy: copied, Topic: "t", Publish: s.topic.publish}
}

// keep keeps a copy until stop is called.
func (s store) keep(c *suppress.Copy) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { c.Run(ctx) })
	stop = func() { cancel(); running.Wait() }
	s.t.Cleanup(stop)
	return stop
}

func (s store) caps(of map[topology.Channel]suppress.Cap) *suppress.Gate {
	return &suppress.Gate{Copy: s.list().Copy, Caps: of}
}

func gateOf(l *suppress.List) *suppress.Gate { return &suppress.Gate{Copy: l.Copy} }

// check asks the list, and then the caps about what is left.
func check(ctx context.Context, g *suppress.Gate, queries ...suppress.Query) ([]suppress.Answer, error) {
	answers, err := g.Find(ctx, queries)()
	if err != nil {
		return nil, err
	}
	var open []suppress.Query
	var which []int
	for i, a := range answers {
		if a == (suppress.Answer{}) {
			open, which = append(open, queries[i]), append(which, i)
		}
	}
	admitted, err := g.Admit(ctx, open)
	if err != nil {
		return nil, err
	}
	for i, a := range admitted {
		answers[which[i]] = a
	}
	return answers, nil
}
