// Package control keeps operators' orders in memory, as the compacted control
// topic has them, and says of each job whether it is to wait or to be ignored.
//
// Orders is an immutable snapshot whose verdict costs no allocation and some
// nanoseconds, whatever the number of orders. A Follower keeps it up to date
// within moments of an order.
package control
