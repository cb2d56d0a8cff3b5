package publish

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"go.uber.org/goleak"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
)

func TestLineQueueMakesBatches(t *testing.T) {
	defer goleak.VerifyNone(t)
	long := strings.Repeat("x", maxBatchBytes/2)
	input := strings.Repeat("a\n", command.MaxBatchLines+1) + long + "\n" + long + "\n" + long + "\n"
	q := readAhead(t.Context(), strings.NewReader(input))
	awaitEnd(q)
	var sizes []int
	for {
		batch, err := q.take(command.MaxBatchLines)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, len(batch))
	}
	// The last three lines are half a batch each, the first of them beside "a".
	if want := []int{command.MaxBatchLines, 2, 2}; len(sizes) != 3 || sizes[0] != want[0] || sizes[1] != want[1] ||
		sizes[2] != want[2] {
		t.Errorf("batches of %v lines, want %v", sizes, want)
	}
}

// awaitEnd returns when the queue has read all of its input.
func awaitEnd(q *lineQueue) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.err == nil {
		q.changed.Wait()
	}
}

func TestLineQueueIsBounded(t *testing.T) {
	defer goleak.VerifyNone(t)
	const size = 1 << 10
	input := strings.NewReader(strings.Repeat(strings.Repeat("x", size-1)+"\n", 4*maxQueuedBytes/size))
	q := readAhead(t.Context(), input)
	total := 0
	for {
		batch, err := q.take(command.MaxBatchLines)
		if errors.Is(err, io.EOF) {
			break
		}
		total += len(batch)
		q.mu.Lock()
		held := q.bytes
		q.mu.Unlock()
		if held > maxQueuedBytes+size {
			t.Fatalf("%d bytes are held, more than %d", held, maxQueuedBytes)
		}
	}
	if want := 4 * maxQueuedBytes / size; total != want {
		t.Errorf("%d lines, want %d", total, want)
	}
}

func TestLineQueueEndsWithItsContext(t *testing.T) {
	defer goleak.VerifyNone(t)
	ctx, cancel := context.WithCancel(t.Context())
	in, out := io.Pipe()
	q := readAhead(ctx, in)
	go cancel()
	if _, err := q.take(1); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want the context's", err)
	}
	_ = out.Close() // lets the reader go
}

func TestLineQueueEndsWithItsInput(t *testing.T) {
	defer goleak.VerifyNone(t)
	broken := errors.New("broken")
	q := readAhead(t.Context(), iotest.ErrReader(broken))
	if _, err := q.take(1); !errors.Is(err, broken) {
		t.Errorf("error %v, want the input's", err)
	}
}
