// Package producer publishes to Kafka: events, for upstream Go programs, and
// the outputs of the pipeline's own roles.
//
// Everything is written with acks=all to a partition that the caller or the
// event's id chose, in batches, without a background queue: when a call
// returns, every record is either acknowledged or named in the answer.
package producer
