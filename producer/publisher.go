package producer

import (
	"cmp"
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/gather"
	"github.com/meddela/meddela/topology/retry"
	"github.com/meddela/meddela/topology/wire"
)

// Publisher writes records to partitions with acks=all. It is safe for use by
// several goroutines. What they publish at the same time to partitions that one
// broker leads goes in one request: while one is under way, what comes gathers
// for the next.
type Publisher struct {
	Addr      net.Addr
	Transport kafka.RoundTripper
	// Compression of what is written. Default none.
	Compression kafka.Compression
	// BatchBytes bounds what one request writes to one partition. Default
	// 512 KiB; a larger record goes alone.
	BatchBytes int
	// Log hears of failed tries. Default: nothing is logged.
	Log zerolog.Logger
	// Expendable are topics that nothing waits for: what our user has no right to write
	// there is left out, like what is too large.
	Expendable []topology.Topic
	// Errors counts the tries that failed.
	Errors Errors

	once    sync.Once // fills in leaders
	leaders wire.Leaders
	mu      sync.Mutex
	brokers map[int]*gather.Gather[*write] // by their ids
}

const (
	defaultBatchBytes = 512 << 10
	// requestBytes bounds what one request writes to all partitions.
	requestBytes = 1 << 20
	// mostRequests is how many requests to a broker may be under way, and pace the
	// least time between them.
	mostRequests = 5
	pace         = 4 * time.Millisecond
	// ackTimeout is how long a broker may wait for its replicas. It is longer
	// than a cluster takes to notice that a broker has died, because a try that
	// is given up before may be written twice.
	ackTimeout = 15 * time.Second
	// tryTimeout bounds a try on a broker that does not answer at all.
	tryTimeout = 20 * time.Second
	// recordOverhead is what a record adds to a batch beside its bytes.
	recordOverhead = 24
)

// Publish writes each record to its Topic at the partition number, those of one
// topic in order. Where a topic has fewer partitions the number wraps around. It
// returns when all replicas in sync have the records, and tries again for as long
// as ctx lasts: its only error is ctx's. Records that a topic will never take are
// left out and their indexes returned. A try that failed half-way may have written
// records that the next try writes again.
func (p *Publisher) Publish(ctx context.Context, partition int, records []topology.Record) (refused []int, err error) {
	var outputs []*output
	for i := range records {
		at := slices.IndexFunc(outputs, func(o *output) bool { return o.topic == records[i].Topic })
		if at < 0 {
			at = len(outputs)
			o := &output{topic: records[i].Topic, number: partition}
			o.records, o.members = make([]*topology.Record, 0, len(records)-i), make([]int, 0, len(records)-i)
			o.tell = func(from, to int, _ int64, err error) {
				if err != nil {
					refused = append(refused, o.members[from:to]...)
				}
			}
			outputs = append(outputs, o)
		}
		outputs[at].records = append(outputs[at].records, &records[i])
		outputs[at].members = append(outputs[at].members, i)
	}
	err = p.write(ctx, outputs)
	slices.Sort(refused)
	return refused, err
}

// awaitCount returns the topic's number of partitions, trying for as long as ctx
// lasts to learn it. Its only error is ctx's.
func (p *Publisher) awaitCount(ctx context.Context, topic topology.Topic) (int, error) {
	var count int
	retry.Until(ctx, func() (err error) {
		count, err = p.known().Partitions(ctx, topic)
		return err
	}, func(err error, tries int) {
		p.Log.Warn().Err(err).Int("tries", tries).Msg("cannot publish yet; trying on")
	})
	return count, ctx.Err()
}

// output is what a call writes to one partition, in order.
type output struct {
	topic     topology.Topic
	number    int // of the partition, which wraps around
	partition int // that it last was
	records   []*topology.Record
	members   []int // the records' indexes in the call
	// tell hears of records, from one index to another, that they were written, with
	// the offset of the first, or that the topic refuses them.
	tell func(from, to int, base int64, err error)

	done  int // everything below was written or refused
	limit int // how many may go together after a refusal; 0 for as many as fit
}

// write is a batch on its way to a partition.
type write struct {
	ctx       context.Context
	output    *output
	records   []*topology.Record
	bytes     int
	result    chan<- *write
	base      int64
	err       error
	separated bool // from other writes to the partition, so that these are not refused with it
}

// write writes the outputs side by side, and each one's records in order, until
// they are acknowledged or refused, or ctx ends. A batch that the topic refuses is
// halved until the records at fault stand alone.
func (p *Publisher) write(ctx context.Context, outputs []*output) error {
	var wait retry.Backoff
	result := make(chan *write, len(outputs))
	for tries := 1; ; tries++ {
		var failed *output
		var failure error
		sent := 0
		for _, o := range outputs {
			if o.done == len(o.records) {
				continue
			}
			if err := p.send(ctx, o, result); p.refuses(o, err) {
				o.tell(o.done, len(o.records), 0, err)
				o.done = len(o.records)
				continue
			} else if err != nil {
				failed, failure = o, err
				continue
			}
			sent++
		}
		if sent == 0 && failed == nil {
			return nil
		}
		for ; sent > 0; sent-- {
			select {
			case w := <-result:
				if err := p.settle(w); err != nil {
					p.leaders.Expire()
					failed, failure = w.output, err
				}
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if failed == nil {
			tries = 0
			wait.Reset()
			continue
		}
		if ctx.Err() == nil {
			p.Errors.of(failure).Add(1)
		}
		if tries%10 == 2 && ctx.Err() == nil {
			p.Log.Warn().Err(failure).Str("topic", string(failed.topic)).Int("partition", failed.partition).
				Int("records", len(failed.records)-failed.done).Int("tries", tries).
				Msg("publishing failed; trying on")
		}
		if !wait.Wait(ctx) {
			return ctx.Err()
		}
	}
}

// settle takes up what became of a write. Its error is one after which to try again.
func (p *Publisher) settle(w *write) error {
	o, n := w.output, len(w.records)
	// What has our own clock's time is taken when that is right again.
	itsTime := func(r *topology.Record) bool { return !r.Time.IsZero() }
	ofItsTime := errors.Is(w.err, kafka.InvalidTimestamp) && slices.ContainsFunc(w.records, itsTime)
	switch refused := ofItsTime || p.refuses(o, w.err); {
	case refused && errors.Is(w.err, kafka.TopicAuthorizationFailed): // as all others of it would be
		o.tell(o.done, len(o.records), 0, w.err)
		o.done = len(o.records)
	case refused && n > 1:
		o.limit = n / 2
	case refused:
		o.tell(o.done, o.done+n, 0, w.err)
		o.done += n
		o.limit = 2 // the next may be like it
	case w.err == nil:
		o.tell(o.done, o.done+n, w.base, nil)
		o.done += n
		o.limit *= 2
	case errors.Is(w.err, errSeparate):
		o.limit = n
	default:
		return w.err
	}
	return nil
}

// send hands the next batch of an output to its broker.
func (p *Publisher) send(ctx context.Context, o *output, result chan<- *write) error {
	leader, partition, err := p.known().Wrapped(ctx, o.topic, o.number)
	if err != nil {
		return err
	}
	o.partition = partition
	w := &write{ctx: ctx, output: o, records: o.records[o.done:], result: result, separated: o.limit > 0}
	if w.separated {
		w.records = w.records[:min(o.limit, len(w.records))]
	}
	for i, r := range w.records {
		size := recordBytes(r)
		if i > 0 && w.bytes+size > cmp.Or(p.BatchBytes, defaultBatchBytes) {
			w.records = w.records[:i]
			break
		}
		w.bytes += size
	}
	p.broker(leader).Add(w)
	return nil
}

func recordBytes(r *topology.Record) int {
	n := recordOverhead + len(r.Key) + len(r.Value)
	for i := range r.Headers {
		n += len(r.Headers[i].Key) + len(r.Headers[i].Value) + 4
	}
	return n
}

func (p *Publisher) known() *wire.Leaders {
	p.once.Do(func() { p.leaders.Addr, p.leaders.Transport = p.Addr, p.Transport })
	return &p.leaders
}

func (p *Publisher) broker(id int) *gather.Gather[*write] {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.brokers[id]
	if b == nil {
		b = &gather.Gather[*write]{Most: mostRequests, Pace: pace}
		b.Do = func(writes []*write) {
			batches, left := p.batches(writes)
			b.Add(left...)
			b.Rest(p.request(id, batches))
		}
		if p.brokers == nil {
			p.brokers = make(map[int]*gather.Gather[*write])
		}
		p.brokers[id] = b
	}
	return b
}

var (
	errNoAnswer = errors.New("the broker's answer does not have the partition")
	errSeparate = errors.New("refused together with others: to be written alone")
)

// batch is what a request writes to one partition: as one, as the protocol wants it.
type batch struct {
	topic     topology.Topic
	partition int
	writes    []*write
	bytes     int
	answered  bool
}

// batches puts writes together, and returns those that are left for the next request.
func (p *Publisher) batches(writes []*write) (batches []*batch, left []*write) {
	total := 0
	for _, w := range writes {
		at := slices.IndexFunc(batches, func(b *batch) bool {
			return b.topic == w.output.topic && b.partition == w.output.partition
		})
		switch {
		case total > 0 && total+w.bytes > requestBytes:
			left = append(left, w)
			continue
		case at < 0:
			batches = append(batches, &batch{w.output.topic, w.output.partition, []*write{w}, w.bytes, false})
		case w.separated || batches[at].writes[0].separated ||
			batches[at].bytes+w.bytes > cmp.Or(p.BatchBytes, defaultBatchBytes):
			left = append(left, w)
			continue
		default:
			batches[at].writes = append(batches[at].writes, w)
			batches[at].bytes += w.bytes
		}
		total += w.bytes
	}
	return batches, left
}

// request sends batches to a broker, and tells each write what became of it. It returns
// how long the broker is to be left alone.
func (p *Publisher) request(broker int, batches []*batch) (rest time.Duration) {
	rest, failure := p.sendOnce(broker, batches, func(b *batch, base int64, err error) {
		b.answered = true
		if len(b.writes) > 1 && (isRefusal(err) || errors.Is(err, kafka.InvalidTimestamp)) {
			err = errSeparate
		}
		for _, w := range b.writes {
			w.base, w.err = base, err
			base += int64(len(w.records))
		}
	})
	for _, b := range batches {
		for _, w := range b.writes {
			if !b.answered {
				w.err = cmp.Or(failure, errNoAnswer)
			}
			w.result <- w
		}
	}
	return rest
}

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// sendOnce sends one request, and tells what the broker says of each batch. Its error
// is of the request as a whole.
func (p *Publisher) sendOnce(broker int, batches []*batch, tell func(b *batch, base int64, err error)) (
	rest time.Duration, err error) {
	var waiting []context.Context
	total := 0
	for _, b := range batches {
		total += b.bytes
		for _, w := range b.writes {
			waiting = append(waiting, w.ctx)
		}
	}
	ctx, stop := gather.Together(waiting)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	request, now := wire.NewProduce(broker, ackTimeout), time.Now()
	buffer := buffers.Get().(*[]byte)
	room := slices.Grow((*buffer)[:0], total+total/16)
	for _, b := range batches {
		records := b.writes[0].records
		for _, w := range b.writes[1:] {
			records = append(records[:len(records):len(records)], w.records...)
		}
		start := len(room)
		if room, err = wire.AppendSet(room, records, p.Compression, now); err != nil {
			return 0, err
		}
		request.Add(b.topic, b.partition, room[start:len(room):len(room)])
	}
	rest, err = request.Send(ctx, p.Transport, p.Addr, func(topic topology.Topic, partition int, base int64, err error) {
		for _, b := range batches {
			if b.topic == topic && b.partition == partition {
				tell(b, base, err)
			}
		}
	})
	if err == nil { // otherwise the client may still be reading it
		*buffer = room
		buffers.Put(buffer)
	}
	return rest, err
}

// Errors are tries to publish that failed, and were made again, by their causes: our user
// has no right to write, or there are too few replicas in sync, or a broker does not answer or
// leads the partition no more.
type Errors struct{ Denied, Replicas, Away, Other atomic.Int64 }

func (e *Errors) of(err error) *atomic.Int64 {
	code, answered := errors.AsType[kafka.Error](err)
	switch {
	case errors.As(err, new(*topology.NoTopicError)):
		return &e.Other
	case !answered:
		return &e.Away
	}
	switch code {
	case kafka.TopicAuthorizationFailed, kafka.ClusterAuthorizationFailed, kafka.SASLAuthenticationFailed:
		return &e.Denied
	case kafka.NotEnoughReplicas, kafka.NotEnoughReplicasAfterAppend:
		return &e.Replicas
	case kafka.NotLeaderForPartition, kafka.LeaderNotAvailable, kafka.BrokerNotAvailable, kafka.RequestTimedOut:
		return &e.Away
	}
	return &e.Other
}

// refuses reports whether nothing of an output's topic is to be tried again after an error.
func (p *Publisher) refuses(o *output, err error) bool {
	return isRefusal(err) || errors.Is(err, kafka.TopicAuthorizationFailed) && slices.Contains(p.Expendable, o.topic)
}

// isRefusal reports whether a topic will never take what it was given, however
// often it is tried.
func isRefusal(err error) bool {
	return errors.Is(err, kafka.MessageSizeTooLarge) ||
		errors.Is(err, kafka.RecordListTooLarge) ||
		errors.Is(err, kafka.InvalidRecord)
}
