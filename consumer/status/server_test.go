package status

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/meddela/meddela/consumer/position"
	"github.com/meddela/meddela/topology"
)

// server is a Redis to test against.
type server struct {
	name   string
	client redis.UniversalClient
}

// servers are the embedded store and, when MEDDELA_TEST_REDIS says where it
// is, the real one: an address, or those of a cluster.
func servers(t testing.TB) []server {
	embedded := miniredis.RunT(t)
	embedded.SetTime(now) // it keeps expiry times relative to the time
	list := []server{{"embedded", redis.NewClient(&redis.Options{Addr: embedded.Addr()})}}
	if addresses := os.Getenv("MEDDELA_TEST_REDIS"); addresses != "" {
		list = append(list, server{"real",
			redis.NewUniversalClient(&redis.UniversalOptions{Addrs: strings.Split(addresses, ",")})})
	}
	for _, s := range list {
		t.Cleanup(func() { _ = s.client.Close() })
	}
	return list
}

// onServers runs a test against each server, with keys that no other test has.
func onServers(t *testing.T, test func(*testing.T, redis.UniversalClient, topology.Keys)) {
	for _, s := range servers(t) {
		t.Run(s.name, func(t *testing.T) {
			keys := testKeys()
			defer removeKeys(t, s.client, keys)
			test(t, s.client, keys)
		})
	}
}

// removeKeys leaves nothing of a test on a server that others use too.
func removeKeys(t *testing.T, client redis.UniversalClient, keys topology.Keys) {
	remove := func(ctx context.Context, node *redis.Client) error {
		found := node.Scan(ctx, 0, keys.Prefix+"*", 10_000).Iterator()
		pipe := node.Pipeline()
		for found.Next(ctx) {
			pipe.Unlink(ctx, found.Val())
		}
		_, err := pipe.Exec(ctx)
		return errors.Join(found.Err(), err)
	}
	if err := position.EachServer(context.Background(), client, remove); err != nil {
		t.Errorf("keys are left behind: %v", err)
	}
}

var testRun atomic.Int64

// testKeys are keys that no other test has.
func testKeys() topology.Keys {
	return topology.Keys{Prefix: fmt.Sprintf("test-%d-%d:", time.Now().UnixNano(), testRun.Add(1))}
}

// hashOf is the hash that a state must be.
func hashOf(s *topology.State) map[string]string {
	hash := map[string]string{
		topology.FieldStatus:            string(s.Status),
		topology.FieldReason:            string(s.Reason),
		topology.FieldDetail:            s.Detail,
		topology.FieldLane:              string(s.Lane),
		topology.FieldType:              s.Type,
		topology.FieldChannel:           string(s.Channel),
		topology.FieldTemplate:          string(s.Template),
		topology.FieldRedrives:          strconv.Itoa(s.Redrives),
		topology.FieldAttempt:           strconv.Itoa(s.Attempt),
		topology.FieldProvider:          s.Provider,
		topology.FieldProviderMessageID: s.ProviderMessageID,
		topology.FieldSource:            string(s.Source),
		topology.FieldPendingAt:         millis(s.PendingAt),
		topology.FieldPendingDeliveryAt: millis(s.PendingDeliveryAt),
		topology.FieldFinalAt:           millis(s.FinalAt()),
		topology.FieldUpdatedAt:         millis(s.UpdatedAt),
		topology.FieldScheduledAt:       millis(s.Scheduled),
		topology.FieldRank:              string(s.Rank),
	}
	maps.DeleteFunc(hash, func(_, value string) bool { return value == "" })
	return hash
}

func millis(at time.Time) string {
	if at.UnixMilli() <= 0 {
		return ""
	}
	return strconv.FormatInt(at.UnixMilli(), 10)
}

// expiryOf is when the hash of a state must expire, in Unix milliseconds.
func expiryOf(s *topology.State, ttl time.Duration) int64 {
	return max(s.UpdatedAt.UnixMilli(), s.Scheduled.UnixMilli()) + ttl.Milliseconds()
}

// fataler is what *testing.T and *rapid.T have in common.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// mustHold fails unless Redis holds exactly that state, for exactly as long as
// it must.
func mustHold(t fataler, client redis.UniversalClient, keys topology.Keys, want *topology.State, ttl time.Duration) {
	t.Helper()
	ctx, key := context.Background(), keys.Event(want.EventID)
	got, err := client.HGetAll(ctx, key).Result()
	if err != nil {
		t.Fatalf("%v", err)
	}
	if expected := hashOf(want); !maps.Equal(got, expected) {
		t.Fatalf("%s is\n%v, want\n%v", key, got, expected)
	}
	// Not by PExpireTime, whose Duration ends in 2262.
	expiry, err := client.Do(ctx, "pexpiretime", key).Int64()
	if err != nil {
		t.Fatalf("%v", err)
	}
	if expected := expiryOf(want, ttl); expiry != expected {
		t.Fatalf("%s expires at %d, want %d", key, expiry, expected)
	}
}

// foldAll is the fold in Go of entries about one event.
func foldAll(states ...topology.State) topology.State {
	all := topology.State{EventID: states[0].EventID}
	for i := range states {
		all.Merge(&states[i])
	}
	return all
}

func mustWrite(t fataler, s *Store, states ...topology.State) {
	t.Helper()
	if err := s.Write(context.Background(), states); err != nil {
		t.Fatalf("%v", err)
	}
}
