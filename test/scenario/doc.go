// Package scenario holds the scenarios of the whole system: timelines of what
// is published, what happens to processes and servers meanwhile, and what must
// come of every event. Each runs unchanged on the embedded servers and, where
// they are up, on real Apache Kafka and Redis. Roles run as processes of the
// built binary; upstream systems and readers are clients that share no code
// with it.
package scenario
