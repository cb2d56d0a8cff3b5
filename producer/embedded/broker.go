package embedded

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// BrokerConfig says how a Broker is to be. Its zero value is a broker of one node on any free port.
type BrokerConfig struct {
	// Port to listen on; 0 is any that is free.
	Port int
	// Nodes of the cluster, default 1. More are for tests with leaders that move; all but the first listen on any
	// free port.
	Nodes int
	// Listen in place of net.Listen, for tests that come between the broker and its clients.
	Listen Listen

	// RetainBytes is how much of a partition is kept to look back at, in bytes of records as they were sent, which take
	// about twice as much memory. It does not hold for compacted topics, nor for those with a retention.bytes of their
	// own. Default 16 MiB; below 0 all is kept.
	RetainBytes int64
	// BacklogBytes is how much is kept for a group that has not committed it yet, before it is forgotten unread.
	// Default 256 MiB.
	BacklogBytes int64
}

// Broker is a Kafka-protocol broker in this process, for trying meddela out and for tests; it keeps nothing after
// Close. Topics have to be created, none springs up because it is asked for.
type Broker struct {
	// Cluster is what the broker is made of, for tests that make it fail. Most of it does not answer after Close, ever.
	Cluster   *kfake.Cluster
	addr      string
	retention *retention
	close     func()
}

// StartBroker starts a broker.
func StartBroker(config BrokerConfig) (*Broker, error) {
	ports := make([]int, max(config.Nodes, 1))
	ports[0] = config.Port
	cluster, err := kfake.NewCluster(
		kfake.Ports(ports...),
		kfake.ListenFn(config.Listen.guarded(kafkaRequest)),
		kfake.GroupMinSessionTimeout(time.Second), // lets tests see soon that a member is gone
		kfake.BrokerConfigs(map[string]string{
			"log.segment.bytes":      "1048576", // the unit in which memory is given back
			"log.cleaner.backoff.ms": "5000",    // compaction, and the retention that topics ask for themselves
			// What a topic does not ask for is left to retention: these two would hold for compacted topics as well.
			"log.retention.bytes": "-1",
			"log.retention.ms":    "-1",
		}),
	)
	if err != nil {
		return nil, fmt.Errorf("embedded broker: %w", err)
	}
	b := &Broker{Cluster: cluster, addr: cluster.ListenAddrs()[0]}
	b.retention = newRetention(cluster, cmp.Or(config.RetainBytes, 16<<20), cmp.Or(config.BacklogBytes, 256<<20))
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	if config.RetainBytes >= 0 {
		running.Go(func() { b.retention.run(ctx) })
	}
	b.close = sync.OnceFunc(func() {
		stop()
		running.Wait()
		cluster.Close()
	})
	return b, nil
}

// Addr is where the first node listens, host:port.
func (b *Broker) Addr() string { return b.addr }

// Close stops the broker and forgets everything. It may be called again.
func (b *Broker) Close() { b.close() }
