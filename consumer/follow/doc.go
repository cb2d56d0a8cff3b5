// Package follow keeps what a compacted topic says in memory: it reads the
// topic from its start, then lives on it, and has an immutable snapshot of it
// at every moment.
//
// Templates and operators' orders come to the roles this way.
package follow
