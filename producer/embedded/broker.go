package embedded

import (
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// BrokerConfig says how a Broker is to be. Its zero value is a broker of one
// node on any free port.
type BrokerConfig struct {
	// Port to listen on; 0 is any that is free.
	Port int
	// Nodes of the cluster, default 1. More are for tests with leaders that
	// move; all but the first listen on any free port.
	Nodes int

	// The memory of a partition is bounded by two sizes, in bytes of records
	// as they were sent, looked at every quarter of a second. They do not hold
	// for compacted topics, nor for those with a retention.bytes of their own.
	// The memory taken is about twice as much, and more with large batches.

	// RetainBytes is how much is kept to look back at. Default 16 MiB.
	RetainBytes int64
	// BacklogBytes is how much is kept for a group that has not committed it
	// yet, before it is forgotten unread. Default 256 MiB.
	BacklogBytes int64
}

// Broker is a Kafka-protocol broker in this process, for trying meddela out and
// for tests; it keeps nothing after Close. Topics have to be created, none
// springs up because it is asked for.
type Broker struct {
	cluster   *kfake.Cluster
	retention *retention
	gates     []*gate // one for each node
	outages   outages

	mu     sync.Mutex
	closed bool
}

const (
	loopback            = "127.0.0.1"
	defaultRetainBytes  = 16 << 20
	defaultBacklogBytes = 256 << 20
	// segmentBytes is the unit in which memory is given back.
	segmentBytes = 1 << 20
	// cleaningInterval is how often topics are compacted, and kept to the
	// retention that they ask for themselves.
	cleaningInterval = 5 * time.Second
	// minSessionTimeout lets tests see soon that a member is gone.
	minSessionTimeout = time.Second
)

// StartBroker starts a broker. Its error is an *AddressError when the port
// cannot be had.
func StartBroker(config BrokerConfig) (*Broker, error) {
	config.setDefaults()
	b := new(Broker)
	cluster, err := kfake.NewCluster(
		kfake.Ports(config.ports()...),
		kfake.ListenFn(b.listen),
		kfake.GroupMinSessionTimeout(minSessionTimeout),
		kfake.BrokerConfigs(map[string]string{
			"log.segment.bytes":      strconv.Itoa(segmentBytes),
			"log.cleaner.backoff.ms": strconv.FormatInt(cleaningInterval.Milliseconds(), 10),
			// What a topic does not ask for is left to retention: these two
			// would hold for compacted topics as well.
			"log.retention.bytes": "-1",
			"log.retention.ms":    "-1",
		}),
	)
	if err != nil {
		return nil, fmt.Errorf("embedded broker: %w", err)
	}
	b.cluster = cluster
	b.outages.cluster = cluster
	b.retention = startRetention(cluster, config.RetainBytes, config.BacklogBytes)
	return b, nil
}

func (c *BrokerConfig) setDefaults() {
	if c.Nodes == 0 {
		c.Nodes = 1
	}
	if c.RetainBytes == 0 {
		c.RetainBytes = defaultRetainBytes
	}
	if c.BacklogBytes == 0 {
		c.BacklogBytes = defaultBacklogBytes
	}
	c.BacklogBytes = max(c.BacklogBytes, c.RetainBytes)
}

func (c *BrokerConfig) ports() []int {
	ports := make([]int, c.Nodes)
	ports[0] = c.Port
	return ports
}

// listen is called for each node in turn.
func (b *Broker) listen(_, address string) (net.Listener, error) {
	g, err := listen(address)
	if err != nil {
		return nil, err
	}
	b.gates = append(b.gates, g)
	return guardedListener{g, kafkaRequest}, nil
}

// Addr is where the first node listens, host:port.
func (b *Broker) Addr() string { return b.gates[0].Addr().String() }

// Addrs is where the nodes listen.
func (b *Broker) Addrs() []string {
	var addrs []string
	for _, g := range b.gates {
		addrs = append(addrs, g.Addr().String())
	}
	return addrs
}

// Compact cleans up compacted topics at once rather than within a few
// seconds. The last batch of a partition stays as it is.
func (b *Broker) Compact() { b.whileOpen(b.cluster.Compact) }

// whileOpen calls f unless the broker is closed: the cluster does not answer
// then, ever.
func (b *Broker) whileOpen(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		f()
	}
}

// Close stops the broker and forgets everything. It may be called again.
func (b *Broker) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	b.closed = true
	b.retention.close()
	b.cluster.Close()
}
