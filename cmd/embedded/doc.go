// Package embedded is a Kafka-protocol broker and a Redis-protocol store in
// this process, listening on loopback: what `meddela up` and `meddela demo` run
// on, and what tests run against.
//
// They keep everything in memory and nothing after Close. The broker is one
// node; a request of a kind that it does not know ends the process, so it
// listens on loopback only and is no place for data that matters.
package embedded
