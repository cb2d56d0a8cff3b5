package status

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/topology"
)

var names = topology.Topics{Prefix: topology.DefaultPrefix}

func after(seconds int) time.Time { return now.Add(time.Duration(seconds) * time.Second) }

// published is a record of the events topic, received at second 0.
func published(value string) topology.Record {
	return topology.Record{
		Topic: names.Events(topology.Realtime), Partition: 3, Offset: 7, Time: now,
		Key: []byte("key"), Value: []byte(value),
	}
}

// eventSource is where events of this file come from.
var eventSource = published("").Source()

// logged is a record of the delivery log.
func logged(e topology.Entry) topology.Record {
	return topology.Record{
		Topic: names.DeliveryLog(topology.Realtime), Partition: 3, Offset: 9, Time: e.At,
		Key: []byte(e.EventID), Value: e.Append(nil),
	}
}

// said is an entry as meddela's own roles write it.
func said(id topology.EventID, attempt int, s topology.Status, second int) topology.Entry {
	e := topology.Entry{
		EventID: id, Lane: topology.Realtime, Attempt: attempt, Status: s, At: after(second), ReceivedAt: now,
		Type: "order_confirmation", Channel: topology.Email, Source: eventSource,
	}
	if attempt > 0 {
		e.Template = "order_confirmation@1"
	}
	return e
}

// handle hands records of one topic to the handler, and wants them all handled.
func handle(t *testing.T, h *Handler, records ...topology.Record) consumer.Result {
	t.Helper()
	result, err := h.Handle(context.Background(), consumer.Batch{Topic: records[0].Topic, Partition: 3, Records: records})
	if err != nil || result.Handled != len(records) {
		t.Fatalf("%d of %d handled: %v", result.Handled, len(records), err)
	}
	return result
}

func newHandler(client redis.UniversalClient, keys topology.Keys) *Handler {
	return &Handler{Lane: topology.Realtime, Names: names, Store: &Store{Client: client, Keys: keys}}
}

// TestAnEventPublishedAgain is pending again, whatever became of it before.
func TestAnEventPublishedAgain(t *testing.T) {
	onServers(t, func(t *testing.T, client redis.UniversalClient, keys topology.Keys) {
		h := newHandler(client, keys)
		first := published(`{"id":"a","type":"order_confirmation","ctx":{}}`)
		handle(t, h, first)
		uncovered := said("a", 0, topology.NotCovered, 1)
		uncovered.Reason = topology.ReasonNoTemplateForType
		handle(t, h, logged(uncovered))
		again := names.Again(topology.Realtime, first, "a", topology.ReceiptOf(&first))
		again.Offset, again.Time = 99, after(60)
		forged := again
		forged.Topic = first.Topic
		handle(t, h, forged)
		if state, _, _ := (&Reader{Client: client, Keys: keys}).Get(context.Background(), "a"); state.Redrives != 0 ||
			state.Status != topology.NotCovered {
			t.Errorf("upstream redrives an event: %+v", state)
		}
		handle(t, h, again)
		state, found, err := (&Reader{Client: client, Keys: keys}).Get(context.Background(), "a")
		if err != nil || !found {
			t.Fatalf("found %v, %v", found, err)
		}
		if state.Status != topology.Pending || state.Redrives != 1 || state.Source != eventSource ||
			!state.PendingAt.Equal(now) {
			t.Errorf("state %+v", state)
		}
	})
}

// TestASchedule holds a status for as long as the event waits, and not for one that is
// never waited for.
func TestASchedule(t *testing.T) {
	for scheduled, want := range map[string]string{
		"2026-12-24T08:00:00.000Z": "2026-12-24T08:00:00.000Z", "9999-12-31T23:59:59.000Z": "",
	} {
		r := published(`{"id":"a","type":"order","scheduled":"` + scheduled + `","ctx":{}}`)
		said := (&Handler{Lane: topology.Realtime, Names: names}).stateOfEvent(&r)
		got := ""
		if at := said.Scheduled; !at.IsZero() {
			got = at.Format(topology.TimeFormat)
		}
		if got != want {
			t.Errorf("%s is %q; want %q", scheduled, got, want)
		}
	}
}

// TestEventsWithoutAnID are pending under the id of their position.
func TestEventsWithoutAnID(t *testing.T) {
	onServers(t, func(t *testing.T, client redis.UniversalClient, keys topology.Keys) {
		for _, value := range []string{`{"type":"a","ctx":{}}`, `{"id":"no spaces","type":"a"}`, `{`, "\xff"} {
			result := handle(t, newHandler(client, keys), published(value))
			if len(result.Out) > 0 {
				t.Errorf("%q has outputs: they are the matcher's to write", value)
			}
			if got := client.HGet(context.Background(), keys.Event("realtime-3-7"), "status").Val(); got != "pending" {
				t.Errorf("%q is %q, want pending", value, got)
			}
			client.Del(context.Background(), keys.Event("realtime-3-7"))
		}
	})
}

// TestBadLines become dead letters that say why, and their neighbours are
// written.
func TestBadLines(t *testing.T) {
	onServers(t, func(t *testing.T, client redis.UniversalClient, keys topology.Keys) {
		h := newHandler(client, keys)
		bad := logged(said("x", 1, topology.Sent, 1))
		bad.Value, bad.Offset, bad.Headers = []byte(`{"event_id":"x"`), 12,
			[]topology.Header{{Key: "traceparent", Value: []byte("00-1")}}
		unknown := logged(said("y", 1, "lost", 1))
		result := handle(t, h, logged(said("a", 1, topology.Sent, 1)), bad, unknown, logged(said("b", 1, topology.Sent, 1)))

		if len(result.Out) != 2 {
			t.Fatalf("%d dead letters, want 2", len(result.Out))
		}
		letter := result.Out[0]
		if letter.Topic != names.DeadLetters(topology.Realtime) || string(letter.Value) != string(bad.Value) {
			t.Errorf("the dead letter is %q on %s", letter.Value, letter.Topic)
		}
		for header, want := range map[string]string{
			topology.HeaderOriginalTopic:  "meddela.realtime.delivery-log",
			topology.HeaderOriginalOffset: "12",
			topology.HeaderReason:         string(topology.ReasonNotJSON),
			topology.HeaderRole:           "status",
			"traceparent":                 "00-1",
		} {
			if got, _ := letter.Header(header); string(got) != want {
				t.Errorf("header %s is %q, want %q", header, got, want)
			}
		}
		if got, _ := result.Out[1].Header(topology.HeaderReason); string(got) != string(topology.ReasonBadValue) {
			t.Errorf("an unknown status is %q", got)
		}
		reader := Reader{Client: client, Keys: keys}
		answers, err := reader.GetMany(context.Background(), []topology.EventID{"a", "b", "x", "y"})
		if err != nil || !answers[0].Found || !answers[1].Found || answers[2].Found || answers[3].Found {
			t.Errorf("a, b, x, y are found: %v, %v", answers, err)
		}
	})
}

// TestRedisAway: while Redis is away, or refuses to write, nothing is handled
// and nothing goes out; when it is back the same batch is.
func TestRedisAway(t *testing.T) {
	for name, outage := range map[string]struct {
		begin, end func(*miniredis.Miniredis) error
	}{
		"down":    {func(m *miniredis.Miniredis) error { m.Close(); return nil }, (*miniredis.Miniredis).Restart},
		"loading": {refuse("LOADING Redis is loading the dataset in memory"), refuse("")},
		"demoted": {refuse("READONLY You can't write against a read only replica."), refuse("")},
		"full":    {refuse("OOM command not allowed when used memory > 'maxmemory'."), refuse("")},
	} {
		t.Run(name, func(t *testing.T) {
			server := miniredis.RunT(t)
			client := redis.NewClient(&redis.Options{Addr: server.Addr(), MaxRetries: -1, DialerRetries: 1})
			t.Cleanup(func() { _ = client.Close() })
			h := newHandler(client, testKeys())
			before := logged(said("before", 1, topology.Sent, 1))
			handle(t, h, before)
			if err := outage.begin(server); err != nil {
				t.Fatal(err)
			}
			bad := logged(said("bad", 1, "lost", 1))
			batch := consumer.Batch{Topic: before.Topic, Records: []topology.Record{logged(said("a", 1, topology.Sent, 1)), bad,
				before}}
			for range 3 {
				result, err := h.Handle(context.Background(), batch)
				if err == nil || result.Handled != 0 || len(result.Out) != 0 {
					t.Fatalf("while away: %d handled, %d outputs, error %v", result.Handled, len(result.Out), err)
				}
			}
			if err := outage.end(server); err != nil {
				t.Fatal(err)
			}
			if result := handle(t, h, batch.Records...); len(result.Out) != 1 {
				t.Errorf("%d dead letters, want 1", len(result.Out))
			}
			reader := Reader{Client: client, Keys: h.Store.(*Store).Keys}
			for _, id := range []topology.EventID{"before", "a"} {
				if state, found, err := reader.Get(context.Background(), id); err != nil || !found ||
					state.Status != topology.Sent {
					t.Errorf("%s is %q, %v", id, state.Status, err)
				}
			}
		})
	}
}

func refuse(message string) func(*miniredis.Miniredis) error {
	return func(m *miniredis.Miniredis) error { m.SetError(message); return nil }
}

// failing is a store that is away.
type failing struct{ err error }

func (f failing) Write(context.Context, []topology.State) error { return f.err }

func TestStoreErrorIsPassedOn(t *testing.T) {
	away := errors.New("away")
	h := Handler{Lane: topology.Realtime, Names: names, Store: failing{away}}
	record := published(`{"id":"e"}`)
	_, err := h.Handle(context.Background(), consumer.Batch{Topic: record.Topic, Records: []topology.Record{record}})
	if !errors.Is(err, away) {
		t.Errorf("the error is %v", err)
	}
}

// remembering is a store that keeps what it is given.
type remembering struct{ states []topology.State }

func (r *remembering) Write(_ context.Context, states []topology.State) error {
	r.states = append(r.states, states...)
	return nil
}

// TestEachRecordIsWritten, and nothing of the batch before.
func TestEachRecordIsWritten(t *testing.T) {
	store := &remembering{}
	h := Handler{Lane: topology.Realtime, Names: names, Store: store}
	for _, ids := range [][]topology.EventID{{"a", "b", "a", "c", "b"}, {"d", "a", "a"}, {"e"}} {
		var records []topology.Record
		for i, id := range ids {
			records = append(records, logged(said(id, i, topology.PendingDelivery, i)))
		}
		store.states = nil
		handle(t, &h, records...)
		var got []topology.EventID
		for _, state := range store.states {
			got = append(got, state.EventID)
		}
		if !slices.Equal(got, ids) {
			t.Errorf("of %v, %v were written", ids, got)
		}
	}
}
