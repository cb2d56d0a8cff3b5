package status

import (
	"context"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/meddela/meddela/topology"
)

func TestGet(t *testing.T) {
	onServers(t, func(t *testing.T, client redis.UniversalClient, keys topology.Keys) {
		ctx, reader := context.Background(), Reader{Client: client, Keys: keys}
		if _, found, err := reader.Get(ctx, "none"); found || err != nil {
			t.Errorf("an unknown event is found: %v, %v", found, err)
		}
		want := stateOf(said("e", 1, topology.Sent, 1))
		want.Scheduled = after(7)
		mustWrite(t, &Store{Client: client, Keys: keys}, want)
		if got, found, err := reader.Get(ctx, "e"); !found || err != nil || got != want {
			t.Errorf("got %+v, %v, %v, want %+v", got, found, err, want)
		}
	})
}

// TestEveryField: what a state has in any field, Merge takes, Redis holds and ParseState reads.
func TestEveryField(t *testing.T) {
	want := topology.State{Status: topology.Sent}
	for _, field := range reflect.ValueOf(&want).Elem().Fields() {
		switch {
		case !field.IsZero():
		case field.Kind() == reflect.String:
			field.SetString("x")
		case field.Kind() == reflect.Int:
			field.SetInt(1)
		default:
			field.Set(reflect.ValueOf(now))
		}
	}
	merged := topology.State{EventID: want.EventID}
	if merged.Merge(&want); merged != want {
		t.Errorf("merged is %+v, want %+v", merged, want)
	}
	onServers(t, func(t *testing.T, client redis.UniversalClient, keys topology.Keys) {
		mustWrite(t, &Store{Client: client, Keys: keys}, want)
		reader := Reader{Client: client, Keys: keys}
		if got, _, err := reader.Get(context.Background(), want.EventID); err != nil || got != want {
			t.Errorf("read is %+v, %v, want %+v", got, err, want)
		}
	})
}

// TestGetMany: each event has its own answer, also if what is stored of
// another makes no sense.
func TestGetMany(t *testing.T) {
	onServers(t, func(t *testing.T, client redis.UniversalClient, keys topology.Keys) {
		ctx, reader := context.Background(), Reader{Client: client, Keys: keys}
		mustWrite(t, &Store{Client: client, Keys: keys}, stateOf(said("a", 1, topology.Sent, 1)),
			stateOf(said("b", 0, topology.Pending, 1)))
		client.Set(ctx, keys.Event("string"), "x", time.Minute)
		client.HSet(ctx, keys.Event("strange"), topology.FieldStatus, "lost")
		ids := []topology.EventID{"string", "b", "none", "strange", "a"}
		answers, err := reader.GetMany(ctx, ids)
		if err != nil {
			t.Fatal(err)
		}
		var statuses []topology.Status
		var found, bad []bool
		for _, answer := range answers {
			statuses = append(statuses, answer.State.Status)
			found = append(found, answer.Found)
			bad = append(bad, answer.Err != nil)
		}
		if !slices.Equal(found, []bool{true, true, false, true, true}) ||
			!slices.Equal(bad, []bool{true, false, false, true, false}) {
			t.Errorf("found %v, bad %v", found, bad)
		}
		if statuses[1] != topology.Pending || statuses[4] != topology.Sent {
			t.Errorf("statuses are %q", statuses)
		}
		if answers, err := reader.GetMany(ctx, nil); err != nil || len(answers) > 0 {
			t.Errorf("no ids: %v, %v", answers, err)
		}
	})
}

// TestSound: whether what is stored fits together.
func TestSound(t *testing.T) {
	onServers(t, func(t *testing.T, client redis.UniversalClient, keys topology.Keys) {
		ctx, reader := context.Background(), Reader{Client: client, Keys: keys}
		mustWrite(t, &Store{Client: client, Keys: keys}, stateOf(said("pending", 0, topology.Pending, 1)))
		ids := []topology.EventID{"sent", "other-end", "no-end", "other-rank", "pending"}
		for _, id := range ids[:4] {
			mustWrite(t, &Store{Client: client, Keys: keys}, stateOf(said(id, 1, topology.Sent, 1)))
		}
		client.HIncrBy(ctx, keys.Event("other-end"), topology.FieldFinalAt, 1)
		client.HDel(ctx, keys.Event("no-end"), topology.FieldFinalAt)
		client.HSet(ctx, keys.Event("other-rank"), topology.FieldDetail, "x")
		answers, err := reader.GetMany(ctx, ids)
		if err != nil {
			t.Fatal(err)
		}
		for i := range answers {
			if want := ids[i] == "sent" || ids[i] == "pending"; answers[i].Sound() != want {
				t.Errorf("%s: sound is %v, want %v", ids[i], !want, want)
			}
		}
	})
}

func TestReadersWithoutRedis(t *testing.T) {
	server := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), MaxRetries: -1, DialerRetries: 1})
	t.Cleanup(func() { _ = client.Close() })
	server.Close()
	reader := Reader{Client: client, Keys: testKeys()}
	if _, _, err := reader.Get(context.Background(), "e"); err == nil {
		t.Error("Get has no error")
	}
	if _, err := reader.GetMany(context.Background(), []topology.EventID{"e", "f"}); err == nil {
		t.Error("GetMany has no error")
	}
}
