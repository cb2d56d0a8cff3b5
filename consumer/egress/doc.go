// Package egress speaks HTTP to servers outside that configuration names: over
// connections that are kept, to no address that it must not reach, following
// nobody elsewhere, reading no more of an answer than it was promised, and
// signing what it sends.
package egress
