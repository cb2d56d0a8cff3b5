package bench

import (
	"fmt"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/topology"
)

var testKeys = topology.Keys{Prefix: "test:"}

func newStore(t *testing.T) (*miniredis.Miniredis, *redis.Client) {
	store := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: store.Addr()})
	t.Cleanup(func() { _ = client.Close() })
	return store, client
}

func say(store *miniredis.Miniredis, id topology.EventID, status topology.Status) {
	store.HSet(testKeys.Event(id), topology.FieldStatus, string(status), topology.FieldPendingAt, "1700000000000")
}

func TestLedgerFindsHowFarEachPartitionIsSent(t *testing.T) {
	store, client := newStore(t)
	book := newLedger(client, testKeys, 3)
	sent := []int{0, 17, 40}
	for partition, n := range sent {
		for i := range 40 {
			id := topology.EventID(fmt.Sprintf("p%d-%d", partition, i))
			book.published([]producer.Receipt{{ID: id, Partition: partition}})
			if i < n {
				say(store, id, topology.Sent)
			} else if i%2 == 0 {
				say(store, id, topology.PendingDelivery)
			}
		}
	}
	if err := book.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	if published, got := book.counts(); published != 120 || got != 57 {
		t.Errorf("%d published and %d sent, want 120 and 57", published, got)
	}
	if err := book.verify(t.Context()); err == nil {
		t.Error("events that are not sent were not noticed")
	}
	for partition := range sent {
		for i := range 40 {
			say(store, topology.EventID(fmt.Sprintf("p%d-%d", partition, i)), topology.Sent)
		}
	}
	if err := book.verify(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestPollerSeesEachEventOnce(t *testing.T) {
	store, client := newStore(t)
	p := &poller{client: client, keys: testKeys}
	due := time.Now()
	for _, id := range []topology.EventID{"a", "b", "c"} {
		p.await(id, due)
	}
	say(store, "b", topology.Sent)
	say(store, "c", topology.Pending)
	for range 2 {
		if err := p.poll(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if seen, waiting := p.arrived(); seen != 1 || waiting != 2 {
		t.Fatalf("%d seen and %d awaited, want 1 and 2", seen, waiting)
	}
	got := p.take()[0]
	if !got.due.Equal(due) || got.seen.Before(due) || got.stages.pending.UnixMilli() != 1_700_000_000_000 || !got.stages.final.IsZero() {
		t.Errorf("%+v", got)
	}
}

func TestKeysOfABenchAreDeletedAndNoOthers(t *testing.T) {
	store, client := newStore(t)
	b := &Bench{Config: Config{Redis: client}, id: "x"}
	for i := range 3000 {
		say(store, topology.EventID(fmt.Sprint(i)), topology.Sent)
		_ = store.Set(fmt.Sprintf("%s%d", b.keyPrefix(), i), "")
	}
	if err := unlinkAll(t.Context(), client, b.keyPrefix()); err != nil {
		t.Fatal(err)
	}
	if left := len(store.Keys()); left != 3000 {
		t.Errorf("%d keys are left, want 3000", left)
	}
}

func TestNumbersOfInfo(t *testing.T) {
	const info = "# Memory\r\nused_memory:1048576\r\nlazyfree_pending_objects:42\r\n"
	if got := infoNumber(info, "lazyfree_pending_objects"); got != 42 {
		t.Errorf("read %d, want 42", got)
	}
	if got := infoNumber(info, "absent"); got != 0 {
		t.Errorf("read %d of what is not there", got)
	}
}
