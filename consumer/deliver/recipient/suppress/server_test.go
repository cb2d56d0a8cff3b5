package suppress_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/meddela/meddela/consumer/deliver/recipient/suppress"
	"github.com/meddela/meddela/topology"
)

// store is a Redis, and keys in it that no other test has.
type store struct {
	client redis.UniversalClient
	keys   topology.Keys
}

var testRun atomic.Int64

// onServers runs a test against the embedded store, and also against the real
// one when MEDDELA_TEST_REDIS says where it is: an address, or those of a
// cluster.
func onServers(t *testing.T, test func(*testing.T, store)) {
	t.Run("embedded", func(t *testing.T) { test(t, storeAt(t, miniredis.RunT(t).Addr())) })
	if addresses := os.Getenv("MEDDELA_TEST_REDIS"); addresses != "" {
		t.Run("real", func(t *testing.T) { test(t, storeAt(t, addresses)) })
	}
}

func storeAt(t testing.TB, addresses string) store {
	s := store{
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
	var err error
	switch client := s.client.(type) {
	case *redis.Client:
		err = list(context.Background(), client)
	case *redis.ClusterClient:
		err = client.ForEachMaster(context.Background(), list)
	}
	if err != nil {
		t.Error(err)
	}
	return all
}

func (s store) list() *suppress.List {
	return &suppress.List{Client: s.client, Keys: s.keys, Hasher: suppress.NewHasher("pepper")}
}

func (s store) caps(of map[topology.Channel]suppress.Cap) *suppress.Gate {
	return &suppress.Gate{List: s.list(), Caps: of}
}

func gateOf(l *suppress.List) *suppress.Gate { return &suppress.Gate{List: l} }

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
