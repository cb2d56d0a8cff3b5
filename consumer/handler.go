// Package consumer is the one loop that every role runs: fetch a batch of one
// partition, handle it, publish every output to the same partition number with
// acks=all, then commit.
//
// A role is a Handler; the folders below hold one each. The loop owns
// everything else: partitions coming and going, retries, dead letters for
// records that crash a handler, offsets, shutdown.
package consumer

import (
	"context"
	"time"

	"github.com/meddela/meddela/topology"
)

// Batch is consecutive records of one partition, at least one.
type Batch struct {
	Topic     topology.Topic
	Partition int
	Records   []topology.Record
	// Worker tells apart the batches of a partition that are handled at the
	// same time; 0 where they are handled one after the other.
	Worker int
}

// Handler turns the records of one partition into records to publish.
//
// Handle handles the first records of the batch, as many as it can, in order,
// and says how many in Result.Handled; the loop calls again for the rest. A
// record that makes no sense is handled too: by a dead letter among the
// outputs. An error means that a server which the role needs is away, or, if it
// is a NotYet, that it is too early: the loop publishes what the Result has,
// waits, and calls again for the rest, for as long as the partition is owned.
// Handle is called by one goroutine for each partition, or for each worker of a
// partition where batches of one are handled side by side; so a Handler is used by
// several at once. Other loops may have the same records, of which it changes
// nothing. When ctx ends, Handle returns soon.
type Handler interface {
	Handle(ctx context.Context, b Batch) (Result, error)
}

// Result is what came of a batch.
type Result struct {
	// Out is what is to be published: the loop writes each record to its
	// Topic, at the batch's partition number, before it commits the batch.
	// Key, Value and Headers are used, the rest is ignored.
	Out []topology.Record
	// Handled is how many of the batch's records are done with.
	Handled int
}

// NotYet is the error of a Handler whose next record must not be handled
// before a certain time.
type NotYet struct{ Until time.Time }

func (e NotYet) Error() string { return "not before " + e.Until.Format(time.RFC3339) }
