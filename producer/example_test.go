package producer_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/topology"
)

// Publishing an event, and learning where it is.
func Example() {
	events, err := producer.New(producer.Config{
		Connection: producer.Connection{Brokers: []string{"127.0.0.1:9494"}}, // of meddela up
	})
	if err != nil {
		log.Fatal(err)
	}
	defer events.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	receipts, err := events.Publish(ctx, topology.Realtime, []topology.Event{{
		ID:       "webshop-A-1007", // of your own: the same id is one message
		Type:     "order_confirmation",
		Channel:  topology.Email,
		To:       "kim@example.com",
		Language: "sv",
		Ctx:      []byte(`{"firstName":"Kim","order":{"number":"A-1007","total":"129.90","currency":"SEK"}}`),
	}})
	if err != nil {
		log.Print(err) // some failed: each receipt says whether, and why
	}
	for _, r := range receipts {
		fmt.Println(r.ID, r.Partition, r.Offset, r.Err)
	}
}
