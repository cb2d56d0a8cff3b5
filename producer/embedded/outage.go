package embedded

import (
	"sync"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// What follows makes the servers fail as real ones do, for tests. Outages may
// overlap, and each is over when its heal or Wake is called.

// Sleep breaks every connection and hangs up on new ones until Wake.
func (b *Broker) Sleep() {
	for _, g := range b.gates {
		g.setShut(true)
	}
}

// Wake ends Sleep. Records and committed offsets are as they were.
func (b *Broker) Wake() {
	for _, g := range b.gates {
		g.setShut(false)
	}
}

// Stall keeps connections open and lets nothing through, in either direction,
// until heal is called: clients run into their timeouts. What they send is
// handled afterwards.
func (b *Broker) Stall() (heal func()) {
	var heals []func()
	for _, g := range b.gates {
		heals = append(heals, g.stall())
	}
	return func() {
		for _, heal := range heals {
			heal()
		}
	}
}

// FailProduce makes the broker refuse what is written, until heal is called.
// With kafka.RequestTimedOut or kafka.NotEnoughReplicasAfterAppend it is
// written all the same, as a real broker may do.
func (b *Broker) FailProduce(with kafka.Error) (heal func()) {
	return b.outages.fail(with, kmsg.Produce)
}

// FailFetch makes the broker refuse to be read from, until heal is called.
func (b *Broker) FailFetch(with kafka.Error) (heal func()) {
	return b.outages.fail(with, kmsg.Fetch)
}

// FailCommit makes the broker refuse committed offsets, until heal is called.
// With kafka.RequestTimedOut they are committed all the same.
func (b *Broker) FailCommit(with kafka.Error) (heal func()) {
	return b.outages.fail(with, kmsg.OffsetCommit)
}

// FailGroup makes the broker answer the members of groups with an error, until
// heal is called: to join, to sync, to heartbeat.
func (b *Broker) FailGroup(with kafka.Error) (heal func()) {
	return b.outages.fail(with, kmsg.JoinGroup, kmsg.SyncGroup, kmsg.Heartbeat)
}

// Refused is how many requests have been answered by an outage of the sorts
// above so far: a test may wait for it to grow, to know that the outage was
// felt.
func (b *Broker) Refused() int { return b.outages.hits() }

// outages keeps count of the requests that were refused.
type outages struct {
	cluster *kfake.Cluster

	mu     sync.Mutex
	faults []*kfake.FaultHandle
}

// fail answers requests of some kinds with an error until heal is called.
func (o *outages) fail(with kafka.Error, kinds ...kmsg.Key) (heal func()) {
	fault := o.cluster.Fault(kfake.Fault{
		Keys:  kinds,
		Err:   kerr.TypedErrorForCode(int16(with)),
		Count: -1,
	})
	o.mu.Lock()
	defer o.mu.Unlock()
	o.faults = append(o.faults, fault)
	return fault.Remove
}

func (o *outages) hits() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	var hits int
	for _, f := range o.faults {
		hits += f.Hits()
	}
	return hits
}
