package failover

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/topology"
)

var testKeys = topology.Keys{Prefix: "x:"}

// recorder hears what Redis is asked, and may be away.
type recorder struct {
	mu    sync.Mutex
	asked []string
	value string
	away  bool
}

func (r *recorder) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (r *recorder) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (r *recorder) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(_ context.Context, commands []redis.Cmder) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, c := range commands {
			r.asked = append(r.asked, fmt.Sprint(c.Args()[0], " ", c.Args()[1], " ", c.Args()[2]))
			if text, ok := c.Args()[len(c.Args())-1].([]byte); ok {
				r.value = string(text)
			}
		}
		if r.away {
			return context.DeadlineExceeded
		}
		return nil
	}
}

// TestTell: what is wrong is told within seconds, again while it lasts, bounded, and taken back when it is over or the
// process ends. Nothing is asked of Redis while all is well, and that it is away does no harm.
func TestTell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, heard := answering("one"), new(recorder)
		client := redis.NewClient(&redis.Options{})
		client.AddHook(heard)
		defer client.Close()
		o := route(t, nil, one)
		ask := func(verdict provider.Verdict) {
			one.mu.Lock()
			one.answers = []provider.Response{{Verdict: verdict, Detail: strings.Repeat("å", 300)}}
			one.mu.Unlock()
			send(o, "job")
		}
		ctx, end := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			Tell(ctx, client, testKeys, topology.Batch,
				map[topology.Channel]provider.Provider{topology.Email: o, topology.SMS: one})
			close(done)
		}()
		const put, gone = "hset x:provider:trouble:batch email one, pexpire x:provider:trouble:batch 20000",
			"hdel x:provider:trouble:batch email one"
		step := func(what string, wait time.Duration, want string) {
			t.Helper()
			time.Sleep(wait)
			synctest.Wait()
			heard.mu.Lock()
			defer heard.mu.Unlock()
			if got := strings.Join(heard.asked, ", "); got != want {
				t.Errorf("%s: %q, not %q", what, got, want)
			}
			heard.asked = nil
		}
		step("while all is well", time.Hour, "")
		ask(provider.Down)
		step("when it begins", every, put)
		if len(heard.value) > 800 || !strings.Contains(heard.value, `"lane":"batch","channel":"email","provider":"one"`) {
			t.Errorf("%d bytes: %s", len(heard.value), heard.value)
		}
		heard.mu.Lock()
		heard.away = true
		heard.mu.Unlock()
		step("while it lasts, and Redis is away", 2*every, put+", "+put)
		ask(provider.Accepted)
		step("when it is over", every, gone)
		ask(provider.Failed)
		step("when it begins again", every, put)
		end()
		step("when the process ends", 0, gone)
		<-done
	})
}

// TestReadTroubles: those of a process that has died do not count for long, and none harms another.
func TestReadTroubles(t *testing.T) {
	server := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer client.Close()
	now := time.Now()
	for name, told := range map[string]time.Time{"email b": now, "email a": now, "email c": now.Add(-life)} {
		server.HSet(testKeys.ProviderTrouble(topology.Realtime), name,
			fmt.Sprintf(`{"provider":%q,"told_at":%q}`, name, told.Format(time.RFC3339Nano)))
	}
	server.HSet(testKeys.ProviderTrouble(topology.Realtime), "email d", "{")
	all, err := Troubles(t.Context(), client, testKeys, topology.Lanes())
	if err != nil || len(all) != 2 || all[0].Provider != "email a" || all[1].Provider != "email b" {
		t.Errorf("%+v, %v", all, err)
	}
	server.Close()
	if _, err := Troubles(t.Context(), client, testKeys, topology.Lanes()); err == nil {
		t.Error("there is none, says a Redis that is away")
	}
}
