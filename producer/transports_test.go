package producer_test

import (
	"encoding/binary"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/producer/embedded"
	"github.com/meddela/meddela/test/fixtures"
	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/wire"
)

// noted are connections of which it is noted what kinds of requests each carries.
type noted struct {
	net.Listener
	mu    *sync.Mutex
	kinds map[net.Conn][]int16
}

func (l noted) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return &notedConn{Conn: conn, all: l}, err
}

type notedConn struct {
	net.Conn
	all    noted
	unread []byte // of requests that have not come whole
}

func (c *notedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.all.mu.Lock()
	defer c.all.mu.Unlock()
	c.unread = append(c.unread, b[:n]...)
	for len(c.unread) >= 6 {
		end := 4 + int(binary.BigEndian.Uint32(c.unread))
		if len(c.unread) < end {
			break
		}
		c.all.kinds[c] = append(c.all.kinds[c], int16(binary.BigEndian.Uint16(c.unread[4:])))
		c.unread = c.unread[end:]
	}
	return n, err
}

// TestTransports: what a quota may hold up, fetches and produces, shares no connection with anything else, nor with
// one another.
func TestTransports(t *testing.T) {
	all := noted{mu: new(sync.Mutex), kinds: make(map[net.Conn][]int16)}
	listen := func(network, address string) (net.Listener, error) {
		l, err := net.Listen(network, address)
		return noted{l, all.mu, all.kinds}, err
	}
	broker, err := embedded.StartBroker(embedded.BrokerConfig{Listen: listen})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	topic := names.Jobs(topology.Realtime)
	if err := broker.Cluster.CreateTopic(string(topic), 1, nil); err != nil {
		t.Fatal(err)
	}
	link := producer.Connection{Brokers: []string{broker.Addr()}, Topics: []topology.Topic{names.Control(), topic}}
	transport := link.Transports()
	t.Cleanup(transport.CloseIdleConnections)
	publisher := &producer.Publisher{Addr: link.Addr(), Transport: transport}
	group := wire.Group{Name: "g", Addr: link.Addr(), Transport: transport}
	records := []topology.Record{{Topic: topic, Value: []byte("x")}}
	for range 3 {
		if _, err := publisher.Publish(fixtures.Soon(t), 0, records); err != nil {
			t.Fatal(err)
		}
		fetch := wire.NewFetch(0, 0, 1, 1<<20)
		fetch.Add(topic, "", 0, 0, 1<<20)
		if found, _, err := fetch.Send(t.Context(), transport, link.Addr()); err != nil || len(found) != 1 {
			t.Fatal(found, err)
		}
		if err := group.Heartbeat(t.Context(), wire.Membership{Member: "m"}); err == nil {
			t.Fatal("a heartbeat of nobody is taken")
		}
	}
	all.mu.Lock()
	defer all.mu.Unlock()
	found := make(map[kmsg.Key]int)
	for _, kinds := range all.kinds {
		of := make(map[kmsg.Key]bool)
		for _, kind := range kinds {
			of[kmsg.Key(kind)] = true
		}
		for _, kind := range []kmsg.Key{kmsg.Fetch, kmsg.Produce, kmsg.Heartbeat} {
			if of[kind] {
				found[kind]++
				delete(of, kmsg.ApiVersions)
				if len(of) > 1 {
					t.Errorf("one connection carries %v", of)
				}
			}
		}
	}
	if len(found) != 3 {
		t.Errorf("connections of each kind: %v", found)
	}
}

// TestProduceQuota: a broker that says that a quota is used up is written nothing more for as long as it says.
func TestProduceQuota(t *testing.T) {
	const throttle = 200 * time.Millisecond
	k := fixtures.StartKafka(t, embedded.BrokerConfig{})
	topic := names.Jobs(topology.Realtime)
	k.CreateTopic(t, topic, 1, nil)
	var requests, early atomic.Int64
	var until atomic.Int64
	k.Cluster.ControlKey(int16(kmsg.Produce), func(request kmsg.Request) (kmsg.Response, error, bool) {
		k.Cluster.KeepControl()
		requests.Add(1)
		if time.Now().UnixNano() < until.Load() {
			early.Add(1)
		}
		until.Store(time.Now().Add(throttle).UnixNano())
		r := request.(*kmsg.ProduceRequest)
		response := r.ResponseKind().(*kmsg.ProduceResponse)
		response.ThrottleMillis = int32(throttle.Milliseconds())
		for _, t := range r.Topics {
			answer := kmsg.NewProduceResponseTopic()
			answer.Topic = t.Topic
			for _, p := range t.Partitions {
				partition := kmsg.NewProduceResponseTopicPartition()
				partition.Partition = p.Partition
				answer.Partitions = append(answer.Partitions, partition)
			}
			response.Topics = append(response.Topics, answer)
		}
		return response, nil, true
	})
	for i := range 3 {
		records := []topology.Record{{Topic: topic, Value: []byte("x")}}
		if refused, err := k.Publisher.Publish(fixtures.Soon(t), 0, records); err != nil || refused != nil {
			t.Fatal(i, refused, err)
		}
	}
	if requests.Load() != 3 || early.Load() > 0 {
		t.Errorf("%d requests, %d before the time that the broker had said", requests.Load(), early.Load())
	}
}
