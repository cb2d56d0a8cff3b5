package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/topology"
)

// ledger knows what was published, and finds out how far it is sent. Each
// partition is worked off in order, so that a few looks at Redis tell.
type ledger struct {
	client redis.UniversalClient
	keys   topology.Keys

	mu         sync.Mutex
	partitions [][]topology.EventID // in the order of publication
	sent       []int                // of each partition, how many from the start on
}

func newLedger(client redis.UniversalClient, keys topology.Keys, partitions int) *ledger {
	return &ledger{client: client, keys: keys, partitions: make([][]topology.EventID, partitions), sent: make([]int, partitions)}
}

func (l *ledger) published(receipts []producer.Receipt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range receipts {
		if r.Err == nil {
			l.partitions[r.Partition] = append(l.partitions[r.Partition], r.ID)
		}
	}
}

// counts are how many events are published and, when that was last looked at,
// sent.
func (l *ledger) counts() (published, sent int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p := range l.partitions {
		published += len(l.partitions[p])
		sent += l.sent[p]
	}
	return published, sent
}

// look finds in each partition the first event that is not sent, by halving
// what is unknown until nothing is.
func (l *ledger) look(ctx context.Context) error {
	l.mu.Lock()
	lists := append([][]topology.EventID(nil), l.partitions...)
	low := append([]int(nil), l.sent...)
	l.mu.Unlock()
	high := make([]int, len(lists))
	for p := range lists {
		high[p] = len(lists[p])
	}
	for {
		var ids []topology.EventID
		var of []int
		for p := range lists {
			if low[p] < high[p] {
				ids, of = append(ids, lists[p][(low[p]+high[p])/2]), append(of, p)
			}
		}
		if len(ids) == 0 {
			break
		}
		statuses, err := l.statuses(ctx, ids)
		if err != nil {
			return err
		}
		for i, p := range of {
			middle := (low[p] + high[p]) / 2
			if statuses[i] == topology.Sent {
				low[p] = middle + 1
			} else {
				high[p] = middle
			}
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent = low
	return nil
}

func (l *ledger) statuses(ctx context.Context, ids []topology.EventID) ([]topology.Status, error) {
	pipe := l.client.Pipeline()
	replies := make([]*redis.StringCmd, len(ids))
	for i, id := range ids {
		replies[i] = pipe.HGet(ctx, l.keys.Event(id), topology.FieldStatus)
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return nil, err
	}
	statuses := make([]topology.Status, len(ids))
	for i, reply := range replies {
		statuses[i] = topology.Status(reply.Val())
	}
	return statuses, nil
}

// verify looks at every single event. Its error says how many are not sent.
func (l *ledger) verify(ctx context.Context) error {
	const page = 1000
	missing := make(map[topology.Status]int)
	for _, ids := range l.partitions {
		for len(ids) > 0 {
			n := min(page, len(ids))
			statuses, err := l.statuses(ctx, ids[:n])
			if err != nil {
				return err
			}
			for _, status := range statuses {
				if status != topology.Sent {
					missing[status]++
				}
			}
			ids = ids[n:]
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("events that are not sent, by status: %v", missing)
	}
	return nil
}
