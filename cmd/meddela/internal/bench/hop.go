package bench

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/topology"
)

// Hop is one step of the floor: the least that a role of the pipeline can do
// on the same servers with the same loop.
type Hop string

// The hops take the places of match, deliver and status.
const (
	HopJobs   Hop = "jobs"   // events to jobs
	HopLog    Hop = "log"    // jobs to delivery log
	HopStatus Hop = "status" // delivery log to Redis
)

// Hops lists the hops in the order in which an event meets them.
func Hops() []Hop { return []Hop{HopJobs, HopLog, HopStatus} }

// HopLoop is the loop of a hop. The values that it writes have so many bytes.
func HopLoop(h Hop, size int, names topology.Topics, keys topology.Keys, client redis.UniversalClient) (LoopSpec, error) {
	spec := LoopSpec{Names: names, Role: h.role()}
	switch h {
	case HopJobs:
		spec.Topics, spec.Handler = []topology.Topic{names.Events(lane)}, &forwarder{names.Jobs(lane), size}
	case HopLog:
		spec.Topics, spec.Handler = []topology.Topic{names.Jobs(lane)}, &forwarder{names.DeliveryLog(lane), size}
	case HopStatus:
		spec.Topics, spec.Handler = []topology.Topic{names.DeliveryLog(lane)}, &marker{keys, client}
	default:
		return spec, fmt.Errorf("unknown hop %q", h)
	}
	return spec, nil
}

// forwarder writes a record of a fixed size for each that it reads.
type forwarder struct {
	to   topology.Topic
	size int
}

func (h *forwarder) Handle(_ context.Context, b consumer.Batch) (consumer.Result, error) {
	value := make([]byte, h.size)
	out := make([]topology.Record, len(b.Records))
	for i := range b.Records {
		out[i] = topology.Record{Topic: h.to, Key: b.Records[i].Key, Value: value}
	}
	return consumer.Result{Out: out, Handled: len(b.Records)}, nil
}

// marker makes one write for each record, and nothing else.
type marker struct {
	keys   topology.Keys
	client redis.UniversalClient
}

func (h *marker) Handle(ctx context.Context, b consumer.Batch) (consumer.Result, error) {
	pipe := h.client.Pipeline()
	for i := range b.Records {
		pipe.HSet(ctx, h.keys.Event(topology.EventID(b.Records[i].Key)), topology.FieldStatus, string(topology.Sent))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return consumer.Result{}, err
	}
	return consumer.Result{Handled: len(b.Records)}, nil
}

// role names the hop's group.
func (h Hop) role() topology.Role { return topology.Role("hop-" + h) }
