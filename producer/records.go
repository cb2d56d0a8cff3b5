package producer

import (
	"bytes"
	"io"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"github.com/meddela/meddela/topology"
)

// recordReader feeds records to the client without an allocation for each.
type recordReader struct {
	records    []topology.Record
	next       int
	record     kafka.Record
	key, value bytesOf
	headers    []kafka.Header
}

// ReadRecord returns a record that is valid until the next call, which is all
// that the client's encoder needs.
func (r *recordReader) ReadRecord() (*kafka.Record, error) {
	if r.next == len(r.records) {
		return nil, io.EOF
	}
	from := &r.records[r.next]
	r.next++
	r.record = kafka.Record{Time: from.Time, Headers: r.convert(from.Headers)}
	if from.Key != nil {
		r.key.Reset(from.Key)
		r.record.Key = &r.key
	}
	if from.Value != nil {
		r.value.Reset(from.Value)
		r.record.Value = &r.value
	}
	return &r.record, nil
}

func (r *recordReader) convert(headers []topology.Header) []kafka.Header {
	if len(headers) == 0 {
		return nil
	}
	r.headers = r.headers[:0]
	for _, h := range headers {
		r.headers = append(r.headers, kafka.Header{Key: h.Key, Value: h.Value})
	}
	return r.headers
}

// bytesOf is a reusable protocol.Bytes.
type bytesOf struct{ bytes.Reader }

var _ protocol.Bytes = (*bytesOf)(nil)

func (*bytesOf) Close() error { return nil }
