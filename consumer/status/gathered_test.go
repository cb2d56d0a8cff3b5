package status

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/meddela/meddela/topology"
)

// scribe is a Redis that takes its time, and tells what is written.
type scribe struct {
	took    time.Duration
	err     error
	mu      sync.Mutex
	began   time.Time
	written []string
}

func (s *scribe) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (s *scribe) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (s *scribe) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, c := range commands {
			args := c.Args()
			n := args[2].(int)
			fields := (len(args) - 4 - n) / n
			for k := range n {
				id, status := strings.TrimPrefix(*args[3+k].(*string), "event:"), *args[4+n+k*fields+8].(*string)
				s.written = append(s.written, fmt.Sprintf("%s %s %v", id, status, time.Since(s.began)))
			}
			c.(*redis.Cmd).SetVal(make([]any, n))
			c.SetErr(s.err)
		}
		time.Sleep(s.took)
		return s.err
	}
}

// folds counts what is folded.
type folds struct{ events, folded int }

func (f *folds) Changed(*topology.State) {}
func (f *folds) Written(events, folded int, _ time.Duration, _ error) {
	f.events, f.folded = f.events+events, f.folded+folded
}

// TestHolding: at rest all is written at once; under load what is not final waits
// for what becomes of its event, and not for long.
func TestHolding(t *testing.T) {
	const ms = time.Millisecond
	type write struct {
		at     time.Duration
		event  topology.EventID
		status topology.Status
		ends   time.Duration
	}
	away := errors.New("away")
	for name, test := range map[string]struct {
		load    bool
		err     error
		writes  []write
		written []string
		folded  int
	}{
		"at rest": {false, nil, []write{{0, "a", topology.Pending, 0}, {10 * ms, "a", topology.Sent, 10 * ms}},
			[]string{"a pending 0s", "a sent 10ms"}, 0},
		"under load": {true, nil, []write{{0, "a", topology.Pending, 20 * ms}, {5 * ms, "b", topology.Pending, 105 * ms},
			{10 * ms, "a", topology.PendingDelivery, 20 * ms}, {20 * ms, "a", topology.Sent, 20 * ms},
			{50 * ms, "b", topology.PendingDelivery, 105 * ms}, {110 * ms, "b", topology.Ignored, 110 * ms}},
			[]string{"a sent 20ms", "b pending_delivery 105ms", "b ignored 110ms"}, 3},
		"final first": {true, nil, []write{{0, "a", topology.Sent, 0}, {10 * ms, "a", topology.Pending, 110 * ms}},
			[]string{"a sent 0s", "a pending 110ms"}, 0},
		"away": {true, away, []write{{0, "a", topology.Pending, 20 * ms}, {20 * ms, "a", topology.Sent, 20 * ms}},
			[]string{"a sent 20ms"}, 1},
		"stopped": {true, nil, []write{{0, "stopped", topology.Pending, 50 * ms}}, []string{"stopped pending 50ms"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			client := redis.NewClient(&redis.Options{})
			defer func() { _ = client.Close() }()
			redisServer, counted := &scribe{err: test.err}, &folds{}
			client.AddHook(redisServer)
			synctest.Test(t, func(t *testing.T) {
				store := Store{Client: client, Meter: counted}
				redisServer.began = time.Now()
				if test.load {
					store.gathered.since, store.gathered.came = time.Now(), load
				}
				var all sync.WaitGroup
				for _, w := range test.writes {
					all.Go(func() {
						ctx, cancel := context.WithCancel(t.Context())
						defer cancel()
						if w.event == "stopped" {
							time.AfterFunc(w.ends, cancel)
						}
						time.Sleep(w.at)
						err := store.Write(ctx, []topology.State{stateOf(said(w.event, 1, w.status, 1))})
						if ends := time.Since(redisServer.began); !errors.Is(err, test.err) || ends != w.ends {
							t.Errorf("%s of %s: %v after %v, want %v", w.status, w.event, err, ends, w.ends)
						}
					})
				}
				all.Wait()
			})
			if !slices.Equal(redisServer.written, test.written) {
				t.Errorf("written %v, want %v", redisServer.written, test.written)
			}
			if counted.folded != test.folded || counted.events != len(test.written) {
				t.Errorf("%d events with %d states folded", counted.events, counted.folded)
			}
		})
	}
}
