// Package catalogue keeps the published templates in memory, as the compacted
// templates topic has them.
//
// A Catalogue is an immutable snapshot, indexed so that finding the templates
// for an event costs the same with ten templates and with ten thousand. A
// Follower reads the topic from its start, then lives on it: each new version
// is in the next snapshot within moments, at a cost that does not grow with
// the catalogue.
package catalogue
