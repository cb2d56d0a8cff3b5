// Package consumer is the one loop that every role runs: fetch a batch of one
// partition, handle it, publish every output to the same partition number with
// acks=all, then commit.
//
// A role is a Handler; the folders below hold one each. The loop owns
// everything else: partitions coming and going, retries, dead letters for
// records that crash a handler, offsets, shutdown.
package consumer
