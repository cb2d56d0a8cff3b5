package embedded

import (
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

const loopback = "127.0.0.1"

// BrokerConfig says how a Broker is to be. The zero value is one on any free
// port.
type BrokerConfig struct {
	// Port to listen on; 0 is any that is free.
	Port int
	// RetainBytes bounds what is kept of each partition, so that a broker
	// that runs for long does not fill the memory. Default 16 MiB; a topic's
	// own retention.bytes goes before it.
	RetainBytes int64
}

// Broker is a Kafka broker of one node.
type Broker struct {
	cluster  *kfake.Cluster
	listener *gate
}

const (
	defaultRetainBytes = 16 << 20
	// segmentBytes is what retention removes at once.
	segmentBytes = 1 << 20
	// retentionInterval is how often retention is looked at.
	retentionInterval = 5 * time.Second
	minSessionTimeout = time.Second
)

// StartBroker starts a broker. Its error names the address that could not be
// listened on.
func StartBroker(config BrokerConfig) (*Broker, error) {
	if config.RetainBytes == 0 {
		config.RetainBytes = defaultRetainBytes
	}
	b := new(Broker)
	cluster, err := kfake.NewCluster(
		kfake.NumBrokers(1),
		kfake.ListenFn(func(string, string) (net.Listener, error) {
			var err error
			b.listener, err = listen(config.Port)
			return b.listener, err
		}),
		kfake.GroupMinSessionTimeout(minSessionTimeout),
		kfake.BrokerConfigs(map[string]string{
			"log.retention.bytes":    strconv.FormatInt(config.RetainBytes, 10),
			"log.segment.bytes":      strconv.Itoa(segmentBytes),
			"log.cleaner.backoff.ms": strconv.FormatInt(retentionInterval.Milliseconds(), 10),
		}),
	)
	if err != nil {
		return nil, fmt.Errorf("embedded broker: %w", err)
	}
	b.cluster = cluster
	return b, nil
}

// Addr is where the broker listens, host:port.
func (b *Broker) Addr() string { return b.listener.Addr().String() }

// Close stops the broker and forgets everything.
func (b *Broker) Close() { b.cluster.Close() }
