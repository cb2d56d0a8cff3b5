package scenario

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/meddela/meddela/topology"
)

// TestUpstreamTransactions publishes in transactions, every other one of which
// is aborted, into the same partitions: what is committed is sent, and nothing
// ever happened of the rest.
func TestUpstreamTransactions(t *testing.T) {
	everywhere(t, func(t *testing.T, s *site) {
		const lane, transactions, size = topology.Realtime, 4, 60
		s.startRoles(lane)
		publisher, err := newFranz(s.brokers, kgo.TransactionalID(s.topics.Prefix+"upstream"))
		if err != nil {
			t.Fatal(err)
		}
		defer publisher.client.Close()

		want := make(map[string]string)
		for n := range transactions {
			committed := n%2 == 0
			var records []record
			for i := range size {
				id := fmt.Sprintf("transaction-%d-%d", n, i)
				records = append(records, order(id, "mail"))
				if committed {
					want[id] = "sent"
				}
			}
			if err := publisher.transact(string(s.topics.Events(lane)), records, committed); err != nil {
				t.Fatal(err)
			}
		}
		s.publish(lane, order("after-them", "mail"))
		want["after-them"] = "sent"

		s.awaitOutcomes(20*time.Second, want)
		s.awaitQuiet(lane)
		s.checkStatuses(want)
		s.checkAcceptedOnce(want)
	})
}

// transact publishes records in one transaction, and commits or aborts it.
func (f franz) transact(topic string, records []record, commit bool) error {
	if err := f.client.BeginTransaction(); err != nil {
		return err
	}
	if err := f.publish(topic, records); err != nil {
		return err
	}
	return f.client.EndTransaction(context.Background(), kgo.TransactionEndTry(commit))
}
