package producer_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/producer/embedded"
	"github.com/meddela/meddela/topology"
)

// Publishing an event, and learning where it is.
func Example() {
	broker := startBroker() // elsewhere: your own, or that of `meddela up`
	defer broker.Close()
	events, err := producer.New(producer.Config{Connection: producer.Connection{Brokers: []string{broker.Addr()}}})
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
		fmt.Println(r.ID, r.Offset, r.Err)
	}
	// Output:
	// webshop-A-1007 0 <nil>
}

// startBroker starts an embedded broker that has the topics.
func startBroker() *embedded.Broker {
	broker, err := embedded.StartBroker(embedded.BrokerConfig{})
	if err != nil {
		log.Fatal(err)
	}
	link := producer.Connection{Brokers: []string{broker.Addr()}}
	transport := link.Transport()
	defer transport.CloseIdleConnections()
	names := topology.Topics{Prefix: topology.DefaultPrefix}
	client := kafka.Client{Addr: link.Addr(), Transport: transport}
	_, err = client.CreateTopics(context.Background(), &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{
		{Topic: string(names.Events(topology.Realtime)), NumPartitions: 3, ReplicationFactor: 1},
	}})
	if err != nil {
		log.Fatal(err)
	}
	return broker
}
