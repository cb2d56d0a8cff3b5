package publish

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/oklog/ulid/v2"
	"github.com/tidwall/gjson"

	"github.com/meddela/meddela/topology"
)

// line is one line of JSON Lines input.
type line struct {
	number int // from 1
	text   []byte
	end    int64 // bytes of input up to and with this line
}

// maxLineBytes is how much is kept of a line: as much is too long for an event, whatever ends the line.
const maxLineBytes = topology.MaxEventBytes + len("x\r\n")

// withID returns the event in a record, with a new id if it has none. What is no event stays as it is.
func withID(r topology.Record, lane topology.Lane) []byte {
	event, err := topology.DecodeEvent(r, lane)
	if err != nil || gjson.GetBytes(event.Raw, "id").Exists() {
		return r.Value
	}
	// An event has at least its type, so that a comma is right.
	return append([]byte(`{"id":"`+ulid.Make().String()+`",`), bytes.TrimLeft(event.Raw, " \t\r\n{")...)
}

// lineReader reads lines that may be of any length in bounded memory.
type lineReader struct {
	buffered *bufio.Reader
	number   int
	read     int64
}

func newLineReader(r io.Reader) *lineReader {
	return &lineReader{buffered: bufio.NewReaderSize(r, 256<<10)}
}

// next returns the next line that is not blank. Its error is io.EOF at the end, or the input's own.
func (l *lineReader) next() (line, error) {
	for {
		text, err := l.readLine()
		if err != nil && (!errors.Is(err, io.EOF) || len(text) == 0) {
			return line{}, err
		}
		l.number++
		if len(text) < maxLineBytes {
			text = bytes.TrimSpace(text)
		}
		if len(text) > 0 {
			return line{l.number, text, l.read}, nil
		}
	}
}

// readLine returns a line, in its own memory, up to maxLineBytes.
func (l *lineReader) readLine() (text []byte, err error) {
	for {
		part, err := l.buffered.ReadSlice('\n')
		l.read += int64(len(part))
		text = append(text, part[:min(len(part), maxLineBytes-len(text))]...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return text, err
		}
	}
}

const (
	maxBatchBytes  = 1 << 20 // makes a batch that waits for no more lines
	maxQueuedBytes = 4 << 20 // may be read ahead
)
