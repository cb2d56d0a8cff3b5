package wire

import (
	"bytes"
	"context"
	"net"
	"slices"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	produceapi "github.com/segmentio/kafka-go/protocol/produce"
	"github.com/segmentio/kafka-go/protocol/rawproduce"

	"github.com/meddela/meddela/topology"
)

// Produce is one request to write batches to partitions that one broker leads. It
// is answered when all replicas in sync have them.
type Produce struct{ request ProduceRequest }

// ProduceRequest goes to a broker by its id.
type ProduceRequest struct {
	rawproduce.Request `kafka:"min=v0,max=v8"`
	at                 int32
}

// Broker implements protocol.BrokerMessage.
func (r *ProduceRequest) Broker(c protocol.Cluster) (protocol.Broker, error) {
	return brokerOf(c, r.at)
}

func init() {
	r := new(ProduceRequest)
	protocol.RegisterOverride(r, new(produceapi.Response), r.TypeKey())
}

// NewProduce makes a request to a broker, which waits so long for its replicas.
func NewProduce(broker int, ackTimeout time.Duration) *Produce {
	return &Produce{ProduceRequest{at: int32(broker), Request: rawproduce.Request{
		Acks: int16(kafka.RequireAll), Timeout: int32(ackTimeout.Milliseconds()),
	}}}
}

// Add adds a partition's record set, as AppendSet makes it.
func (p *Produce) Add(topic topology.Topic, partition int, set []byte) {
	at := slices.IndexFunc(p.request.Topics, func(t rawproduce.RequestTopic) bool { return t.Topic == string(topic) })
	if at < 0 {
		at = len(p.request.Topics)
		p.request.Topics = append(p.request.Topics, rawproduce.RequestTopic{Topic: string(topic)})
	}
	to := &p.request.Topics[at]
	to.Partitions = append(to.Partitions, rawproduce.RequestPartition{
		Partition: int32(partition), RecordSet: protocol.RawRecordSet{Reader: bytes.NewReader(set)},
	})
}

// Send tells of each partition that the broker answers for the offset of its
// batch's first record, or the error. It returns how long nothing more is to be asked of
// the broker, as our quota is used up.
func (p *Produce) Send(ctx context.Context, transport kafka.RoundTripper, addr net.Addr,
	tell func(topic topology.Topic, partition int, base int64, err error)) (rest time.Duration, err error) {
	m, err := transport.RoundTrip(ctx, addr, &p.request)
	if err != nil {
		return 0, err
	}
	answer := m.(*produceapi.Response)
	for _, t := range answer.Topics {
		for _, partition := range t.Partitions {
			var err error
			if partition.ErrorCode != 0 {
				err = kafka.Error(partition.ErrorCode)
			}
			tell(topology.Topic(t.Topic), int(partition.Partition), partition.BaseOffset, err)
		}
	}
	return throttled(answer.ThrottleTimeMs), nil
}
