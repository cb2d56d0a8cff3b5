package producer

import (
	"cmp"
	"context"
	"crypto/tls"
	"net"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"

	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/wire"
)

// Connection says how to reach a Kafka cluster. The client library has two
// stacks, one for requests and one for consumer groups; both are made here, so
// that they cannot differ.
type Connection struct {
	Brokers  []string // the addresses to start from, host:port
	ClientID string   // what brokers log and meter; default "meddela"
	// Topics are those that metadata is asked for, every second or so. Default all
	// of the cluster, which may be many.
	Topics []topology.Topic
	// TLS is asked at each connection, so that certificates can be replaced; nil is plain text.
	TLS  func() *tls.Config
	SASL sasl.Mechanism // says who we are, at each connection and before a session ends; nil is nobody
	// DialContext opens connections in place of a net.Dialer.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)
}

const (
	dialTimeout = 5 * time.Second
	// metadataTTL is how long a moved partition leader may go unnoticed.
	metadataTTL = time.Second
	// idleTimeout is longer than the longest fetch, so that busy
	// connections are kept.
	idleTimeout = time.Minute
)

// Addr is the cluster's address for requests.
func (c Connection) Addr() net.Addr { return kafka.TCP(c.Brokers...) }

// Transport carries requests over pooled connections. Each caller that must
// not wait for another one's requests takes its own.
func (c Connection) Transport() *kafka.Transport {
	var topics []string
	for _, t := range c.Topics {
		topics = append(topics, string(t))
	}
	return &kafka.Transport{
		Dial:        c.dial,
		DialTimeout: dialTimeout,
		IdleTimeout: idleTimeout,
		MetadataTTL: metadataTTL, MetadataTopics: topics,
		ClientID: c.clientID(),
	}
}

// Transports carry requests as one does, but fetches and produces that name their broker
// each over connections of their own: a broker reads nothing more from one for as long as
// it throttles it, which may be longer than a session, and no heartbeat is to wait behind.
type Transports struct{ others, fetches, produces *kafka.Transport }

// Transports are for who has a quota.
func (c Connection) Transports() *Transports {
	t := &Transports{others: c.Transport()}
	c.Topics = c.Topics[:min(1, len(c.Topics))] // only the brokers are looked up
	t.fetches, t.produces = c.Transport(), c.Transport()
	return t
}

// RoundTrip implements kafka.RoundTripper.
func (t *Transports) RoundTrip(ctx context.Context, addr net.Addr, request kafka.Request) (kafka.Response, error) {
	to := t.others
	switch r := request.(type) {
	case *wire.FetchRequest:
		if r.Named() {
			to = t.fetches
		}
	case *wire.ProduceRequest:
		to = t.produces
	}
	return to.RoundTrip(ctx, addr, request)
}

// CloseIdleConnections closes those that nobody uses, and others once nobody does.
func (t *Transports) CloseIdleConnections() {
	for _, one := range []*kafka.Transport{t.others, t.fetches, t.produces} {
		one.CloseIdleConnections()
	}
}

// Dialer makes single connections, to ask brokers one by one.
func (c Connection) Dialer() *kafka.Dialer {
	return &kafka.Dialer{ClientID: c.clientID(), Timeout: dialTimeout, DialFunc: c.dial}
}

func (c Connection) clientID() string { return cmp.Or(c.ClientID, "meddela") }
