package scenario

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/meddela/meddela/producer/embedded"
	"github.com/meddela/meddela/test/fixtures"
)

// embeddedPlace starts a broker and a store for one scenario.
func embeddedPlace(t *testing.T) *place {
	var outages sleepers
	broker, err := embedded.StartBroker(embedded.BrokerConfig{Listen: outages.broker.Listen})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	store, err := embedded.StartStore(embedded.StoreConfig{Listen: outages.store.Listen})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	publisher, err := newFranz([]string{broker.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(publisher.client.Close)
	client := redis.NewClient(&redis.Options{Addr: store.Addr(), ReadTimeout: 20 * time.Second})
	t.Cleanup(func() { _ = client.Close() })
	return &place{
		name:     "embedded",
		brokers:  []string{broker.Addr()},
		redis:    store.Addr(),
		upstream: publisher,
		reader:   goRedis{client},
		outages:  &outages,
	}
}

// sleepers are the outages of embedded servers.
type sleepers struct {
	broker, store fixtures.Gate
}

func (s *sleepers) killStore() error   { s.store.Sleep(); return nil }
func (s *sleepers) startStore() error  { s.store.Wake(); return nil }
func (s *sleepers) killBroker() error  { s.broker.Sleep(); return nil }
func (s *sleepers) startBroker() error { s.broker.Wake(); return nil }
