package producer

import (
	"context"
	"errors"
	"fmt"
	"net"
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

	sizes partitionCounts
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
	count, err := p.sizes.wait(ctx, p, topic)
	if err != nil {
		return nil, err
	}
	target := target{topic: topic, partition: partition % count}
	for from := 0; from < len(records); {
		to := p.batchEnd(records, from)
		no, err := p.write(ctx, target, records, from, to)
		if err != nil {
			return nil, err
		}
		refused = append(refused, no...)
		from = to
	}
	return refused, nil
}

type target struct {
	topic     topology.Topic
	partition int
}

// batchEnd returns the end of the batch that starts at from.
func (p *Publisher) batchEnd(records []topology.Record, from int) int {
	limit := p.BatchBytes
	if limit <= 0 {
		limit = defaultBatchBytes
	}
	size := 0
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

// write writes records[from:to]. A batch that the topic refuses is halved
// until the records at fault stand alone.
func (p *Publisher) write(ctx context.Context, t target, records []topology.Record, from, to int) (refused []int,
	err error) {
	_, err = p.writeUntilAcknowledged(ctx, t, records[from:to])
	switch {
	case err == nil:
		return nil, nil
	case !isRefusal(err):
		return nil, err
	case to-from == 1:
		return []int{from}, nil
	}
	middle := (from + to) / 2
	left, err := p.write(ctx, t, records, from, middle)
	if err != nil {
		return nil, err
	}
	right, err := p.write(ctx, t, records, middle, to)
	return append(left, right...), err
}

// writeUntilAcknowledged tries until the records are written, the topic
// refuses them, or ctx ends.
func (p *Publisher) writeUntilAcknowledged(ctx context.Context, t target, records []topology.Record) (base int64,
	err error) {
	var wait retry.Backoff
	for try := 0; ; try++ {
		base, err = p.writeOnce(ctx, t, records)
		if err == nil || isRefusal(err) {
			return base, err
		}
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		if try%10 == 1 {
			p.Log.Warn().Err(err).Str("topic", string(t.topic)).Int("partition", t.partition).
				Int("records", len(records)).Int("tries", try+1).Msg("publishing failed; trying on")
		}
		if !wait.Wait(ctx) {
			return 0, ctx.Err()
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

func (p *Publisher) countPartitions(ctx context.Context, topic topology.Topic) (int, error) {
	client := kafka.Client{Addr: p.Addr, Transport: p.Transport}
	response, err := client.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{string(topic)}})
	if err != nil {
		return 0, fmt.Errorf("metadata of topic %s: %w", topic, err)
	}
	for _, t := range response.Topics {
		switch {
		case t.Name != string(topic):
		case errors.Is(t.Error, kafka.UnknownTopicOrPartition):
			return 0, &topology.NoTopicError{Topic: topic}
		case t.Error != nil:
			return 0, fmt.Errorf("topic %s: %w", topic, t.Error)
		case len(t.Partitions) > 0:
			return len(t.Partitions), nil
		}
	}
	return 0, &topology.NoTopicError{Topic: topic}
}
