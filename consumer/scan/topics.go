// Package scan reads ranges of topics outside of any consumer group, for
// operators' commands: what was there when the range was asked for, once, and
// then it ends, however much is written meanwhile.
//
// It reads what is committed only, and moves no group's offsets.
package scan

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/rs/zerolog"
	"github.com/segmentio/kafka-go"

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
	Patience   time.Duration // how long an outage may last before it is an error; default 30 s
	// Log hears of what a Scan passes over because it can never be read. Default: nothing is logged.
	Log zerolog.Logger
}

// Range is the offsets of one partition from From up to, and without, To. They count for the topic that has
// the id, as wire.TopicID has it; without one for that which is there when they are read.
type Range struct {
	Topic     topology.Topic `json:"topic"`
	ID        string         `json:"id,omitempty"`
	Partition int            `json:"partition"`
	From      int64          `json:"from"`
	To        int64          `json:"to"`
}

// Size is the number of offsets. There may be fewer records: some offsets are
// those of transactions' markers, or were compacted away.
func (r Range) Size() int64 { return max(r.To-r.From, 0) }

// Ranges returns what a topic holds now, by partition: the records written
// from since on; a zero since is the oldest record. Partitions with nothing are
// left out.
//
// Where producers set the times of records themselves and these are not in
// order, a range starts at the first record that is young enough. An open
// transaction hides what follows its first record, as it does from every
// consumer.
//
// The error is a *topology.NoTopicError, or of the kafka package or the network.
func (t *Topics) Ranges(ctx context.Context, topic topology.Topic, since time.Time) ([]Range, error) {
	return t.Between(ctx, topic, since, time.Time{})
}

// Between is Ranges, but without the records from until on, unless that is zero.
func (t *Topics) Between(ctx context.Context, topic topology.Topic, since, until time.Time) ([]Range, error) {
	kept, err := t.all(ctx, topic, since)
	if err == nil && !until.IsZero() {
		var late []Range
		if late, err = t.all(ctx, topic, until); err == nil {
			for i := range min(len(kept), len(late)) {
				kept[i].To = min(kept[i].To, late[i].From)
			}
		}
	}
	return slices.DeleteFunc(kept, func(r Range) bool { return r.Size() == 0 }), err
}

// All returns what each partition of a topic holds, empty ones included.
func (t *Topics) All(ctx context.Context, topic topology.Topic) ([]Range, error) {
	return t.all(ctx, topic, time.Time{})
}

func (t *Topics) all(ctx context.Context, topic topology.Topic, since time.Time) (kept []Range, err error) {
	err = t.retry(ctx, func(ctx context.Context) error {
		partitions, err := wire.LeadersOf(ctx, t.Addr, t.Transport, topic)
		if err != nil {
			return err
		}
		for p := range partitions {
			partitions[p] = p
		}
		kept, err = t.kept(ctx, topic, since, partitions...)
		return err
	})
	return kept, err
}

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

// ID returns a topic's id, as wire.TopicID has it.
func (t *Topics) ID(ctx context.Context, topic topology.Topic) (id string, err error) {
	err = t.retry(ctx, func(ctx context.Context) (err error) {
		id, err = wire.TopicID(ctx, t.Addr, t.Transport, topic)
		return err
	})
	return id, err
}

const requestTime = 10 * time.Second

var errNoAnswer = errors.New("the broker's answer has none")

// Kept returns what each partition holds, empty ones included.
func (t *Topics) Kept(ctx context.Context, topic topology.Topic, partitions ...int) (kept []Range, err error) {
	err = t.retry(ctx, func(ctx context.Context) error {
		kept, err = t.kept(ctx, topic, time.Time{}, partitions...)
		return err
	})
	return kept, err
}

// kept is Kept, but from the first record on that was written at a time or later,
// unless that is zero.
func (t *Topics) kept(ctx context.Context, topic topology.Topic, since time.Time, partitions ...int) ([]Range, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	var asked []kafka.OffsetRequest
	for _, p := range partitions {
		asked = append(asked, kafka.FirstOffsetOf(p), kafka.LastOffsetOf(p))
		if !since.IsZero() {
			at := max(since.UnixMilli(), 0) // less would ask for something else
			asked = append(asked, kafka.OffsetRequest{Partition: p, Timestamp: at})
		}
	}
	id, err := wire.TopicID(ctx, t.Addr, t.Transport, topic) // first: where there is another by then, nothing is read
	if err != nil {
		return nil, err
	}
	client := &kafka.Client{Addr: t.Addr, Transport: t.Transport}
	response, err := client.ListOffsets(ctx, &kafka.ListOffsetsRequest{
		Topics: map[string][]kafka.OffsetRequest{string(topic): asked}, IsolationLevel: kafka.ReadCommitted,
	})
	if err != nil {
		return nil, fmt.Errorf("offsets of topic %s: %w", topic, err)
	}
	answers := make(map[int]kafka.PartitionOffsets)
	for _, p := range response.Topics[string(topic)] {
		answers[p.Partition] = p
	}
	kept := make([]Range, len(partitions))
	for i, p := range partitions {
		a, ok := answers[p]
		if a.Error == nil && (!ok || a.FirstOffset < 0 || a.LastOffset < a.FirstOffset) {
			a.Error = errNoAnswer
		}
		if a.Error != nil {
			return nil, fmt.Errorf("offsets of %s/%d: %w", topic, p, a.Error)
		}
		kept[i] = Range{topic, id, p, a.FirstOffset, a.LastOffset}
		if !since.IsZero() {
			kept[i].From = a.LastOffset // where no record is as young
		}
		for offset := range a.Offsets {
			if offset >= 0 {
				kept[i].From = offset
			}
		}
	}
	return kept, nil
}

// oneFetchBytes is enough for the batch that has one record: a larger one comes
// whole.
const oneFetchBytes = 64 << 10

// At returns the record at an offset. Its error says why there is none, or is a
// *topology.NoTopicError, or of the kafka package or the network.
func (t *Topics) At(ctx context.Context, topic topology.Topic, partition int, offset int64) (r topology.Record,
	err error) {
	var leaders []int
	var kept []Range
	err = t.retry(ctx, func(ctx context.Context) (err error) {
		leaders, err = wire.LeadersOf(ctx, t.Addr, t.Transport, topic)
		if err == nil && 0 <= partition && partition < len(leaders) {
			kept, err = t.kept(ctx, topic, time.Time{}, partition)
		}
		return err
	})
	switch {
	case err != nil:
		return r, err
	case len(kept) == 0:
		return r, fmt.Errorf("%s has no partition %d: it has 0 to %d", topic, partition, len(leaders)-1)
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
	var found bool
	var progress Progress
	of := []Range{{topic, kept[0].ID, partition, offset, offset + 1}}
	err = one.Scan(ctx, of, &progress, func(records []topology.Record) error {
		r, found = records[0], true
		return nil
	})
	switch {
	case err != nil || found:
	case progress.Lost.Load() > 0:
		err = fmt.Errorf("what is at %s can never be read: the log says why", where)
	default:
		err = fmt.Errorf("there is no record at %s: it was compacted away, or belongs to an aborted transaction, "+
			"or is a transaction's marker", where)
	}
	return r, err
}
