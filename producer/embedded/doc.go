// Package embedded is a Kafka-protocol broker and a Redis-protocol store in this process, listening on loopback: what
// `meddela up` and `meddela demo` run on, and what tests run against, and make fail with test/fixtures.
//
// They are twmb/franz-go's kfake and alicebob/miniredis, which only tests know besides. Everything is in memory and
// gone after Close. Where they differ from real servers:
//
//   - The broker has neither disks nor replicas: replication factors and min.insync.replicas are kept as told and mean
//     nothing.
//   - The broker forgets the oldest records of a partition when there are too many bytes of them, and later if a group
//     has yet to read them: see BrokerConfig.
//   - The broker accepts any topic setting, whatever its name or value.
//   - Compaction moves the start of the log: who is behind it is told that the offset is out of range, where Kafka
//     would go on with what is left.
//   - Keys of the store expire late or early by a tenth of a second, by seconds where there are a hundred thousand of
//     them.
//   - The store never evicts: the status of an event takes 2 KB until it expires. It has no FUNCTION, no CONFIG, and no
//     sharded publish and subscribe.
package embedded
