package producer_test

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/test/fixtures"
	"github.com/meddela/meddela/topology"
)

// mortal are connections that a broker hangs up on when it is asked something after the
// end of their session.
type mortal struct{ net.Listener }

type mortalConn struct {
	net.Conn
	end time.Time
}

const lifetime = time.Second

func (l mortal) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return &mortalConn{conn, time.Now().Add(lifetime)}, err
}

func (c *mortalConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if time.Now().After(c.end) {
		return 0, io.EOF
	}
	return n, err
}

type handlesAll struct{}

func (handlesAll) Handle(_ context.Context, b consumer.Batch) (consumer.Result, error) {
	return consumer.Result{Handled: len(b.Records)}, nil
}

// A login that ends (connections.max.reauth.ms) costs no request, and no place in a group.
func TestSessionsEnd(t *testing.T) {
	topic := names.Events(topology.Realtime)
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, string(topic)), kfake.EnableSASL(),
		kfake.Superuser("PLAIN", "u", "hunter2"),
		kfake.BrokerConfigs(map[string]string{"connections.max.reauth.ms": "1000"}),
		kfake.ListenFn(func(network, address string) (net.Listener, error) {
			l, err := net.Listen(network, address)
			return mortal{l}, err
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	var logins, joins atomic.Int64
	for key, count := range map[kmsg.Key]*atomic.Int64{kmsg.SASLAuthenticate: &logins, kmsg.JoinGroup: &joins} {
		cluster.ControlKey(int16(key), func(kmsg.Request) (kmsg.Response, error, bool) {
			cluster.KeepControl()
			count.Add(1)
			return nil, nil, false
		})
	}
	link := producer.Connection{Brokers: cluster.ListenAddrs(), SASL: plain.Mechanism{Username: "u", Password: "hunter2"}}
	transport := transport(t, link)
	publisher := &producer.Publisher{Addr: link.Addr(), Transport: transport}
	loop := consumer.New(consumer.Config{
		Role: topology.RoleMatch, Lane: topology.Realtime, Names: names, Topics: []topology.Topic{topic},
		Handler:   handlesAll{},
		Publisher: publisher, Brokers: link.Brokers, Transport: transport,
		Log: zerolog.New(zerolog.NewTestWriter(t)),
	})
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = loop.Run(ctx) })
	defer func() { stop(); running.Wait() }()
	fixtures.Eventually(t, "the loop has joined", loop.Stats().Joined)
	joined := joins.Load()
	for n := int64(1); logins.Load() < 20; n++ {
		records := []topology.Record{{Topic: topic, Value: []byte("{}")}}
		if _, err := publisher.Publish(fixtures.Soon(t), int(n), records); err != nil {
			t.Fatal(err)
		}
		fixtures.Eventually(t, "the record is handled", func() bool { return loop.Stats().Fetched() >= n })
	}
	if fetches, failed, commits := loop.Stats().Faults(); joins.Load() != joined || fetches+failed+commits > 0 {
		t.Errorf("%d joins, %d fetches failed, %d joins, %d commits", joins.Load()-joined, fetches, failed, commits)
	}
}
