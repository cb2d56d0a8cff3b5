package suppress_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/meddela/meddela/consumer/deliver/recipient/suppress"
	"github.com/meddela/meddela/consumer/position"
	"github.com/meddela/meddela/topology"
)

// TestOutage: without Redis there are no answers, so that nothing is sent which
// must not be; with it again they are as before.
func TestOutage(t *testing.T) {
	server := miniredis.RunT(t)
	s := store{
		t: t, topic: newTopic(), kept: new(sync.Map),
		client: redis.NewClient(&redis.Options{Addr: server.Addr(), MaxRetries: -1, DialerRetries: 1,
			ContextTimeoutEnabled: true}),
		keys: topology.Keys{Prefix: "test:"},
	}
	t.Cleanup(func() { _ = s.client.Close() })
	mustAdd(t, s.list(), topology.Manual, time.Time{}, emails("kim@example.com")...)
	gate := s.caps(smsCap(1, time.Hour))
	ask := []suppress.Query{{Channel: topology.Email, Address: "kim@example.com"}, sms("a", "112")}
	want := strings.Join(answered(t, gate, ask...), ",")

	for name, fault := range map[string]string{"loading": "LOADING it reads its data",
		"read only": "READONLY it is a replica", "no memory": "OOM it is full"} {
		server.SetError(fault)
		answers, err := check(t.Context(), gate, ask...)
		if answers != nil || err == nil {
			t.Errorf("%s: answers %v, %v", name, answers, err)
		}
		if _, err := s.list().Add(t.Context(), emails("lee@example.com"), topology.Manual, time.Time{}); err == nil {
			t.Errorf("%s: adding succeeds", name)
		}
		if _, err := s.list().Counts(t.Context()); err == nil {
			t.Errorf("%s: there are counts", name)
		}
		server.SetError("")
		if got := strings.Join(answered(t, gate, ask...), ","); got != want {
			t.Errorf("after %s: %s, want %s", name, got, want)
		}
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if answers, err := check(ctx, gate, ask...); answers != nil || err == nil {
		t.Errorf("when the time is over: %v, %v", answers, err)
	}
}

// TestAServerThatForgotTheScripts is given them again.
func TestAServerThatForgotTheScripts(t *testing.T) {
	onServers(t, func(t *testing.T, s store) {
		caps := s.caps(smsCap(1, time.Hour))
		for i, number := range []string{"112", "113"} {
			forget := func(ctx context.Context, node *redis.Client) error { return node.ScriptFlush(ctx).Err() }
			if err := position.EachServer(t.Context(), s.client, forget); err != nil {
				t.Fatal(err)
			}
			if !admit(t, caps, sms("a", number))[0] || admit(t, caps, sms("b", number))[0] {
				t.Errorf("round %d: the cap is not kept", i)
			}
		}
	})
}
