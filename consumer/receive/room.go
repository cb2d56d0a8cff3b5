package receive

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"sync"
)

// room is what bodies may take of memory together. Where none is left, who has been reading longest gives up what it
// has: a provider's request is read at once, so that those who send slowly keep nobody from being heard.
type room struct {
	mu      sync.Mutex
	left    int64
	readers []*reader // the one that began first is the first
}

type reader struct {
	held    int64
	stop    func() // makes its reading end; others call it
	stopped bool
}

// readAll reads to the end, and holds the room for that until done is called.
func (r *room) readAll(from io.Reader, stop func()) (text []byte, done func(), err error) {
	who := &reader{stop: stop}
	r.mu.Lock()
	r.readers = append(r.readers, who)
	r.mu.Unlock()
	defer r.leave(who)
	done = func() { r.release(who) }
	var all bytes.Buffer
	for block := int64(4 << 10); ; block = int64(all.Len()) { // as the buffer grows
		if !r.take(who, block) {
			return nil, done, errors.New("too much is being read")
		}
		if n, err := io.CopyN(&all, from, block); n < block {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return all.Bytes(), done, err
		}
	}
}

// take reports whether there is room for so many bytes more, and who has it then.
func (r *room) take(who *reader, bytes int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for !who.stopped && r.left < bytes && len(r.readers) > 0 && r.readers[0] != who {
		first := r.readers[0]
		r.readers, r.left = r.readers[1:], r.left+first.held
		first.held, first.stopped = 0, true
		first.stop()
	}
	if who.stopped || r.left < bytes {
		return false
	}
	r.left -= bytes
	who.held += bytes
	return true
}

// leave is the end of reading: what was read is worked on, and not given up any more.
func (r *room) leave(who *reader) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if at := slices.Index(r.readers, who); at >= 0 {
		r.readers = slices.Delete(r.readers, at, at+1)
	}
}

func (r *room) release(who *reader) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left += who.held
	who.held = 0
}
