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
	// tooLong is set instead of text when the line is longer than an event
	// may be.
	tooLong bool
	end     int64 // bytes of input up to and with this line
}

// record makes an event's record of a line; its error is a *topology.Fault.
func (l *line) record(lane topology.Lane, addID bool) (topology.Record, error) {
	if l.tooLong {
		return topology.Record{}, &topology.Fault{
			Reason: topology.ReasonTooLarge, Detail: "the line is longer than an event may be, 1 MiB",
		}
	}
	record := topology.Record{Value: l.text}
	if addID {
		record.Value = withID(record, lane)
	}
	return record, nil
}

// withID returns the event in a record, with a new id if it has none. What
// is no event stays as it is: the producer says what is wrong with it.
func withID(r topology.Record, lane topology.Lane) []byte {
	if _, err := topology.DecodeEvent(r, lane); err != nil || gjson.GetBytes(r.Value, "id").Exists() {
		return r.Value
	}
	// An event has at least its type, so that a comma is right.
	value := make([]byte, 0, len(r.Value)+40)
	value = append(value, `{"id":"`...)
	value = append(value, ulid.Make().String()...)
	value = append(value, `",`...)
	return append(value, r.Value[1:]...)
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

// next returns the next line that is not blank. Its error is io.EOF at the
// end, or the input's own.
func (l *lineReader) next() (line, error) {
	for {
		text, tooLong, err := l.readLine()
		if err != nil && (!errors.Is(err, io.EOF) || (len(text) == 0 && !tooLong)) {
			return line{}, err
		}
		l.number++
		if text = bytes.TrimSpace(text); len(text) > 0 || tooLong {
			return line{number: l.number, text: text, tooLong: tooLong, end: l.read}, nil
		}
	}
}

// readLine returns a line of its own memory. Of one that is too long it
// returns no text, having read past it.
func (l *lineReader) readLine() (text []byte, tooLong bool, err error) {
	for {
		part, err := l.buffered.ReadSlice('\n')
		l.read += int64(len(part))
		if !tooLong && len(text)+len(bytes.TrimRight(part, "\r\n")) > topology.MaxEventBytes {
			text, tooLong = nil, true
		}
		if !tooLong {
			text = append(text, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return text, tooLong, err
		}
	}
}

const (
	// maxBatchBytes is how much makes a batch that waits for no more lines.
	maxBatchBytes = 1 << 20
	// maxQueuedBytes bounds what is read ahead.
	maxQueuedBytes = 4 << 20
)
