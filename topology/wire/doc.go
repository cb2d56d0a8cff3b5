// Package wire fetches and produces for many partitions with one request, over the
// Kafka client's connections. It reads and writes record batches itself, and knows
// which broker leads a partition.
package wire
