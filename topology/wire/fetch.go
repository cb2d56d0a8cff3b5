package wire

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	fetchapi "github.com/segmentio/kafka-go/protocol/fetch"

	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/retry"
)

// Fetch is one request for the committed records of partitions that one broker
// leads.
type Fetch struct{ request FetchRequest }

// fetchByID is the first version of fetches that names topics by their ids, that of Kafka 3.1.
const fetchByID = 13

// FetchRequest goes to a broker by its id, or, where that is AnyLeader, to the one that
// leads its partition as far as the transport knows. Where it names topics by their ids, nothing is
// ever read of another topic of the same name.
type FetchRequest struct {
	_               struct{}       `kafka:"min=v12,max=v13,tag"` // that there may be tags
	ReplicaID       int32          `kafka:"min=v0,max=v13"`
	MaxWaitTime     int32          `kafka:"min=v0,max=v13"`
	MinBytes        int32          `kafka:"min=v0,max=v13"`
	MaxBytes        int32          `kafka:"min=v3,max=v13"`
	IsolationLevel  int8           `kafka:"min=v4,max=v13"`
	SessionID       int32          `kafka:"min=v7,max=v13"`
	SessionEpoch    int32          `kafka:"min=v7,max=v13"`
	Topics          []RequestTopic `kafka:"min=v0,max=v13"`
	ForgottenTopics []RequestTopic `kafka:"min=v7,max=v13"` // none
	RackID          string         `kafka:"min=v11,max=v13"`

	at int32
}

// RequestTopic is what is asked of a topic.
type RequestTopic struct {
	Topic      string             `kafka:"min=v0,max=v12"`
	IDHigh     int64              `kafka:"min=v13,max=v13"`
	IDLow      int64              `kafka:"min=v13,max=v13"`
	Partitions []RequestPartition `kafka:"min=v0,max=v13"`

	id string
}

// RequestPartition is what is asked of a partition.
type RequestPartition struct {
	Partition          int32 `kafka:"min=v0,max=v13"`
	CurrentLeaderEpoch int32 `kafka:"min=v9,max=v13"`
	FetchOffset        int64 `kafka:"min=v0,max=v13"`
	LastFetchedEpoch   int32 `kafka:"min=v12,max=v13"`
	LogStartOffset     int64 `kafka:"min=v5,max=v13"`
	PartitionMaxBytes  int32 `kafka:"min=v0,max=v13"`
}

// AnyLeader is no broker's id.
const AnyLeader = -1

// ApiKey implements protocol.Message.
func (*FetchRequest) ApiKey() protocol.ApiKey { return protocol.Fetch }

// Required implements what the client asks of a message that is exchanged by itself: with a topic of which no id is
// known, as while a cluster is upgraded to Kafka 3.1, all are asked for by their names also where the broker takes ids.
func (r *FetchRequest) Required(versions map[protocol.ApiKey]int16) bool {
	return versions[protocol.Fetch] >= fetchByID &&
		slices.ContainsFunc(r.Topics, func(of RequestTopic) bool { return of.id == "" })
}

// RawExchange asks by name.
func (r *FetchRequest) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	return protocol.RoundTrip(rw, fetchByID-1, 1, "", r)
}

// Broker implements protocol.BrokerMessage.
func (r *FetchRequest) Broker(c protocol.Cluster) (protocol.Broker, error) {
	if r.at != AnyLeader {
		return brokerOf(c, r.at)
	}
	of := &r.Topics[0]
	return (&fetchapi.Request{Topics: []fetchapi.RequestTopic{{
		Topic: of.Topic, Partitions: []fetchapi.RequestPartition{{Partition: of.Partitions[0].Partition}},
	}}}).Broker(c)
}

// Named reports whether the request names its broker.
func (r *FetchRequest) Named() bool { return r.at != AnyLeader }

// NewFetch makes a request to a broker that is answered when there are least bytes, or
// after wait, and with about most bytes.
func NewFetch(broker int, wait time.Duration, least, most int) *Fetch {
	return &Fetch{FetchRequest{
		at:             int32(broker),
		ReplicaID:      -1,
		MaxWaitTime:    int32(wait.Milliseconds()),
		MinBytes:       int32(least),
		MaxBytes:       int32(most),
		IsolationLevel: int8(kafka.ReadCommitted),
		SessionEpoch:   -1,
	}}
}

// Add asks for about most bytes of a partition of the topic that has an id, from an offset on. The
// partitions of one topic are best added one after the other. A topic without an id takes those of all others
// off the request: it is to have one of its own.
func (f *Fetch) Add(topic topology.Topic, id string, partition int, offset int64, most int) {
	n := len(f.request.Topics)
	if n == 0 || f.request.Topics[n-1].id != id || f.request.Topics[n-1].Topic != string(topic) {
		var raw [16]byte // what is no id is none
		_, _ = base64.RawURLEncoding.Decode(raw[:], []byte(id)[:min(len(id), topicIDLength)])
		f.request.Topics = append(f.request.Topics, RequestTopic{Topic: string(topic), id: id,
			IDHigh: int64(binary.BigEndian.Uint64(raw[:])), IDLow: int64(binary.BigEndian.Uint64(raw[8:]))})
	}
	last := &f.request.Topics[len(f.request.Topics)-1]
	last.Partitions = append(last.Partitions, RequestPartition{
		Partition:          int32(partition),
		CurrentLeaderEpoch: -1,
		FetchOffset:        offset,
		LastFetchedEpoch:   -1,
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
	for i := range answer.Topics {
		is := &answer.Topics[i]
		byName := is.Topic != ""
		for _, of := range f.request.Topics {
			if is.Topic == of.Topic || !byName && of.IDHigh == is.IDHigh && of.IDLow == is.IDLow {
				is.Topic, is.ID = of.Topic, of.id
				break
			}
		}
		for j := range is.Partitions {
			if of := &is.Partitions[j]; of.Compact.Bytes != nil {
				of.RecordSet = of.Compact.RecordSet
			}
		}
	}
	return answer.Topics, throttled(answer.ThrottleTimeMs), nil
}

// Await is Send, repeated for as long as a quota is used up: the broker then answers at once, with nothing.
func (f *Fetch) Await(ctx context.Context, transport kafka.RoundTripper, addr net.Addr) ([]FetchedTopic, error) {
	topics, rest, err := f.Send(ctx, transport, addr)
	for err == nil && rest > 0 && len(topics) == 0 && retry.Sleep(ctx, rest) {
		topics, rest, err = f.Send(ctx, transport, addr)
	}
	return topics, err
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
	_              struct{}       `kafka:"min=v12,max=v13,tag"`
	ThrottleTimeMs int32          `kafka:"min=v1,max=v13"`
	ErrorCode      int16          `kafka:"min=v7,max=v13"`
	SessionID      int32          `kafka:"min=v7,max=v13"`
	Topics         []FetchedTopic `kafka:"min=v0,max=v13"`
}

func (*fetchResponse) ApiKey() protocol.ApiKey { return protocol.Fetch }

// FetchedTopic is what an answer has of a topic.
type FetchedTopic struct {
	Topic      string             `kafka:"min=v0,max=v12"` // of answers by id too
	IDHigh     int64              `kafka:"min=v13,max=v13"`
	IDLow      int64              `kafka:"min=v13,max=v13"`
	Partitions []FetchedPartition `kafka:"min=v0,max=v13"`
	ID         string             `kafka:"-"` // as it was asked for
}

// FetchedPartition is what an answer has of a partition: an error code, or record
// batches, the last perhaps cut off.
type FetchedPartition struct {
	Partition            int32                `kafka:"min=v0,max=v13"`
	ErrorCode            int16                `kafka:"min=v0,max=v13"`
	HighWatermark        int64                `kafka:"min=v0,max=v13"`
	LastStableOffset     int64                `kafka:"min=v4,max=v13"`
	LogStartOffset       int64                `kafka:"min=v5,max=v13"`
	AbortedTransactions  []AbortedTransaction `kafka:"min=v4,max=v13"`
	PreferredReadReplica int32                `kafka:"min=v11,max=v13"`
	RecordSet            RecordSet            `kafka:"min=v0,max=v11"`
	Compact              compactRecordSet     `kafka:"min=v12,max=v13"` // which becomes the RecordSet
}

// AbortedTransaction is whose it was, and the first offset that it has in the answer's partition.
type AbortedTransaction struct {
	ProducerID  int64 `kafka:"min=v4,max=v13"`
	FirstOffset int64 `kafka:"min=v4,max=v13"`
}

// RecordSet is record batches one after the other, the last perhaps cut off.
type RecordSet struct{ Bytes []byte }

// compactRecordSet is one whose size is written otherwise.
type compactRecordSet struct{ RecordSet }

// mostAnswered bounds what one partition's answer may say that it has: many times
// what a fetch asks for, and more than a broker takes as one batch.
const mostAnswered = 256 << 20

var errAnswerTooLarge = errors.New("the broker's answer is larger than any batch may be")

// ReadFrom reads the set and the size before it. What reads answers counts for itself.
func (s *RecordSet) ReadFrom(r io.Reader) (_ int64, err error) {
	var size [4]byte
	if _, err = io.ReadFull(r, size[:]); err != nil {
		return 0, err
	}
	if n := int32(binary.BigEndian.Uint32(size[:])); n > 0 {
		s.Bytes, err = readN(r, uint64(n))
	}
	return 0, err
}

// ReadFrom reads the set and the size before it, which is one more than the bytes.
func (s *compactRecordSet) ReadFrom(r io.Reader) (int64, error) {
	n, err := binary.ReadUvarint(r.(io.ByteReader))
	if err == nil && n > 1 {
		s.Bytes, err = readN(r, n-1)
	}
	return 0, err
}

// readN reads so many bytes of an answer.
func readN(r io.Reader, n uint64) ([]byte, error) {
	if n > mostAnswered {
		return nil, errAnswerTooLarge
	}
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	return b, err
}

// WriteTo is there for the client's registry, which asks for both ways: nobody writes answers.
func (s *RecordSet) WriteTo(io.Writer) (int64, error) { return 0, errors.ErrUnsupported }
