package consumer_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/topology"
)

// TestAbortedTransactions: what upstream aborted is not read, and what the same
// producer committed next is, also where the aborted records fill an answer of
// their own, so that the next one begins at their marker.
func TestAbortedTransactions(t *testing.T) {
	const fetchBytes = 100_000
	for _, size := range []int{10, 3 * fetchBytes} {
		w := newWorld(t)
		client, err := kgo.NewClient(
			kgo.SeedBrokers(w.Addr()),
			kgo.TransactionalID("upstream"),
			kgo.RecordPartitioner(kgo.ManualPartitioner()),
			kgo.DefaultProduceTopic(string(names.Events(topology.Realtime))),
		)
		if err != nil {
			t.Fatal(err)
		}
		write := func(end kgo.TransactionEndTry, values ...string) {
			t.Helper()
			if err := client.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			for _, v := range values {
				record := &kgo.Record{Partition: 1, Value: []byte(v)}
				if err := client.ProduceSync(t.Context(), record).FirstErr(); err != nil {
					t.Fatal(err)
				}
			}
			if err := client.EndTransaction(context.Background(), end); err != nil {
				t.Fatal(err)
			}
		}
		write(kgo.TryAbort, string(make([]byte, size)))
		write(kgo.TryCommit, "1/0", "1/1")
		write(kgo.TryAbort, string(make([]byte, size)))
		write(kgo.TryCommit, "1/2")
		client.Close()

		f := consumer.Fetcher{
			Addr: w.Link.Addr(), Transport: w.Transport, Topic: names.Events(topology.Realtime), Partition: 1,
			MaxBytes: fetchBytes, MaxWait: 10 * time.Millisecond,
		}
		var got []string
		for done := false; !done; {
			fetched, err := f.Fetch(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range fetched.Records {
				got = append(got, fmt.Sprintf("%.9s", r.Value))
			}
			done = fetched.Next >= fetched.HighWatermark
		}
		if want := []string{"1/0", "1/1", "1/2"}; !slices.Equal(got, want) {
			t.Errorf("with aborted records of %d bytes: read %q, want %q", size, got, want)
		}
	}
}
