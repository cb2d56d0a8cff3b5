// Package scan reads ranges of topics outside of any consumer group, for
// operators' commands: what was there when the range was asked for, once, and
// then it ends, however much is written meanwhile.
//
// It reads what is committed only, and moves no group's offsets.
package scan

import (
	"cmp"
	"context"
	"net"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/topology"
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
