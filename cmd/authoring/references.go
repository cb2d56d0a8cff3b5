package authoring

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/tidwall/gjson"

	"github.com/meddela/meddela/consumer/scan"
	"github.com/meddela/meddela/topology"
)

// References counts the jobs that are still to be done, or may be redriven, by
// the version that each is to be rendered with: those of both lanes that wait
// in the jobs and delay topics, beyond the offsets that their groups have
// committed, and all among the dead letters. progress may be nil.
//
// The offsets are taken before the topics' ends are, so that a job that moves
// from one topic to another meanwhile is found in one of them at least. The
// error is of the kafka package, of the network or a *scan.NoTopicError.
func References(ctx context.Context, topics *scan.Topics, names topology.Topics, progress *scan.Progress) (map[topology.TemplateRef]int64, error) {
	queues := queuesOf(names)
	starts := make([]map[int]int64, len(queues))
	for i, q := range queues {
		var err error
		if starts[i], err = q.committed(ctx, topics); err != nil {
			return nil, err
		}
	}
	var ranges []scan.Range
	for i, q := range queues {
		kept, err := topics.Ranges(ctx, q.topic, time.Time{}, time.Time{})
		if err != nil {
			return nil, err
		}
		for _, r := range kept {
			r.From = max(r.From, starts[i][r.Partition])
			if r.Size() > 0 {
				ranges = append(ranges, r)
			}
		}
	}
	var mu sync.Mutex
	references := make(map[topology.TemplateRef]int64)
	err := topics.Scan(ctx, ranges, progress, func(records []topology.Record) error {
		mu.Lock()
		defer mu.Unlock()
		for i := range records {
			if ref := gjson.GetBytes(records[i].Value, "template"); ref.Type == gjson.String {
				references[topology.TemplateRef(ref.Str)]++
			}
		}
		return nil
	})
	return references, err
}

// queue is a topic that jobs wait on, and the group that works it off; without
// one, all that the topic has waits.
type queue struct {
	topic topology.Topic
	group string
}

func queuesOf(names topology.Topics) []queue {
	var queues []queue
	for _, lane := range topology.Lanes() {
		queues = append(queues, queue{names.Jobs(lane), names.Group(topology.RoleDeliver, lane)}, queue{names.DeadLetters(lane), ""})
		for _, tier := range topology.Tiers() {
			queues = append(queues, queue{names.Delay(lane, tier), names.Group(topology.RoleDelay, lane)})
		}
	}
	return queues
}

// committed returns the offset of each partition up to which the group has
// worked the topic off. Partitions of which it has not are left out.
func (q queue) committed(ctx context.Context, topics *scan.Topics) (map[int]int64, error) {
	offsets := make(map[int]int64)
	kept, err := topics.Ranges(ctx, q.topic, time.Time{}, time.Time{})
	if err != nil || q.group == "" || len(kept) == 0 {
		return offsets, err
	}
	var partitions []int
	for _, r := range kept {
		partitions = append(partitions, r.Partition)
	}
	client := &kafka.Client{Addr: topics.Addr, Transport: topics.Transport}
	response, err := client.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: q.group, Topics: map[string][]int{string(q.topic): partitions}})
	if err == nil {
		err = response.Error
	}
	if errors.Is(err, kafka.GroupIdNotFound) {
		return offsets, nil
	}
	if err != nil {
		return nil, fmt.Errorf("offsets of group %s: %w", q.group, err)
	}
	for _, p := range response.Topics[string(q.topic)] {
		if p.Error != nil {
			return nil, fmt.Errorf("offsets of group %s on %s/%d: %w", q.group, q.topic, p.Partition, p.Error)
		}
		if p.CommittedOffset > 0 {
			offsets[p.Partition] = p.CommittedOffset
		}
	}
	return offsets, nil
}
