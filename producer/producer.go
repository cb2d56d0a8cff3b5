package producer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/oklog/ulid/v2"
	"github.com/rs/zerolog"
	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/topology"
)

// Config says where a Producer publishes. Only Connection.Brokers is required.
type Config struct {
	Connection  Connection
	Prefix      string            // of the topic names; default topology.DefaultPrefix; "-" is none
	Compression kafka.Compression // of the batches; default none
	Log         *zerolog.Logger   // hears of failed tries; default none
	// IDWithOrigin is what MEDDELA_EVENTS_ID_WITH_ORIGIN says there.
	IDWithOrigin bool
}

// Producer publishes events. It is safe for use by several goroutines, and
// fastest when given many events a call.
type Producer struct {
	names     topology.Topics
	transport *kafka.Transport
	publisher *Publisher
	next      atomic.Uint32 // the partition of the next call's events without id
}

// New makes a Producer. It connects at the first call.
func New(config Config) (*Producer, error) {
	if len(config.Connection.Brokers) == 0 {
		return nil, errors.New("producer: Connection.Brokers is empty: name at least one broker, such as 127.0.0.1:9092")
	}
	log := zerolog.Nop()
	if config.Log != nil {
		log = *config.Log
	}
	prefix := cmp.Or(config.Prefix, topology.DefaultPrefix)
	if prefix == "-" {
		prefix = ""
	}
	names := topology.Topics{Prefix: prefix, IDWithOrigin: config.IDWithOrigin}
	config.Connection.Topics = []topology.Topic{names.Events(topology.Realtime), names.Events(topology.Batch)}
	transport := config.Connection.Transport()
	return &Producer{
		names:     names,
		transport: transport,
		publisher: &Publisher{
			Addr: config.Connection.Addr(), Transport: transport, Compression: config.Compression, Log: log,
		},
	}, nil
}

// Close closes idle connections.
func (p *Producer) Close() { p.transport.CloseIdleConnections() }

// Receipt says what became of one event.
type Receipt struct {
	// ID is the event's id: its own or, without one, the id that its place
	// gives it. Empty when it has none and was not published.
	ID        topology.EventID
	Partition int
	Offset    int64
	// Err is nil when all replicas in sync have the event. Otherwise the
	// event was refused (*topology.Fault), or it is not known whether it was
	// written: publishing it again with the same id is safe.
	Err error
}

// Publish publishes events to a lane and returns one receipt for each, in
// their order. An event without an id is given one, so that writing it again
// after a lost acknowledgement does not make it two. Publish returns when every
// event is acknowledged or has failed; it tries again for as long as ctx lasts, so give ctx a deadline. Events that
// break the contract fail at once and harm no other. The error says how many
// failed, and wraps the first one's.
func (p *Producer) Publish(ctx context.Context, lane topology.Lane, events []topology.Event) ([]Receipt, error) {
	records := make([]topology.Record, len(events))
	for i := range events {
		event := events[i]
		if event.ID == "" {
			event.ID = topology.EventID(ulid.Make().String())
		}
		// Decoding takes channels in any case, encoding only in their own.
		event.Channel = topology.Channel(strings.ToLower(string(event.Channel)))
		records[i] = topology.Record{Key: []byte(event.ID), Value: event.Append(nil)}
	}
	return p.PublishRecords(ctx, lane, records)
}

// PublishRecords is Publish for events that are encoded already: Value, and
// where wanted Key, Headers and Time. A record without a key is given its
// event's id as key. When ctx has ended first, some may still be on their way: their bytes
// are not to be changed then. Events without an id of their own may be written twice,
// and then are two events, when an acknowledgement is lost.
func (p *Producer) PublishRecords(ctx context.Context, lane topology.Lane, records []topology.Record) ([]Receipt,
	error) {
	receipts := make([]Receipt, len(records))
	topic := p.names.Events(lane)
	count, err := p.publisher.awaitCount(ctx, topic)
	if err != nil {
		for i := range receipts {
			receipts[i].Err = fmt.Errorf("topic %s cannot be reached: %w", topic, err)
		}
		return receipts, firstFault(receipts)
	}
	var outputs []*output
	for number, members := range p.assign(lane, records, receipts, count) {
		if len(members) > 0 {
			outputs = append(outputs, p.output(topic, number, lane, records, members, receipts))
		}
	}
	err = p.publisher.write(ctx, outputs)
	for _, o := range outputs {
		if o.done < len(o.records) {
			o.tell(o.done, len(o.records), 0, err)
		}
	}
	return receipts, firstFault(receipts)
}

// assign checks the events and chooses their partitions: by id as Java's
// clients do, or the same one for all of a call's events without id.
func (p *Producer) assign(lane topology.Lane, records []topology.Record, receipts []Receipt, count int) [][]int {
	members := make([][]int, count)
	numbers := make([]int, count)
	for i := range numbers {
		numbers[i] = i
	}
	sticky := int(p.next.Add(1)) % count
	var balancer kafka.Murmur2Balancer
	for i := range records {
		r := &records[i]
		event, err := p.names.DecodeEvent(*r, lane)
		hasOwnID := event.ID != topology.PositionID(lane, r.Partition, r.Offset)
		if hasOwnID {
			receipts[i].ID = event.ID
		}
		if err != nil {
			receipts[i].Err = err
			continue
		}
		partition := sticky
		if hasOwnID && r.Key == nil {
			r.Key = []byte(event.ID)
		}
		if r.Key != nil {
			partition = balancer.Balance(kafka.Message{Key: r.Key}, numbers...)
		}
		members[partition] = append(members[partition], i)
	}
	return members
}

// output is what the call writes to one partition; it fills in the receipts.
func (p *Producer) output(topic topology.Topic, partition int, lane topology.Lane, records []topology.Record,
	members []int, receipts []Receipt) *output {
	o := &output{topic: topic, number: partition, partition: partition}
	for _, m := range members {
		o.records = append(o.records, &records[m])
	}
	o.tell = func(from, to int, base int64, err error) {
		for i := from; i < to; i++ {
			r := &receipts[members[i]]
			r.Partition, r.Offset, r.Err = o.partition, base+int64(i-from), explain(topic, err)
			if r.ID == "" && err == nil {
				r.ID = topology.PositionID(lane, r.Partition, r.Offset)
			}
		}
	}
	return o
}

func explain(topic topology.Topic, err error) error {
	switch {
	case err == nil:
		return nil
	case isRefusal(err):
		return &topology.Fault{
			Reason: topology.ReasonTopicRejected,
			Detail: "topic " + string(topic) + " does not take this event: " + err.Error(),
		}
	}
	return fmt.Errorf("not known to be written to topic %s: %w", topic, err)
}

func firstFault(receipts []Receipt) (fault error) {
	failed := 0
	for i := len(receipts) - 1; i >= 0; i-- {
		if err := receipts[i].Err; err != nil {
			failed++
			fault = fmt.Errorf("event %d of the call: %w", i, err)
		}
	}
	if failed > 0 {
		fault = fmt.Errorf("%d of %d events were not published; the first, %w", failed, len(receipts), fault)
	}
	return fault
}
