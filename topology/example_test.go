package topology_test

import (
	"fmt"
	"time"

	"github.com/meddela/meddela/topology"
)

// An event is one JSON document on the events topic of its lane.
func ExampleDecodeEvent() {
	event, err := topology.DecodeEvent(topology.Record{Value: []byte(`{
		"id": "webshop-A-1007", "type": "order_confirmation", "channel": "email",
		"email": "kim@example.com", "language": "sv", "ctx": {"order": "A-1007"}
	}`)}, topology.Realtime)
	fmt.Println(event.ID, event.Type, event.Channel, event.To, err)

	_, err = topology.DecodeEvent(topology.Record{Value: []byte(`{"id": "A-1008", "channel": "sms"}`)}, topology.Realtime)
	fmt.Println(err)
	// Output:
	// webshop-A-1007 order_confirmation email kim@example.com <nil>
	// type: is required: it picks the template
}

// Each lane has topics and consumer groups of its own, named in one place.
func ExampleTopics() {
	names := topology.Topics{Prefix: topology.DefaultPrefix}
	fmt.Println(names.Events(topology.Realtime))
	fmt.Println(names.Jobs(topology.Batch))
	fmt.Println(names.DeliverGroup(topology.Batch, topology.SMS))
	fmt.Println(names.Reads(topology.RoleStatus, topology.Realtime))
	// Output:
	// meddela.realtime.events
	// meddela.batch.jobs
	// meddela.batch.deliver.sms
	// [meddela.realtime.events meddela.realtime.redrive meddela.realtime.delivery-log]
}

// Entries of an event may arrive in any order and more than once: what comes of them is the same.
func ExampleState_Merge() {
	at := time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC)
	sent := topology.StateOf(&topology.Entry{EventID: "e", Attempt: 2, Status: topology.Sent, At: at})
	failed := topology.StateOf(&topology.Entry{
		EventID: "e", Attempt: 1, Status: topology.PendingDelivery, Reason: topology.ReasonTransient, At: at.Add(time.Minute),
	})

	one := sent
	one.Merge(&failed)
	other := failed
	other.Merge(&sent)
	other.Merge(&sent)
	fmt.Println(one.Status, other.Status, one.Rank == other.Rank)
	// Output:
	// sent sent true
}

// What has to wait goes to the topic of the longest wait that is not too long.
func ExampleTierFor() {
	for _, wait := range []time.Duration{time.Second, 45 * time.Second, 2 * time.Hour, 48 * time.Hour} {
		fmt.Println(wait, topology.TierFor(wait).Name)
	}
	// Output:
	// 1s 400ms
	// 45s 10s
	// 2h0m0s 1h
	// 48h0m0s 6h
}
