package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/topology"
)

// ledger knows what was published, and finds out how far it is sent. Each partition is worked off in order, so that a
// few looks at Redis suffice.
type ledger struct {
	client redis.UniversalClient
	keys   topology.Keys

	mu     sync.Mutex
	events [partitions][]topology.EventID // in the order of publication
	sent   [partitions]int                // of each partition, how many from the start on
}

func (l *ledger) add(partition int, id topology.EventID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events[partition] = append(l.events[partition], id)
}

func (l *ledger) published(receipts []producer.Receipt) {
	for _, r := range receipts {
		l.add(r.Partition, r.ID)
	}
}

// look returns how many events are published and sent: it finds in each partition the first event that is not sent, by
// halving what is unknown until nothing is.
func (l *ledger) look(ctx context.Context) (published, sent int, err error) {
	l.mu.Lock()
	lists, low := l.events, l.sent
	l.mu.Unlock()
	var high [partitions]int
	for p := range lists {
		high[p] = len(lists[p])
		published += high[p]
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
			return 0, 0, err
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
	for _, n := range low {
		sent += n
	}
	return published, sent, nil
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
	progress("looking at every event's status")
	missing := make(map[topology.Status]int)
	for _, list := range l.events {
		for ids := range slices.Chunk(list, 1000) {
			statuses, err := l.statuses(ctx, ids)
			if err != nil {
				return err
			}
			for _, status := range statuses {
				if status != topology.Sent {
					missing[status]++
				}
			}
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("events that are not sent, by status: %v", missing)
	}
	return nil
}
