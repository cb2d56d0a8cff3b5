// Package scan reads ranges of topics outside of any consumer group, for
// operators' commands: what was there when the range was asked for, once, and
// then it ends, however much is written meanwhile.
//
// It reads what is committed only, and moves no group's offsets.
package scan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/wire"
)

// Topics reads the topics of one cluster. It is safe for use by several
// goroutines.
type Topics struct {
	Addr net.Addr
	// Transport should not be shared with who must not wait: an outage drops
	// its connections.
	Transport kafka.RoundTripper
	// FetchBytes bounds a fetch, as consumer.Fetcher.MaxBytes does. Default
	// 1 MiB. About twice as much is held for each fetcher.
	FetchBytes int
	// Patience is how long an outage may last before it is an error. Default
	// 30 s.
	Patience time.Duration
}

// Range is the offsets of one partition from From up to, and without, To.
type Range struct {
	Topic     topology.Topic
	Partition int
	From, To  int64
}

// Size is the number of offsets. There may be fewer records: some offsets are
// those of transactions' markers, or were compacted away.
func (r Range) Size() int64 { return max(r.To-r.From, 0) }

// Ranges returns what a topic holds now, by partition: the records written
// from since on, and before until. A zero since is the oldest record; a zero
// until, or one in the future, is now. Partitions with nothing are left out.
//
// Where producers set the times of records themselves and these are not in
// order, a range starts at the first record that is young enough, and ends
// before the first that is too young. An open transaction hides what follows
// its first record, as it does from every consumer.
//
// The error is a *topology.NoTopicError, or of the kafka package or the network.
func (t *Topics) Ranges(ctx context.Context, topic topology.Topic, since, until time.Time) ([]Range, error) {
	var ranges []Range
	err := t.retry(ctx, func(ctx context.Context) (err error) {
		ranges, err = t.ranges(ctx, topic, since, until)
		return err
	})
	return ranges, err
}

func (t *Topics) ranges(ctx context.Context, topic topology.Topic, since, until time.Time) ([]Range, error) {
	partitions, err := t.partitions(ctx, topic)
	if err != nil {
		return nil, err
	}
	kept, err := t.Kept(ctx, topic, partitions...)
	if err != nil {
		return nil, err
	}
	starts, err := t.written(ctx, topic, partitions, since)
	if err != nil {
		return nil, err
	}
	ends, err := t.written(ctx, topic, partitions, until)
	if err != nil {
		return nil, err
	}
	var ranges []Range
	for _, r := range kept {
		if start, ok := starts[r.Partition]; ok {
			r.From = start
		}
		if end, ok := ends[r.Partition]; ok {
			r.To = min(r.To, end)
		}
		if r.Size() > 0 {
			ranges = append(ranges, r)
		}
	}
	return ranges, nil
}

func (t *Topics) fetcher(r Range) *consumer.Fetcher {
	f := &consumer.Fetcher{
		Addr: t.Addr, Transport: t.Transport, Topic: r.Topic, Partition: r.Partition,
		MaxBytes: cmp.Or(t.FetchBytes, 1<<20), MaxWait: fetchWait,
	}
	f.SeekTo(r.From)
	return f
}

// fetchWait is how long a broker may wait for records that are known to be
// there.
const fetchWait = 500 * time.Millisecond

// Latest cuts ranges down to about n offsets in all, the last ones of each: to
// every range its share by size, and at least one offset.
func Latest(ranges []Range, n int64) []Range {
	var total int64
	for _, r := range ranges {
		total += r.Size()
	}
	latest := make([]Range, 0, len(ranges))
	for _, r := range ranges {
		if total > n {
			share := int64(float64(r.Size()) / float64(total) * float64(n))
			r.From = max(r.From, r.To-max(share, 1))
		}
		latest = append(latest, r)
	}
	return latest
}

// requestTime bounds a request for offsets.
const requestTime = 10 * time.Second

var errNoAnswer = errors.New("the broker's answer has none")

// partitions lists the partitions of a topic. Where there is none the error is a
// *topology.NoTopicError.
func (t *Topics) partitions(ctx context.Context, topic topology.Topic) (ids []int, err error) {
	leaders, err := wire.LeadersOf(ctx, t.Addr, t.Transport, topic)
	for id := range leaders {
		ids = append(ids, id)
	}
	return ids, err
}

// Kept returns what each partition holds, empty ones included.
func (t *Topics) Kept(ctx context.Context, topic topology.Topic, partitions ...int) ([]Range, error) {
	answers, err := t.offsets(ctx, topic, partitions, kafka.FirstOffsetOf, kafka.LastOffsetOf)
	if err != nil {
		return nil, err
	}
	kept := make([]Range, len(partitions))
	for i, p := range partitions {
		a, ok := answers[p]
		if !ok || a.FirstOffset < 0 || a.LastOffset < a.FirstOffset {
			return nil, fmt.Errorf("offsets of %s/%d: %w", topic, p, errNoAnswer)
		}
		kept[i] = Range{topic, p, a.FirstOffset, a.LastOffset}
	}
	return kept, nil
}

// written returns the offset of the first record of each partition that was
// written at a time or later, which is beyond every offset where there is none.
// It returns nothing for the zero time.
func (t *Topics) written(ctx context.Context, topic topology.Topic, partitions []int, at time.Time) (map[int]int64,
	error) {
	if at.IsZero() {
		return nil, nil
	}
	answers, err := t.offsets(ctx, topic, partitions, func(p int) kafka.OffsetRequest {
		return kafka.OffsetRequest{Partition: p, Timestamp: max(at.UnixMilli(), 0)} // less would ask for something else
	})
	if err != nil {
		return nil, err
	}
	offsets := make(map[int]int64)
	for _, p := range partitions {
		offsets[p] = math.MaxInt64
		for offset := range answers[p].Offsets {
			if offset >= 0 {
				offsets[p] = offset
			}
		}
	}
	return offsets, nil
}

// offsets asks the same of some partitions of a topic, and answers by partition.
func (t *Topics) offsets(ctx context.Context, topic topology.Topic, partitions []int,
	asks ...func(partition int) kafka.OffsetRequest) (map[int]kafka.PartitionOffsets, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	var requests []kafka.OffsetRequest
	for _, p := range partitions {
		for _, ask := range asks {
			requests = append(requests, ask(p))
		}
	}
	response, err := t.client().ListOffsets(ctx, &kafka.ListOffsetsRequest{
		Topics:         map[string][]kafka.OffsetRequest{string(topic): requests},
		IsolationLevel: kafka.ReadCommitted,
	})
	if err != nil {
		return nil, fmt.Errorf("offsets of topic %s: %w", topic, err)
	}
	answers := make(map[int]kafka.PartitionOffsets)
	for _, p := range response.Topics[string(topic)] {
		if p.Error != nil {
			return nil, fmt.Errorf("offsets of %s/%d: %w", topic, p.Partition, p.Error)
		}
		answers[p.Partition] = p
	}
	return answers, nil
}

func (t *Topics) client() *kafka.Client {
	return &kafka.Client{Addr: t.Addr, Transport: t.Transport}
}

// oneFetchBytes is enough for the batch that has one record: a larger one comes
// whole.
const oneFetchBytes = 64 << 10

// At returns the record at an offset. Its error says why there is none, or is a
// *topology.NoTopicError, or of the kafka package or the network.
func (t *Topics) At(ctx context.Context, topic topology.Topic, partition int, offset int64) (r topology.Record,
	err error) {
	var partitions []int
	var kept []Range
	err = t.retry(ctx, func(ctx context.Context) (err error) {
		if partitions, err = t.partitions(ctx, topic); err == nil && slices.Contains(partitions, partition) {
			kept, err = t.Kept(ctx, topic, partition)
		}
		return err
	})
	switch {
	case err != nil:
		return r, err
	case len(kept) == 0:
		return r, fmt.Errorf("%s has no partition %d: it has 0 to %d", topic, partition, len(partitions)-1)
	}
	where := fmt.Sprintf("offset %d of %s/%d", offset, topic, partition)
	switch k := kept[0]; {
	case k.Size() == 0:
		return r, fmt.Errorf("%s is not there: the partition holds no records, the next one written gets offset %d",
			where, k.To)
	case offset >= k.To:
		return r, fmt.Errorf("%s is not there yet: the partition holds %d to %d", where, k.From, k.To-1)
	case offset < k.From:
		return r, fmt.Errorf("%s is not kept any more: the partition holds %d to %d", where, k.From, k.To-1)
	}
	one := *t
	one.FetchBytes = oneFetchBytes
	found := false
	err = one.Scan(ctx, []Range{{topic, partition, offset, offset + 1}}, nil, func(records []topology.Record) error {
		r, found = records[0], true
		return nil
	})
	if err == nil && !found {
		err = fmt.Errorf("there is no record at %s: it was compacted away, or belongs to an aborted transaction, "+
			"or is a transaction's marker", where)
	}
	return r, err
}
