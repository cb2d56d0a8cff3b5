package publish

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/meddela/meddela/topology"
)

func readLines(t *testing.T, r io.Reader) []line {
	t.Helper()
	reader := newLineReader(r)
	var lines []line
	for {
		l, err := reader.next()
		if errors.Is(err, io.EOF) {
			return lines
		}
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, l)
	}
}

func TestLineReader(t *testing.T) {
	full := strings.Repeat("x", topology.MaxEventBytes)
	type want struct {
		number int
		text   string
	}
	tests := []struct {
		name, input string
		want        []want
	}{
		{"nothing", "", nil},
		{"blank lines only", "\n \n\t\r\n", nil},
		{"no end of line at the end", "a\nb", []want{{1, "a"}, {2, "b"}}},
		{"blank lines count", "\na\n\n\nb\n", []want{{2, "a"}, {5, "b"}}},
		{"Windows", "a\r\n b \r\n", []want{{1, "a"}, {2, "b"}}},
		{"as long as may be", full + "\n" + full, []want{{1, full}, {2, full}}},
		{"and with Windows' end", full + "\r\n", []want{{1, full}}},
		{"longer, and on", full + "x\nb\n", []want{{1, full + "x"}, {2, "b"}}},
		{"longer at the end", "a\n" + full + full, []want{{1, "a"}, {2, full + "xxx"}}},
		{"blanks make it no shorter", "{}" + strings.Repeat(" ", topology.MaxEventBytes) + "{}\n",
			[]want{{1, "{}" + strings.Repeat(" ", topology.MaxEventBytes) + "{"}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			lines := readLines(t, strings.NewReader(test.input))
			if len(lines) != len(test.want) {
				t.Fatalf("%d lines, want %d", len(lines), len(test.want))
			}
			for i, l := range lines {
				w := test.want[i]
				if l.number != w.number || string(l.text) != w.text {
					t.Errorf("line %d of %d bytes; want %d of %d", l.number, len(l.text), w.number, len(w.text))
				}
			}
			if n := len(lines); n > 0 && lines[n-1].end > int64(len(test.input)) {
				t.Errorf("ends at %d of %d bytes", lines[n-1].end, len(test.input))
			}
		})
	}
}

func TestLineReaderPassesOnTheInputsError(t *testing.T) {
	broken := errors.New("broken")
	reader := newLineReader(io.MultiReader(strings.NewReader("a\nb"), iotest.ErrReader(broken)))
	if l, err := reader.next(); err != nil || string(l.text) != "a" {
		t.Fatalf("line %q, %v; want a", l.text, err)
	}
	if _, err := reader.next(); !errors.Is(err, broken) {
		t.Errorf("error %v, want the input's", err)
	}
}

// Read in any pieces, the lines are those that splitting gives.
func FuzzLineReader(f *testing.F) {
	f.Add([]byte("a\n\n {\"id\":1}\r\nb"))
	f.Add([]byte("\n"))
	f.Fuzz(func(t *testing.T, input []byte) {
		var want [][]byte
		for part := range bytes.SplitSeq(input, []byte("\n")) {
			if part = bytes.TrimSpace(part); len(part) > 0 {
				want = append(want, part)
			}
		}
		var got [][]byte
		for _, l := range readLines(t, iotest.OneByteReader(bytes.NewReader(input))) {
			got = append(got, l.text)
		}
		if !slices.EqualFunc(got, want, bytes.Equal) {
			t.Errorf("%q reads as %q, want %q", input, got, want)
		}
	})
}
