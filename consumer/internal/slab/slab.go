// Package slab makes many small byte slices of few allocations.
package slab

// Buffers grow from one that a few records fit in to one that is worth its
// allocation: most batches of a quiet lane are a single record.
const (
	firstBytes = 4 << 10
	mostBytes  = 64 << 10
)

// Slab is a buffer that slices are cut from. Its zero value is ready.
type Slab struct{ buffer []byte }

// Room is space for about size bytes, to be appended to and then kept.
func (s *Slab) Room(size int) []byte {
	if size > cap(s.buffer)-len(s.buffer) {
		next := min(max(4*cap(s.buffer), firstBytes), mostBytes)
		s.buffer = make([]byte, 0, max(size, next))
	}
	return s.buffer[len(s.buffer):len(s.buffer):cap(s.buffer)]
}

// Keep takes what was appended to the last room out of the space that is left.
// What outgrew its room has a buffer of its own.
func (s *Slab) Keep(out []byte) []byte {
	if end := len(s.buffer) + len(out); end <= cap(s.buffer) {
		s.buffer = s.buffer[:end]
	}
	return out[:len(out):len(out)]
}
