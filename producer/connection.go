package producer

import (
	"cmp"
	"crypto/tls"
	"net"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"

	"github.com/meddela/meddela/topology"
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

// Dialer makes single connections, to ask brokers one by one.
func (c Connection) Dialer() *kafka.Dialer {
	return &kafka.Dialer{ClientID: c.clientID(), Timeout: dialTimeout, DialFunc: c.dial}
}

func (c Connection) clientID() string { return cmp.Or(c.ClientID, "meddela") }
