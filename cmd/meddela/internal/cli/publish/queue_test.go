package publish

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
)

// batches takes all that a queue has, each when the queue has read as far ahead as it does.
func batches(t *testing.T, q *lineQueue) (sizes []int) {
	t.Helper()
	for {
		synctest.Wait()
		batch, err := q.take(t.Context(), command.MaxBatchLines)
		if errors.Is(err, io.EOF) {
			return sizes
		}
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, len(batch))
	}
}

func TestLineQueueMakesBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		long := strings.Repeat("x", maxBatchBytes/2)
		input := strings.Repeat("a\n", command.MaxBatchLines+1) + long + "\n" + long + "\n" + long + "\n"
		sizes := batches(t, readAhead(t.Context(), strings.NewReader(input)))
		// The last three lines are half a batch each, the first of them behind "a".
		if want := []int{command.MaxBatchLines, 3, 1}; !slices.Equal(sizes, want) {
			t.Errorf("batches of %v lines, want %v", sizes, want)
		}
	})
}

func TestLineQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 64 << 10
		line := strings.Repeat("x", size) + "\n"
		q := readAhead(t.Context(), strings.NewReader(strings.Repeat(line, 4*maxQueuedBytes/size)))
		synctest.Wait()
		if held := len(q.lines) * size; held != maxQueuedBytes {
			t.Errorf("%d bytes are held, want %d", held, maxQueuedBytes)
		}
		total := 0
		for _, n := range batches(t, q) {
			total += n
		}
		if want := 4 * maxQueuedBytes / size; total != want {
			t.Errorf("%d lines, want %d", total, want)
		}
	})
}

func TestLineQueueEndsWithItsContext(t *testing.T) {
	defer goleak.VerifyNone(t)
	ctx, cancel := context.WithCancel(t.Context())
	in, out := io.Pipe()
	q := readAhead(ctx, in)
	go cancel()
	if _, err := q.take(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want the context's", err)
	}
	_ = out.Close() // lets the reader go
}

func TestLineQueueEndsWithItsInput(t *testing.T) {
	defer goleak.VerifyNone(t)
	broken := errors.New("broken")
	q := readAhead(t.Context(), iotest.ErrReader(broken))
	if _, err := q.take(t.Context(), 1); !errors.Is(err, broken) {
		t.Errorf("error %v, want the input's", err)
	}
}
