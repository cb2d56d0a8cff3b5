package producer

import (
	"cmp"
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/retry"
)

// Publisher writes records to partitions with acks=all. It is safe for use by
// several goroutines, and keeps nothing between calls but the topics' sizes.
type Publisher struct {
	Addr      net.Addr
	Transport kafka.RoundTripper
	// Compression of what is written. Default none.
	Compression kafka.Compression
	// BatchBytes bounds one request. Default 512 KiB; a larger record goes
	// alone.
	BatchBytes int
	// Log hears of failed tries. Default: nothing is logged.
	Log zerolog.Logger

	mu     sync.RWMutex
	counts map[topology.Topic]partitionCount
}

const (
	defaultBatchBytes = 512 << 10
	// ackTimeout is how long a broker may wait for its replicas. It is longer
	// than a cluster takes to notice that a broker has died, because a try that
	// is given up before may be written twice.
	ackTimeout = 15 * time.Second
	// clientTimeout makes the client ask the broker for ackTimeout: it asks
	// for half of its own.
	clientTimeout = 2 * ackTimeout
	// tryTimeout bounds a try on a broker that does not answer at all.
	tryTimeout = 20 * time.Second
	// recordOverhead is what a record adds to a batch beside its bytes.
	recordOverhead = 24
)

// Publish writes the records to one partition of a topic, in order. Where the
// topic has fewer partitions the number wraps around. It returns when all
// replicas in sync have the records, and tries again for as long as ctx lasts:
// its only error is ctx's. Records that the topic will never take are left out
// and their indexes returned. A try that failed half-way may have written
// records that the next try writes again.
func (p *Publisher) Publish(ctx context.Context, topic topology.Topic, partition int,
	records []topology.Record) (refused []int, err error) {
	if len(records) == 0 {
		return nil, nil
	}
	count, err := p.awaitCount(ctx, topic)
	if err != nil {
		return nil, err
	}
	p.write(ctx, target{topic, partition % count}, records, func(from, _ int, _ int64, failure error) {
		switch {
		case isRefusal(failure):
			refused = append(refused, from)
		case failure != nil:
			err = failure
		}
	})
	return refused, err
}

type target struct {
	topic     topology.Topic
	partition int
}

// batchEnd returns the end of the batch that starts at from.
func (p *Publisher) batchEnd(records []topology.Record, from int) int {
	limit, size := cmp.Or(p.BatchBytes, defaultBatchBytes), 0
	for i := from; i < len(records); i++ {
		size += recordBytes(&records[i])
		if size > limit && i > from {
			return i
		}
	}
	return len(records)
}

func recordBytes(r *topology.Record) int {
	n := recordOverhead + len(r.Key) + len(r.Value)
	for i := range r.Headers {
		n += len(r.Headers[i].Key) + len(r.Headers[i].Value) + 4
	}
	return n
}

// write writes the records in batches, and tells of each, from one index to
// another, what became of it: the offset of its first record, or the error. A
// batch that the topic refuses is halved until the records at fault stand alone.
func (p *Publisher) write(ctx context.Context, t target, records []topology.Record,
	tell func(from, to int, base int64, err error)) {
	for from := 0; from < len(records); {
		to := p.batchEnd(records, from)
		base, err := p.writeUntilAcknowledged(ctx, t, records[from:to])
		for isRefusal(err) && to-from > 1 {
			to = (from + to) / 2
			base, err = p.writeUntilAcknowledged(ctx, t, records[from:to])
		}
		tell(from, to, base, err)
		from = to
	}
}

// writeUntilAcknowledged tries until the records are written, the topic
// refuses them, or ctx ends.
func (p *Publisher) writeUntilAcknowledged(ctx context.Context, t target, records []topology.Record) (base int64,
	err error) {
	try := func() (err error) {
		base, err = p.writeOnce(ctx, t, records)
		return err
	}
	err = p.tryOn(ctx, try, func(err error, tries int) {
		p.Log.Warn().Err(err).Str("topic", string(t.topic)).Int("partition", t.partition).
			Int("records", len(records)).Int("tries", tries).Msg("publishing failed; trying on")
	})
	return base, err
}

// tryOn tries until that succeeds or is refused, or ctx ends, and warns now and
// then.
func (*Publisher) tryOn(ctx context.Context, try func() error, warn func(err error, tries int)) error {
	var wait retry.Backoff
	for tries := 1; ; tries++ {
		err := try()
		if err == nil || isRefusal(err) {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if tries%10 == 2 {
			warn(err, tries)
		}
		if !wait.Wait(ctx) {
			return ctx.Err()
		}
	}
}

func (p *Publisher) writeOnce(ctx context.Context, t target, records []topology.Record) (base int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	client := kafka.Client{Addr: p.Addr, Transport: p.Transport, Timeout: clientTimeout}
	response, err := client.Produce(ctx, &kafka.ProduceRequest{
		Topic:        string(t.topic),
		Partition:    t.partition,
		RequiredAcks: kafka.RequireAll,
		Records:      &recordReader{records: records},
		Compression:  p.Compression,
	})
	if err != nil {
		return 0, err
	}
	return response.BaseOffset, response.Error
}

// isRefusal reports whether a topic will never take what it was given, however
// often it is tried.
func isRefusal(err error) bool {
	return errors.Is(err, kafka.MessageSizeTooLarge) ||
		errors.Is(err, kafka.RecordListTooLarge) ||
		errors.Is(err, kafka.InvalidRecord)
}
