package topology

import (
	"slices"
	"time"
)

// Record is bytes on a topic.
type Record struct {
	Topic     Topic
	Partition int
	Offset    int64
	// Time is when Kafka says the record was written.
	Time    time.Time
	Key     []byte
	Value   []byte // nil is Kafka's null, which differs from empty
	Headers []Header
}

// Header is one Kafka record header. A nil Value is Kafka's null.
type Header struct {
	Key   string
	Value []byte
}

// Source is where the record is.
func (r Record) Source() Source { return SourceOf(r.Topic, r.Partition, r.Offset) }

// Header returns the value of the last header with that key, and whether
// there is one.
func (r Record) Header(key string) ([]byte, bool) {
	for i := len(r.Headers) - 1; i >= 0; i-- {
		if r.Headers[i].Key == key {
			return r.Headers[i].Value, true
		}
	}
	return nil, false
}

// only returns the headers of those names.
func only(headers []Header, names ...string) (kept []Header) {
	for _, h := range headers {
		if slices.Contains(names, h.Key) {
			kept = append(kept, h)
		}
	}
	return kept
}

// without returns a copy of headers that has none of those names, and room for
// as many more.
func without(headers []Header, names ...string) []Header {
	kept := make([]Header, 0, len(headers)+len(names))
	for _, h := range headers {
		if !slices.Contains(names, h.Key) {
			kept = append(kept, h)
		}
	}
	return kept
}
