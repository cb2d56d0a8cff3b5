package status

import (
	"context"
	"errors"
	"fmt"
	"maps"
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

func TestTopics(t *testing.T) {
	h := Handler{Lane: topology.Batch, Names: names}
	if got, want := h.Topics(), []topology.Topic{"meddela.batch.events", "meddela.batch.delivery-log"}; !slices.Equal(got, want) {
		t.Errorf("reads %v, want %v", got, want)
	}
}

// TestStories are courses of events: what records bring, in the order in which
// they are read, and what Redis then holds.
func TestStories(t *testing.T) {
	const order = `{"id":"e","type":"order_confirmation","channel":"email","email":"kim@example.com","ctx":{}%s}`
	event := published(fmt.Sprintf(order, ""))
	delivery := func(attempt int, s topology.Status, second int, change func(*topology.Entry)) topology.Record {
		e := said("e", attempt, s, second)
		if change != nil {
			change(&e)
		}
		return logged(e)
	}
	because := func(r topology.Reason, detail string) func(*topology.Entry) {
		return func(e *topology.Entry) { e.Reason, e.Detail = r, detail }
	}
	accepted := func(e *topology.Entry) { e.Provider, e.ProviderMessageID = "smtp", "<1@example.com>" }
	second := func(n int) string { return millis(after(n)) }

	for name, story := range map[string]struct {
		records []topology.Record
		want    map[string]string // of the hash; "" is absent
	}{
		"published": {
			[]topology.Record{event},
			map[string]string{
				"status": "pending", "reason": "", "lane": "realtime", "type": "order_confirmation", "channel": "email",
				"generation": "0", "attempt": "0", "source": "meddela.realtime.events/3/7",
				"pending_at": second(0), "updated_at": second(0), "final_at": "", "scheduled_at": "",
			},
		},
		"sent": {
			[]topology.Record{event, delivery(1, topology.PendingDelivery, 1, nil), delivery(1, topology.Sent, 2, accepted)},
			map[string]string{
				"status": "sent", "template": "order_confirmation@1", "attempt": "1", "provider": "smtp", "provider_message_id": "<1@example.com>",
				"pending_at": second(0), "pending_delivery_at": second(1), "final_at": second(2), "updated_at": second(2),
			},
		},
		"the log is ahead of the events": {
			[]topology.Record{delivery(1, topology.Sent, 2, accepted), delivery(1, topology.PendingDelivery, 1, nil), event},
			map[string]string{
				"status": "sent", "provider": "smtp", "pending_at": second(0), "pending_delivery_at": second(1),
				"final_at": second(2), "updated_at": second(2), "source": "meddela.realtime.events/3/7",
			},
		},
		"the event's record is gone": {
			[]topology.Record{delivery(1, topology.Sent, 2, accepted)},
			map[string]string{"status": "sent", "pending_at": second(0), "pending_delivery_at": "", "type": "order_confirmation"},
		},
		"everything twice": {
			[]topology.Record{event, event, delivery(1, topology.Sent, 2, accepted), delivery(1, topology.Sent, 2, accepted), event},
			map[string]string{"status": "sent", "pending_at": second(0), "updated_at": second(2)},
		},
		"a late bounce": {
			[]topology.Record{delivery(1, topology.Sent, 2, accepted), delivery(1, topology.DeliveryError, 60, because(topology.ReasonProviderRefused, "550"))},
			map[string]string{
				"status": "delivery_error", "reason": "provider_refused", "detail": "550", "provider": "", "provider_message_id": "",
				"final_at": second(60), "updated_at": second(60),
			},
		},
		"a retry": {
			[]topology.Record{delivery(1, topology.PendingDelivery, 2, because(topology.ReasonTransient, "451")), delivery(2, topology.Sent, 9, accepted)},
			map[string]string{"status": "sent", "reason": "", "detail": "", "attempt": "2", "pending_delivery_at": second(2)},
		},
		"a redrive": {
			[]topology.Record{
				delivery(3, topology.DeliveryError, 5, because(topology.ReasonTriesUsedUp, "no route")),
				delivery(1, topology.PendingDelivery, 90, func(e *topology.Entry) { e.Generation = 1 }),
			},
			map[string]string{
				"status": "pending_delivery", "reason": "", "detail": "", "final_at": "", "generation": "1", "attempt": "1",
				"updated_at": second(90), "pending_delivery_at": second(90),
			},
		},
		"read again when nothing covers it any more": {
			[]topology.Record{delivery(1, topology.Sent, 2, accepted), delivery(0, topology.NotCovered, 99, because(topology.ReasonNoTemplateForType, ""))},
			map[string]string{"status": "sent", "reason": "", "updated_at": second(2)},
		},
		"another engine's entry says little": {
			[]topology.Record{event, delivery(1, topology.Ignored, 3, func(e *topology.Entry) {
				*e = topology.Entry{EventID: "e", Attempt: 1, Status: topology.Ignored, Reason: topology.ReasonExternal, At: e.At}
			})},
			map[string]string{
				"status": "ignored", "reason": "external", "template": "", "lane": "realtime", "type": "order_confirmation",
				"channel": "email", "source": "meddela.realtime.events/3/7", "pending_at": second(0),
			},
		},
		"another engine's entry names the source only, and comes first": {
			[]topology.Record{delivery(1, topology.Ignored, 3, func(e *topology.Entry) {
				*e = topology.Entry{EventID: "e", Attempt: 1, Status: topology.Ignored, Source: eventSource, At: e.At}
			}), event},
			map[string]string{"status": "ignored", "lane": "realtime", "type": "order_confirmation", "channel": "email"},
		},
		"scheduled": {
			[]topology.Record{published(fmt.Sprintf(order, `,"scheduled":"2027-03-01T08:00:00Z"`))},
			map[string]string{"status": "pending", "scheduled_at": "1803888000000"},
		},
		"scheduled beyond all measure": {
			[]topology.Record{published(fmt.Sprintf(order, `,"scheduled":"9999-03-01T08:00:00Z"`))},
			map[string]string{"status": "pending", "scheduled_at": "9999999999999"},
		},
		"scheduled before all measure": {
			[]topology.Record{published(fmt.Sprintf(order, `,"scheduled":"1969-03-01T08:00:00Z"`))},
			map[string]string{"status": "pending", "scheduled_at": ""},
		},
		"an event that breaks the contract": {
			[]topology.Record{published(`{"id":"e","channel":"pigeon"}`)},
			map[string]string{"status": "pending", "pending_at": second(0)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			onServers(t, func(t *testing.T, client redis.UniversalClient, keys topology.Keys) {
				h := newHandler(client, keys)
				for _, record := range story.records {
					handle(t, h, record)
				}
				got := client.HGetAll(context.Background(), keys.Event("e")).Val()
				for field, value := range story.want {
					if got[field] != value {
						t.Errorf("%s is %q, want %q", field, got[field], value)
					}
				}
			})
		})
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
		h.Now = func() time.Time { return after(5) }
		bad := logged(said("x", 1, topology.Sent, 1))
		bad.Value, bad.Offset, bad.Headers = []byte(`{"event_id":"x"`), 12, []topology.Header{{Key: "traceparent", Value: []byte("00-1")}}
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
			topology.HeaderFailedAt:       after(5).Format(topology.TimeFormat),
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
			batch := consumer.Batch{Topic: before.Topic, Records: []topology.Record{logged(said("a", 1, topology.Sent, 1)), bad, before}}
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
				if state, found, err := reader.Get(context.Background(), id); err != nil || !found || state.Status != topology.Sent {
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

// TestEachEventIsWrittenOnce a batch, with what its last record says, whatever
// the batch before had.
func TestEachEventIsWrittenOnce(t *testing.T) {
	store := &remembering{}
	h := Handler{Lane: topology.Realtime, Names: names, Store: store}
	for _, ids := range [][]topology.EventID{{"a", "b", "a", "c", "b"}, {"d", "a", "a"}, {"e"}} {
		var records []topology.Record
		last := map[topology.EventID]int{}
		for i, id := range ids {
			records = append(records, logged(said(id, i, topology.PendingDelivery, i)))
			last[id] = i
		}
		store.states = nil
		handle(t, &h, records...)
		got := map[topology.EventID]int{}
		for _, state := range store.states {
			got[state.EventID] = state.Attempt
		}
		if len(store.states) != len(last) || !maps.Equal(got, last) {
			t.Errorf("of %v, %d states were written, of attempts %v, want %v", ids, len(store.states), got, last)
		}
	}
}
