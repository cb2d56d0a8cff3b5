package script

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/meddela/meddela/topology"
)

// server answers 1 for each key, and notes what it is called with.
type server struct{ calls [][]any }

func (s *server) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (s *server) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (s *server) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(_ context.Context, commands []redis.Cmder) error {
		for _, c := range commands {
			args := slices.Clone(c.Args()) // what they point to is forgotten after the run
			for i, arg := range args {
				switch arg := arg.(type) {
				case *string:
					args[i] = *arg
				case *int64:
					args[i] = *arg
				}
			}
			s.calls = append(s.calls, args)
			answers := make([]any, c.Args()[2].(int))
			for i := range answers {
				answers[i] = int64(1)
			}
			c.(*redis.Cmd).SetVal(answers)
		}
		return nil
	}
}

func (s *server) client(cluster bool) redis.UniversalClient {
	var client redis.UniversalClient = redis.NewClient(&redis.Options{})
	if cluster {
		client = redis.NewClusterClient(&redis.ClusterOptions{})
	}
	client.AddHook(s)
	return client
}

// TestCalls: each item is in one call, no call is too large, and on a cluster
// the keys of a call are of one hash slot.
func TestCalls(t *testing.T) {
	servers := map[bool]*server{false: {}, true: {}}
	clients := map[bool]redis.UniversalClient{}
	for cluster, s := range servers {
		clients[cluster] = s.client(cluster)
		defer func() { _ = clients[cluster].Close() }()
	}
	script := New("return {}")
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfN(rapid.StringMatching(`[a-c]{1,2}`), 1, 40).Draw(t, "names")
		prefix := rapid.SampledFrom([]string{"", "meddela:", "{one}:"}).Draw(t, "prefix")
		most := rapid.IntRange(0, 10).Draw(t, "most")
		cluster := rapid.Bool().Draw(t, "cluster")
		s, answered := servers[cluster], make([]int, len(names))
		s.calls = nil
		err := script.Run(context.Background(), clients[cluster], &Batch{
			N: len(names), Head: []any{"head"}, PerCall: most,
			Key:    func(b []byte, i int) []byte { return append(append(b, prefix...), names[i]...) },
			Args:   func(a *Args, i int) { a.Add(a.Int(int64(i)), names[i]) },
			Answer: func(i int, _ any) { answered[i]++ },
		})
		if err != nil {
			t.Fatal(err)
		}
		seen := make([]int, len(names))
		for _, args := range s.calls {
			n := args[2].(int)
			keys, head, rest := args[3:3+n], args[3+n], args[4+n:]
			if n == 0 || most > 0 && n > most || head != "head" || len(rest) != 2*n {
				t.Fatalf("a call %v of at most %d keys", args, most)
			}
			for k := range n {
				i, name, key := rest[2*k].(int64), rest[2*k+1], keys[k].(string)
				seen[i]++
				if name != names[i] || key != prefix+names[i] {
					t.Fatalf("item %d is %q with the key %q, want %q", i, name, key, names[i])
				}
				if first := keys[0].(string); cluster && topology.SlotOf(key) != topology.SlotOf(first) {
					t.Fatalf("%q and %q in one call", first, key)
				}
			}
		}
		if other := func(n int) bool { return n != 1 }; slices.ContainsFunc(seen, other) ||
			slices.ContainsFunc(answered, other) {
			t.Fatalf("items are in %v calls, and answered %v times", seen, answered)
		}
	})
}

// TestRun on a server that does not know the script, with more than one trip.
func TestRun(t *testing.T) {
	redisServer := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: redisServer.Addr()})
	t.Cleanup(func() { _ = client.Close() })
	echo := New("local answers = {} for i = 1, #KEYS do answers[i] = KEYS[i] .. ARGV[1] .. ARGV[i + 1] end return answers")
	const n = 2*perTrip + 1
	run := func() []any {
		got := make([]any, n)
		err := echo.Run(t.Context(), client, &Batch{
			N: n, Head: []any{"="}, PerCall: 100,
			Key:    func(b []byte, i int) []byte { return strconv.AppendInt(b, int64(i), 10) },
			Args:   func(a *Args, i int) { a.Add(a.Int(int64(i))) },
			Answer: func(i int, answer any) { got[i] = answer },
		})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	for range 2 {
		for i, answer := range run() {
			if want := fmt.Sprintf("%d=%d", i, i); answer != want {
				t.Fatalf("item %d is answered %v, want %s", i, answer, want)
			}
		}
	}
	batch := &Batch{N: 3, Key: func(b []byte, i int) []byte { return append(b, 'k') },
		Answer: func(int, any) { t.Error("an answer") }}
	if err := New("return {1}").Run(t.Context(), client, batch); !errors.Is(err, errAnswer) {
		t.Errorf("too few answers: %v", err)
	}
	redisServer.SetError("LOADING")
	if err := echo.Run(t.Context(), client, batch); err == nil {
		t.Error("no error of a server that is away")
	}
}

// slow is a Redis that echoes keys after 10 ms, and notes its pipelines.
type slow struct {
	mu    sync.Mutex
	trips [][]string // the first keys of calls
}

func (s *slow) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (s *slow) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (s *slow) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		var trip []string
		for _, c := range commands {
			trip = append(trip, *c.Args()[3].(*string))
		}
		s.mu.Lock()
		s.trips = append(s.trips, trip)
		s.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Millisecond):
		}
		for i, c := range commands {
			c.(*redis.Cmd).SetVal([]any{trip[i]})
			c.SetErr(ctx.Err())
		}
		return ctx.Err()
	}
}

// TestShared: what is asked for while two pipelines are under way goes together in
// the next, whatever the script; who does not want it any more stops no other.
func TestShared(t *testing.T) {
	client := redis.NewClient(&redis.Options{})
	defer func() { _ = client.Close() }()
	s := new(slow)
	client.AddHook(s)
	scripts := []*Script{New("return {KEYS[1]}"), New("return KEYS")}
	synctest.Test(t, func(t *testing.T) {
		start := func(ctx context.Context, i int) func() error {
			key := strconv.Itoa(i)
			return scripts[i%2].Start(ctx, client, &Batch{
				N: 1, Key: func(b []byte, _ int) []byte { return append(b, key...) },
				Answer: func(_ int, answer any) {
					if answer != key {
						t.Errorf("%s is answered %v", key, answer)
					}
				},
			})
		}
		var all sync.WaitGroup
		for i := range 6 {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				if i == 3 {
					ctx, cancel = context.WithTimeout(ctx, 12*time.Millisecond)
				}
				defer cancel()
				time.Sleep(time.Duration(i) * time.Millisecond)
				if err := start(ctx, i)(); err != nil {
					t.Error(i, err)
				}
			})
		}
		all.Wait()
		if want := [][]string{{"0"}, {"1"}, {"2", "3", "4", "5"}}; fmt.Sprint(s.trips) != fmt.Sprint(want) {
			t.Errorf("trips %v, want %v", s.trips, want)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		defer cancel()
		a, b := start(ctx, 6), start(ctx, 7)
		began := time.Now()
		if err := errors.Join(a(), b()); err == nil || time.Since(began) != 5*time.Millisecond {
			t.Errorf("when nobody wants it any more: %v after %v", err, time.Since(began))
		}
		if want := [][]string{{"6", "7"}}; fmt.Sprint(s.trips[3:]) != fmt.Sprint(want) {
			t.Errorf("trips %v of what one goroutine started, want %v", s.trips[3:], want)
		}
	})
}

// moving is a cluster whose slot is on its way to another server: keys that are on
// both can be asked for only one by one.
type moving struct{ server }

func (m *moving) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	answers := m.server.ProcessPipelineHook(next)
	return func(ctx context.Context, commands []redis.Cmder) error {
		err := answers(ctx, commands)
		for _, c := range commands {
			if c.Args()[2].(int) > 1 {
				c.SetErr(answered("TRYAGAIN Multiple keys request during rehashing of slot"))
			}
		}
		return err
	}
}

// answered is an error that a server answers.
type answered string

func (a answered) Error() string { return string(a) }
func (a answered) RedisError()   {}

// TestAMovingSlot holds up nothing: its keys are asked for one by one.
func TestAMovingSlot(t *testing.T) {
	client := redis.NewClusterClient(&redis.ClusterOptions{})
	defer func() { _ = client.Close() }()
	m := new(moving)
	client.AddHook(m)
	names, answers := []string{"{a}1", "{b}1", "{a}2", "{a}3"}, make([]int, 4)
	err := New("return {}").Run(t.Context(), client, &Batch{
		N: len(names), Head: []any{"head"},
		Key:    func(b []byte, i int) []byte { return append(b, names[i]...) },
		Args:   func(a *Args, i int) { a.Add(names[i]) },
		Answer: func(i int, _ any) { answers[i]++ },
	})
	if want := []int{1, 1, 1, 1}; err != nil || !slices.Equal(answers, want) {
		t.Errorf("answered %v, %v", answers, err)
	}
	for _, args := range m.calls {
		if args[2] == 1 && args[3] != args[5] {
			t.Errorf("a key with another's arguments: %v", args)
		}
	}
}

// copying answers that so many replicas have what was written.
type copying struct{ replicas int64 }

func (c *copying) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (c *copying) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (c *copying) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(_ context.Context, commands []redis.Cmder) error {
		for _, command := range commands {
			switch command := command.(type) {
			case *redis.Cmd:
				command.SetVal([]any{int64(1)})
			case *redis.IntCmd:
				command.SetVal(c.replicas)
			}
		}
		return nil
	}
}

// TestCopies: a run that is to be on replicas has failed when it is on too few, and no
// other beside it has.
func TestCopies(t *testing.T) {
	client := redis.NewClient(&redis.Options{})
	defer func() { _ = client.Close() }()
	client.AddHook(&copying{replicas: 1})
	start := func(copies int) func() error {
		return New("return {1}").Start(t.Context(), client, &Batch{
			N: 1, Copies: copies, Key: func(b []byte, _ int) []byte { return append(b, 'k') }, Answer: func(int, any) {},
		})
	}
	none, one, two := start(0), start(1), start(2)
	if err := errors.Join(none(), one()); err != nil {
		t.Error(err)
	}
	if err := two(); !errors.Is(err, errCopies) {
		t.Errorf("on one of two replicas: %v", err)
	}
}
