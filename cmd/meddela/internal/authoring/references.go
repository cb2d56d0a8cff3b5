package authoring

import (
	"context"
	"errors"
	"fmt"
	"math"
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
func References(ctx context.Context, topics *scan.Topics, names topology.Topics,
	progress *scan.Progress) (map[topology.TemplateRef]int64, error) {
	queues := queuesOf(names)
	for topic, q := range queues {
		for channel, group := range q.groups {
			var err error
			if q.done[channel], err = committed(ctx, topics, topic, group); err != nil {
				return nil, err
			}
		}
	}
	var ranges []scan.Range
	for topic, q := range queues {
		kept, err := topics.Ranges(ctx, topic, time.Time{}, time.Time{})
		if err != nil {
			return nil, err
		}
		for _, r := range kept {
			r.From = max(r.From, q.start(r.Partition))
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
			r := &records[i]
			ref := gjson.GetBytes(r.Value, "template")
			if ref.Type == gjson.String && queues[r.Topic].waits(r) {
				references[topology.TemplateRef(ref.Str)]++
			}
		}
		return nil
	})
	return references, err
}

// queue is the groups that work a topic off: one for all of it, under no channel,
// or one for each channel. Without any, all that the topic has waits.
type queue struct {
	groups map[topology.Channel]string
	done   map[topology.Channel]map[int]int64 // by partition: the offset up to which jobs are done
}

const everyChannel topology.Channel = ""

func queuesOf(names topology.Topics) map[topology.Topic]*queue {
	queues := make(map[topology.Topic]*queue)
	add := func(topic topology.Topic, groups map[topology.Channel]string) {
		queues[topic] = &queue{groups: groups, done: make(map[topology.Channel]map[int]int64)}
	}
	for _, lane := range topology.Lanes() {
		delivering := make(map[topology.Channel]string)
		for _, c := range topology.Channels() {
			delivering[c] = names.DeliverGroup(lane, c)
		}
		add(names.Jobs(lane), delivering)
		add(names.DeadLetters(lane), nil)
		delaying := map[topology.Channel]string{everyChannel: names.Group(topology.RoleDelay, lane)}
		add(names.Paused(lane), delaying)
		for _, tier := range topology.Tiers() {
			add(names.Delay(lane, tier), delaying)
		}
	}
	return queues
}

// start is the first offset of a partition at which something may wait.
func (q *queue) start(partition int) int64 {
	if len(q.done) == 0 {
		return 0
	}
	first := int64(math.MaxInt64)
	for _, done := range q.done {
		first = min(first, done[partition])
	}
	return first
}

// waits reports whether the group of a job's channel has not done it yet.
func (q *queue) waits(job *topology.Record) bool {
	done, byChannel := q.done[topology.Channel(gjson.GetBytes(job.Value, "channel").Str)]
	return !byChannel || job.Offset >= done[job.Partition]
}

// committed returns the offset of each partition up to which a group has worked
// a topic off. Partitions of which it has not are left out.
func committed(ctx context.Context, topics *scan.Topics, topic topology.Topic, group string) (map[int]int64, error) {
	offsets := make(map[int]int64)
	kept, err := topics.Ranges(ctx, topic, time.Time{}, time.Time{})
	if err != nil || len(kept) == 0 {
		return offsets, err
	}
	var partitions []int
	for _, r := range kept {
		partitions = append(partitions, r.Partition)
	}
	client := &kafka.Client{Addr: topics.Addr, Transport: topics.Transport}
	response, err := client.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: group,
		Topics: map[string][]int{string(topic): partitions}})
	if err == nil {
		err = response.Error
	}
	if errors.Is(err, kafka.GroupIdNotFound) {
		return offsets, nil
	}
	if err != nil {
		return nil, fmt.Errorf("offsets of group %s: %w", group, err)
	}
	for _, p := range response.Topics[string(topic)] {
		if p.Error != nil {
			return nil, fmt.Errorf("offsets of group %s on %s/%d: %w", group, topic, p.Partition, p.Error)
		}
		if p.CommittedOffset > 0 {
			offsets[p.Partition] = p.CommittedOffset
		}
	}
	return offsets, nil
}
