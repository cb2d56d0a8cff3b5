package status

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/meddela/meddela/topology"
)

// stateOf is the state that an entry alone makes.
func stateOf(e topology.Entry) topology.State { return topology.StateOf(&e) }

// TestExpiry is counted from the last change, or from the scheduled time if
// that is later, and changes only with them.
func TestExpiry(t *testing.T) {
	const ttl = 48 * time.Hour
	pending := func(at, scheduled int) topology.State {
		s := stateOf(said("e", 0, topology.Pending, at))
		if scheduled != 0 {
			s.Scheduled = after(scheduled)
		}
		return s
	}
	redriven := said("e", 1, topology.PendingDelivery, 4)
	redriven.Redrives = 1
	for name, test := range map[string]struct {
		states []topology.State
		want   int // seconds, to which the TTL is added
	}{
		"first word":                   {[]topology.State{pending(3, 0)}, 3},
		"a later word":                 {[]topology.State{pending(3, 0), stateOf(said("e", 1, topology.Sent, 9))}, 9},
		"an earlier word comes later":  {[]topology.State{stateOf(said("e", 1, topology.Sent, 9)), pending(3, 0)}, 9},
		"the winner is not the latest": {[]topology.State{stateOf(said("e", 1, topology.Sent, 9)), stateOf(redriven)}, 4},
		"scheduled":                    {[]topology.State{pending(3, 5000)}, 5000},
		"scheduled in the past":        {[]topology.State{pending(3, -5000)}, 3},
		"scheduled stays": {[]topology.State{pending(3, 5000),
			stateOf(said("e", 1, topology.PendingDelivery, 9))}, 5000},
		"scheduled is learnt from a loser": {[]topology.State{stateOf(said("e", 1, topology.PendingDelivery, 9)),
			pending(3, 5000)}, 5000},
		"a loser scheduled in the past": {[]topology.State{stateOf(said("e", 1, topology.Sent, 9)), pending(3, 5)}, 9},
		"sent after it was scheduled":   {[]topology.State{pending(3, 50), stateOf(said("e", 1, topology.Sent, 60))}, 60},
	} {
		t.Run(name, func(t *testing.T) {
			onServers(t, func(t *testing.T, client redis.UniversalClient, keys topology.Keys) {
				store := Store{Client: client, Keys: keys, TTL: ttl}
				for range 2 { // reading it all again changes nothing
					for _, state := range test.states {
						mustWrite(t, &store, state)
					}
					got := client.Do(context.Background(), "pexpiretime", keys.Event("e")).Val()
					if want := after(test.want).Add(ttl).UnixMilli(); got != want {
						t.Fatalf("expires at %v, want %d", got, want)
					}
				}
			})
		})
	}
}

// TestNothingNew: what is known already costs no write, so that an expiry that
// an operator has set for a key stays.
func TestNothingNew(t *testing.T) {
	onServers(t, func(t *testing.T, client redis.UniversalClient, keys topology.Keys) {
		store := Store{Client: client, Keys: keys}
		sent := stateOf(said("e", 1, topology.Sent, 1))
		mustWrite(t, &store, sent)
		client.Persist(context.Background(), keys.Event("e"))
		mustWrite(t, &store, sent, stateOf(said("e", 0, topology.Pending, 0)))
		if ttl := client.PTTL(context.Background(), keys.Event("e")).Val(); ttl != -1 {
			t.Errorf("the key expires in %v, want never", ttl)
		}
	})
}

// TestExpiredIsGone: what would have expired by now is not kept.
func TestExpiredIsGone(t *testing.T) {
	onServers(t, func(t *testing.T, client redis.UniversalClient, keys topology.Keys) {
		store := Store{Client: client, Keys: keys, TTL: time.Second}
		mustWrite(t, &store, stateOf(said("e", 1, topology.Sent, -3600)))
		if n := client.Exists(context.Background(), keys.Event("e")).Val(); n != 0 {
			t.Error("a status of an hour ago is kept, with a TTL of a second")
		}
	})
}

// TestScriptUnknown: a server that lost its scripts is told again.
func TestScriptUnknown(t *testing.T) {
	onServers(t, func(t *testing.T, client redis.UniversalClient, keys topology.Keys) {
		store := Store{Client: client, Keys: keys, Chunk: 2, Notices: true}
		var states []topology.State
		for range 9 {
			states = append(states, stateOf(said(newID(), 1, topology.Sent, 1)))
		}
		if err := client.ScriptFlush(context.Background()).Err(); err != nil {
			t.Fatal(err)
		}
		mustWrite(t, &store, states...)
		for i := range states {
			mustHold(t, client, keys, &states[i], DefaultTTL)
		}
	})
}

// TestForeignValue: what is no hash gives way, and harms no neighbour.
func TestForeignValue(t *testing.T) {
	onServers(t, func(t *testing.T, client redis.UniversalClient, keys topology.Keys) {
		ctx := context.Background()
		states := []topology.State{stateOf(said("a", 1, topology.Sent, 1)), stateOf(said("b", 1, topology.Sent, 1)),
			stateOf(said("c", 1, topology.Sent, 1))}
		if err := client.Set(ctx, keys.Event("b"), "not a hash", 0).Err(); err != nil {
			t.Fatal(err)
		}
		mustWrite(t, &Store{Client: client, Keys: keys}, states...)
		for i := range states {
			mustHold(t, client, keys, &states[i], DefaultTTL)
		}
	})
}

// TestForeignFields: fields that make no sense are mended where they are read,
// and harm no neighbour.
func TestForeignFields(t *testing.T) {
	onServers(t, func(t *testing.T, client redis.UniversalClient, keys topology.Keys) {
		ctx := context.Background()
		a, b := stateOf(said("a", 0, topology.Pending, 1)), stateOf(said("b", 0, topology.Pending, 1))
		a.Scheduled = after(2)
		store := Store{Client: client, Keys: keys}
		mustWrite(t, &store, stateOf(said("a", 1, topology.Sent, 1)), stateOf(said("b", 1, topology.Sent, 1)))
		for _, id := range []topology.EventID{"a", "b"} {
			client.HSet(ctx, keys.Event(id), topology.FieldPendingAt, "soon", topology.FieldScheduledAt, "late")
		}
		client.HDel(ctx, keys.Event("a"), topology.FieldUpdatedAt)
		mustWrite(t, &store, a, b)
		got := client.HMGet(ctx, keys.Event("a"), topology.FieldPendingAt, topology.FieldScheduledAt).Val()
		if got[0] != millis(now) || got[1] != millis(after(2)) {
			t.Errorf("pending and scheduled at %v", got)
		}
		if got := client.HGet(ctx, keys.Event("b"), topology.FieldPendingAt).Val(); got != millis(now) {
			t.Errorf("the neighbour is pending at %s", got)
		}
	})
}

// TestManyStates: more than one pipeline.
func TestManyStates(t *testing.T) {
	onServers(t, func(t *testing.T, client redis.UniversalClient, keys topology.Keys) {
		var states []topology.State
		var ids []topology.EventID
		for range 4001 {
			states = append(states, stateOf(said(newID(), 1, topology.Sent, 1)))
			ids = append(ids, states[len(states)-1].EventID)
		}
		mustWrite(t, &Store{Client: client, Keys: keys}, states...)
		reader := Reader{Client: client, Keys: keys}
		answers, err := reader.GetMany(context.Background(), ids)
		if err != nil {
			t.Fatal(err)
		}
		for i, answer := range answers {
			if answer.Err != nil || answer.State != states[i] {
				t.Fatalf("%s is %+v, %v", ids[i], answer.State, answer.Err)
			}
		}
	})
}

// TestNotices: each change of a status is announced, and nothing else is.
func TestNotices(t *testing.T) {
	onServers(t, func(t *testing.T, client redis.UniversalClient, keys topology.Keys) {
		ctx := context.Background()
		channels := []string{keys.StatusNotice("a"), keys.StatusNotice("b")}
		subscribe := client.Subscribe
		if _, ok := client.(*redis.ClusterClient); ok {
			subscribe = client.SSubscribe
		}
		notices := map[string][]string{}
		var subscriptions []*redis.PubSub
		for _, channel := range channels {
			subscription := subscribe(ctx, channel)
			defer func() { _ = subscription.Close() }()
			if _, err := subscription.Receive(ctx); err != nil {
				t.Fatal(err)
			}
			subscriptions = append(subscriptions, subscription)
		}
		loud, quiet := Store{Client: client, Keys: keys, Notices: true}, Store{Client: client, Keys: keys}
		entry := func(id topology.EventID, attempt int, s topology.Status, second int) topology.State {
			return stateOf(said(id, attempt, s, second))
		}
		mustWrite(t, &loud, entry("a", 0, topology.Pending, 0), entry("b", 0, topology.Pending, 0))
		mustWrite(t, &loud, entry("a", 1, topology.PendingDelivery, 1), entry("b", 0, topology.Pending, 0))
		mustWrite(t, &loud, entry("a", 2, topology.PendingDelivery, 2)) // another attempt, the same status
		mustWrite(t, &loud, entry("a", 1, topology.DeliveryError, 3))   // of the attempt before: too late
		mustWrite(t, &quiet, entry("b", 1, topology.PendingDelivery, 3))
		mustWrite(t, &loud, entry("a", 2, topology.Sent, 4), entry("b", 1, topology.Ignored, 4))

		for i, want := range [][]string{{"pending", "pending_delivery", "sent"}, {"pending", "ignored"}} {
			for range want {
				message, err := subscriptions[i].ReceiveTimeout(ctx, 10*time.Second)
				if err != nil {
					t.Fatal(err)
				}
				got := message.(*redis.Message)
				notices[got.Channel] = append(notices[got.Channel], got.Payload)
			}
			if got := notices[channels[i]]; !slices.Equal(got, want) {
				t.Errorf("%s: %v, want %v", channels[i], got, want)
			}
		}
	})
}

// TestRankIsOfDigitsAndDots, at the places where merge.lua expects them.
func TestRankIsOfDigitsAndDots(t *testing.T) {
	for i, s := range topology.Statuses() {
		rank := string(stateOf(said("e", 1, s, 1)).Rank)
		if strings.Trim(rank, "0123456789.") != "" {
			t.Errorf("%s has more than digits and dots", rank)
		}
		if digit := rank[12]; int(digit-'0') != i {
			t.Errorf("%s: character 13 is %c, want the status, %d", rank, digit, i)
		}
	}
}

// TestFieldsAreThoseOfTheContract: the script names fields itself.
func TestFieldsAreThoseOfTheContract(t *testing.T) {
	full := said("e", 1, topology.Sent, 1)
	full.Reason, full.Detail, full.Provider, full.ProviderMessageID = "r", "d", "p", "m"
	state := stateOf(full)
	state.PendingDeliveryAt, state.Scheduled = after(1), after(2)
	for field := range maps.Keys(hashOf(&state)) {
		if !strings.Contains(mergeSource, "'"+field+"'") {
			t.Errorf("merge.lua has no field %s", field)
		}
	}
}
