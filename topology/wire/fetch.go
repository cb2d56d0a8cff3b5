package wire

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	fetchapi "github.com/segmentio/kafka-go/protocol/fetch"

	"github.com/meddela/meddela/topology"
)

// Fetch is one request for the committed records of partitions that one broker
// leads.
type Fetch struct{ request FetchRequest }

// FetchRequest goes to a broker by its id, or, where that is AnyLeader, to the one that
// leads the partitions as far as the transport knows.
type FetchRequest struct {
	fetchapi.Request `kafka:"min=v0,max=v11"`
	at               int32
}

// AnyLeader is no broker's id.
const AnyLeader = -1

// Broker implements protocol.BrokerMessage.
func (r *FetchRequest) Broker(c protocol.Cluster) (protocol.Broker, error) {
	if r.at == AnyLeader {
		return r.Request.Broker(c)
	}
	return brokerOf(c, r.at)
}

// Named reports whether the request names its broker.
func (r *FetchRequest) Named() bool { return r.at != AnyLeader }

// NewFetch makes a request to a broker that is answered when there are least bytes, or
// after wait, and with about most bytes.
func NewFetch(broker int, wait time.Duration, least, most int) *Fetch {
	return &Fetch{FetchRequest{at: int32(broker), Request: fetchapi.Request{
		ReplicaID:      -1,
		MaxWaitTime:    int32(wait.Milliseconds()),
		MinBytes:       int32(least),
		MaxBytes:       int32(most),
		IsolationLevel: int8(kafka.ReadCommitted),
		SessionID:      -1,
		SessionEpoch:   -1,
	}}}
}

// Add asks for about most bytes of a partition from an offset on. The partitions
// of one topic are best added one after the other.
func (f *Fetch) Add(topic topology.Topic, partition int, offset int64, most int) {
	if n := len(f.request.Topics); n == 0 || f.request.Topics[n-1].Topic != string(topic) {
		f.request.Topics = append(f.request.Topics, fetchapi.RequestTopic{Topic: string(topic)})
	}
	last := &f.request.Topics[len(f.request.Topics)-1]
	last.Partitions = append(last.Partitions, fetchapi.RequestPartition{
		Partition:          int32(partition),
		CurrentLeaderEpoch: -1,
		FetchOffset:        offset,
		LogStartOffset:     -1,
		PartitionMaxBytes:  int32(most),
	})
}

// answerTime is how much longer than it was asked to a broker may take to answer.
const answerTime = 10 * time.Second

// Send returns the answer's partitions by topic, and how long nothing more is to be asked
// of the broker. Where our quota is used up it answers at once, with no partition, and
// reads nothing from the connection until that is over.
func (f *Fetch) Send(ctx context.Context, transport kafka.RoundTripper, addr net.Addr) (topics []FetchedTopic,
	rest time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(f.request.MaxWaitTime)*time.Millisecond+answerTime)
	defer cancel()
	m, err := transport.RoundTrip(ctx, addr, &f.request)
	if err != nil {
		return nil, 0, err
	}
	answer := m.(*fetchResponse)
	if answer.ErrorCode != 0 {
		return nil, 0, kafka.Error(answer.ErrorCode)
	}
	return answer.Topics, throttled(answer.ThrottleTimeMs), nil
}

// mostThrottled bounds what a broker may say that it throttles for: more than a request
// can use up of the least quota.
const mostThrottled = time.Minute

func throttled(ms int32) time.Duration { return min(time.Duration(ms)*time.Millisecond, mostThrottled) }

// The client's own answer to a fetch unpacks and copies every record while it
// reads it, and fails for all partitions where one of them cannot be read. This
// one leaves the records of each partition as they came. The client knows one type
// of answer for each request, so that kafka.Client.Fetch does not work in a program
// that imports this package.
func init() { protocol.Register(new(FetchRequest), new(fetchResponse)) }

type fetchResponse struct {
	ThrottleTimeMs int32          `kafka:"min=v1,max=v11"`
	ErrorCode      int16          `kafka:"min=v7,max=v11"`
	SessionID      int32          `kafka:"min=v7,max=v11"`
	Topics         []FetchedTopic `kafka:"min=v0,max=v11"`
}

func (*fetchResponse) ApiKey() protocol.ApiKey { return protocol.Fetch }

// FetchedTopic is what an answer has of a topic.
type FetchedTopic struct {
	Topic      string             `kafka:"min=v0,max=v11"`
	Partitions []FetchedPartition `kafka:"min=v0,max=v11"`
}

// FetchedPartition is what an answer has of a partition: an error code, or record
// batches, the last perhaps cut off.
type FetchedPartition struct {
	Partition            int32                          `kafka:"min=v0,max=v11"`
	ErrorCode            int16                          `kafka:"min=v0,max=v11"`
	HighWatermark        int64                          `kafka:"min=v0,max=v11"`
	LastStableOffset     int64                          `kafka:"min=v4,max=v11"`
	LogStartOffset       int64                          `kafka:"min=v5,max=v11"`
	AbortedTransactions  []fetchapi.ResponseTransaction `kafka:"min=v4,max=v11"`
	PreferredReadReplica int32                          `kafka:"min=v11,max=v11"`
	RecordSet            RecordSet                      `kafka:"min=v0,max=v11"`
}

// RecordSet is record batches one after the other, the last perhaps cut off.
type RecordSet struct{ Bytes []byte }

// mostAnswered bounds what one partition's answer may say that it has: many times
// what a fetch asks for, and more than a broker takes as one batch.
const mostAnswered = 256 << 20

var errAnswerTooLarge = errors.New("the broker's answer is larger than any batch may be")

// ReadFrom reads the set and the size before it.
func (s *RecordSet) ReadFrom(r io.Reader) (int64, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return 0, err
	}
	n := int32(binary.BigEndian.Uint32(size[:]))
	if n <= 0 {
		return 4, nil
	}
	if n > mostAnswered {
		return 4, errAnswerTooLarge
	}
	s.Bytes = make([]byte, n)
	read, err := io.ReadFull(r, s.Bytes)
	return int64(4 + read), err
}

// WriteTo is there for the client's registry, which asks for both ways: nobody writes answers.
func (s *RecordSet) WriteTo(io.Writer) (int64, error) { return 0, errors.ErrUnsupported }
