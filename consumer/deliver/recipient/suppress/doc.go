// Package suppress keeps messages from people who must not get them: a list in
// Redis of addresses that a channel does not write to, and a cap on how many
// messages of a channel an address gets in a window of time.
//
// Redis has keyed hashes of addresses only. Both ask about a whole batch of
// jobs in one round trip, on a single server, behind Sentinel and on a cluster.
package suppress
