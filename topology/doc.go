// Package topology is meddela's contract: lanes, topics, wire formats, status
// order, reasons and Redis keys.
//
// Everything that two processes must agree on is here and nowhere else. The
// package does no I/O and imports the standard library alone, so that every
// other package can point at it and it points at none of them.
package topology
