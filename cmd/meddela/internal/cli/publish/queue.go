package publish

import (
	"context"
	"errors"
	"io"
	"sync"
)

const (
	// maxBatchBytes and maxBatchLines bound one call of the producer.
	maxBatchBytes = 1 << 20
	// maxQueuedBytes bounds what is read ahead.
	maxQueuedBytes = 4 << 20
)

// lineQueue reads lines ahead of their publication. So a batch is whatever has
// come meanwhile: large from a file, and a single line at once from a slow
// pipe.
type lineQueue struct {
	mu      sync.Mutex
	changed sync.Cond
	lines   []line
	bytes   int
	err     error // why there will be no more lines; io.EOF at the end
}

// readAhead starts to read r, until it or ctx ends.
func readAhead(ctx context.Context, r io.Reader) *lineQueue {
	q := new(lineQueue)
	q.changed.L = &q.mu
	context.AfterFunc(ctx, func() { q.close(ctx.Err()) })
	go func() {
		reader := newLineReader(r)
		for {
			l, err := reader.next()
			if err != nil {
				q.close(err)
				return
			}
			if !q.put(l) {
				return
			}
		}
	}()
	return q
}

// put adds a line, and reports whether more are wanted.
func (q *lineQueue) put(l line) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.bytes >= maxQueuedBytes && q.err == nil {
		q.changed.Wait()
	}
	if q.err != nil {
		return false
	}
	q.lines = append(q.lines, l)
	q.bytes += len(l.text)
	q.changed.Broadcast()
	return true
}

func (q *lineQueue) close(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err == nil {
		q.err = err
		q.changed.Broadcast()
	}
}

// take waits for lines and returns those that make the next batch, at most
// limit. Its error is io.EOF after the last line, or what ended the reading:
// then lines that were read but not taken are given up.
func (q *lineQueue) take(limit int) ([]line, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.lines) == 0 && q.err == nil {
		q.changed.Wait()
	}
	if q.err != nil && (len(q.lines) == 0 || !errors.Is(q.err, io.EOF)) {
		return nil, q.err
	}
	n, size := 0, 0
	for n < min(limit, len(q.lines)) && (n == 0 || size+len(q.lines[n].text) <= maxBatchBytes) {
		size += len(q.lines[n].text)
		n++
	}
	batch := q.lines[:n:n]
	q.lines = q.lines[n:]
	q.bytes -= size
	q.changed.Broadcast()
	return batch, nil
}
