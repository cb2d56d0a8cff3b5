package status

import (
	"context"
	"fmt"
	"maps"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/meddela/meddela/topology"
)

// TestStories are courses of events: what records bring, in the order in which
// they are read, and what Redis then holds, whether they are folded before or not.
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
				"redrives": "0", "attempt": "0", "source": "meddela.realtime.events/3/7",
				"pending_at": second(0), "updated_at": second(0), "final_at": "", "scheduled_at": "",
			},
		},
		"sent": {
			[]topology.Record{event, delivery(1, topology.PendingDelivery, 1, nil), delivery(1, topology.Sent, 2, accepted)},
			map[string]string{
				"status": "sent", "template": "order_confirmation@1", "attempt": "1", "provider": "smtp",
				"provider_message_id": "<1@example.com>",
				"pending_at":          second(0), "pending_delivery_at": second(1), "final_at": second(2), "updated_at": second(2),
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
			map[string]string{"status": "sent", "pending_at": second(0), "pending_delivery_at": "",
				"type": "order_confirmation"},
		},
		"everything twice": {
			[]topology.Record{event, event, delivery(1, topology.Sent, 2, accepted), delivery(1, topology.Sent, 2, accepted),
				event},
			map[string]string{"status": "sent", "pending_at": second(0), "updated_at": second(2)},
		},
		"a late bounce": {
			[]topology.Record{delivery(1, topology.Sent, 2, accepted),
				delivery(1, topology.DeliveryError, 60, because(topology.ReasonProviderRejected, "550"))},
			map[string]string{
				"status": "delivery_error", "reason": "provider_rejected", "detail": "550", "provider": "",
				"provider_message_id": "",
				"final_at":            second(60), "updated_at": second(60),
			},
		},
		"a retry": {
			[]topology.Record{delivery(1, topology.PendingDelivery, 2, because(topology.ReasonTransient, "451")),
				delivery(2, topology.Sent, 9, accepted)},
			map[string]string{"status": "sent", "reason": "", "detail": "", "attempt": "2", "pending_delivery_at": second(2)},
		},
		"a redrive": {
			[]topology.Record{
				delivery(3, topology.DeliveryError, 5, because(topology.ReasonRetriesExhausted, "no route")),
				delivery(1, topology.PendingDelivery, 90, func(e *topology.Entry) { e.Redrives = 1 }),
			},
			map[string]string{
				"status": "pending_delivery", "reason": "", "detail": "", "final_at": "", "redrives": "1", "attempt": "1",
				"updated_at": second(90), "pending_delivery_at": second(90),
			},
		},
		"read again when nothing covers it any more": {
			[]topology.Record{delivery(1, topology.Sent, 2, accepted),
				delivery(0, topology.NotCovered, 99, because(topology.ReasonNoTemplateForType, ""))},
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
			map[string]string{"status": "pending", "scheduled_at": ""},
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
				read, h := &remembering{}, newHandler(client, keys)
				reader := &Handler{Lane: topology.Realtime, Names: names, Store: read}
				for _, record := range story.records {
					handle(t, h, record)
					handle(t, reader, record)
				}
				got := client.HGetAll(context.Background(), keys.Event("e")).Val()
				mustHold(t, client, keys, new(foldAll(read.states...)), DefaultTTL)
				together := topology.Keys{Prefix: keys.Prefix + "together:"}
				mustWrite(t, &Store{Client: client, Keys: together}, read.states...)
				if folded := client.HGetAll(context.Background(), together.Event("e")).Val(); !maps.Equal(folded, got) {
					t.Errorf("all at once it is\n%v, one by one\n%v", folded, got)
				}
				mustHold(t, client, together, &read.states[0], DefaultTTL)
				for field, value := range story.want {
					if got[field] != value {
						t.Errorf("%s is %q, want %q", field, got[field], value)
					}
				}
			})
		})
	}
}
