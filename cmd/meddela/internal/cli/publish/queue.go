package publish

import (
	"context"
	"io"

	"golang.org/x/sync/semaphore"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
)

// lineQueue reads lines ahead of their publication. So a batch is whatever has come meanwhile: large
// from a file, and a single line at once from a slow pipe.
type lineQueue struct {
	lines chan line
	bytes *semaphore.Weighted
	err   error // why there are no more lines, once these are closed
}

// readAhead starts to read r, until it or ctx ends.
func readAhead(ctx context.Context, r io.Reader) *lineQueue {
	q := &lineQueue{make(chan line, command.MaxBatchLines), semaphore.NewWeighted(maxQueuedBytes), nil}
	go func() {
		defer close(q.lines)
		for reader := newLineReader(r); ; {
			l, err := reader.next()
			if err == nil {
				err = q.bytes.Acquire(ctx, int64(len(l.text)))
			}
			if err != nil {
				q.err = err
				return
			}
			select {
			case q.lines <- l:
			case <-ctx.Done():
				return // as take does
			}
		}
	}()
	return q
}

// take waits for a line, and returns it with those that have come meanwhile, at most
// limit. Its error is io.EOF after the last line, or what ended the reading, or ctx's.
func (q *lineQueue) take(ctx context.Context, limit int) (batch []line, err error) {
	size := 0
	for len(batch) == 0 || len(batch) < limit && size < maxBatchBytes && len(q.lines) > 0 {
		select {
		case l, ok := <-q.lines:
			if !ok {
				return nil, q.err
			}
			batch, size = append(batch, l), size+len(l.text)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	q.bytes.Release(int64(size))
	return batch, nil
}
