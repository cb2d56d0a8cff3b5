package wire

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sync"
	"time"

	"github.com/klauspost/compress/snappy/xerial"
	"github.com/klauspost/compress/zstd"
	"github.com/segmentio/kafka-go/compress"

	"github.com/meddela/meddela/topology"
)

// Batch is one record batch, the form that Kafka keeps records in and sends them
// in: format 2, the only one that Kafka 4 takes. Its records alias the bytes that
// it was read from, so that a record costs no more than its headers.
//
// https://kafka.apache.org/documentation/#recordbatch
type Batch struct {
	// FirstOffset and LastOffset are those that the batch was written with: all
	// of its records may have been compacted away.
	FirstOffset, LastOffset int64
	// Producer is who wrote it, where it is Transactional or a Marker.
	Producer int64
	// Transactional reports whether it counts only if its transaction was
	// committed.
	Transactional bool
	// Marker reports whether it ends a transaction, rather than hold records.
	Marker bool

	compression compress.Compression
	appended    int64 // when the broker wrote it, in ms, where its records do not say; else 0
	created     int64 // what the records' times count from, in ms
	count       int
	records     []byte
}

const (
	// The parts of a batch before its records, in bytes from its beginning.
	atLength        = 8
	atEpoch         = 12
	atFormat        = 16
	atChecksum      = 17
	atAttributes    = 21
	atLastOffset    = 23
	atBaseTime      = 27
	atMaxTime       = 35
	atProducer      = 43
	atProducerEpoch = 51
	atSequence      = 53
	atCount         = 57
	headerBytes     = 61

	compressionBits   = 0x07
	appendTimeBit     = 0x08
	transactionalBit  = 0x10
	markerBit         = 0x20
	currentFormat     = 2
	leastRecordBytes  = 7
	bytesBeforeFormat = atFormat + 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var (
	errFormat   = errors.New("the record batch is not of format 2")
	errLength   = errors.New("the record batch is too short to be one")
	errChecksum = errors.New("the record batch does not match its checksum")
)

// What is wrong for good with a batch that passed its checksum.
var (
	ErrMalformed = errors.New("the record batch is malformed")
	ErrTooLarge  = errors.New("the record batch unpacks to more than is read at once")
)

// MostHeaders bounds those of a record.
const MostHeaders = topology.MostHeaders

// ErrTooManyHeaders is of a record that has more than MostHeaders. It is read but for
// those, and the records behind it can be read.
var ErrTooManyHeaders = fmt.Errorf("the record has more than %d headers", MostHeaders)

// NextBatch takes the first batch off a record set, as a broker sends it. What comes
// last may be cut off: with no whole batch left NextBatch returns io.EOF. After another
// error the offsets are as far as they can be told.
func NextBatch(set []byte) (b Batch, rest []byte, err error) {
	if len(set) < bytesBeforeFormat {
		return b, nil, io.EOF
	}
	b.FirstOffset = int64(binary.BigEndian.Uint64(set))
	b.LastOffset = b.FirstOffset
	end := int64(atEpoch) + int64(binary.BigEndian.Uint32(set[atLength:]))
	switch {
	case set[atFormat] != currentFormat:
		return b, nil, errFormat
	case end > int64(len(set)):
		return b, nil, io.EOF
	case end < headerBytes:
		return b, nil, errLength
	}
	set, rest = set[:end], set[end:]
	b.LastOffset += int64(binary.BigEndian.Uint32(set[atLastOffset:]))
	if crc32.Checksum(set[atAttributes:], castagnoli) != binary.BigEndian.Uint32(set[atChecksum:]) {
		if binary.BigEndian.Uint32(set[atLastOffset:])+1 != binary.BigEndian.Uint32(set[atCount:]) {
			b.LastOffset = b.FirstOffset // where it ends is damaged, too, or it was compacted
		}
		return b, rest, errChecksum
	}
	attributes := binary.BigEndian.Uint16(set[atAttributes:])
	b.Transactional, b.Marker = attributes&transactionalBit != 0, attributes&markerBit != 0
	b.compression = compress.Compression(attributes & compressionBits)
	b.created = int64(binary.BigEndian.Uint64(set[atBaseTime:]))
	if attributes&appendTimeBit != 0 {
		b.appended = int64(binary.BigEndian.Uint64(set[atMaxTime:]))
	}
	b.Producer = int64(binary.BigEndian.Uint64(set[atProducer:]))
	b.count = int(int32(binary.BigEndian.Uint32(set[atCount:])))
	b.records = set[headerBytes:]
	return b, rest, nil
}

// Time is when the batch was written, by the broker or its writer.
func (b *Batch) Time() time.Time { return time.UnixMilli(cmp.Or(b.appended, b.created)) }

// Records are the records of a batch, one after the other.
type Records struct {
	batch   *Batch
	bytes   []byte
	left    int
	least   int64 // the next record's offset
	size    int
	headers []topology.Header // of several records, so that they share allocations
}

// Records unpacks the batch, to at most limit bytes. Its error is ErrTooLarge or
// ErrMalformed.
func (b *Batch) Records(limit int) (Records, error) {
	r := Records{batch: b, bytes: b.records, left: b.count, least: b.FirstOffset}
	if b.compression != compress.None {
		var err error
		if r.bytes, err = unpack(b.compression, b.records, limit); err != nil {
			return Records{}, err
		}
	}
	r.size = len(r.bytes)
	if r.left < 0 || r.left > len(r.bytes)/leastRecordBytes {
		return Records{}, ErrMalformed
	}
	return r, nil
}

// Bytes is how many bytes the records are, unpacked.
func (r *Records) Bytes() int { return r.size }

func unpack(compression compress.Compression, packed []byte, limit int) ([]byte, error) {
	codec := compression.Codec()
	switch {
	case codec == nil:
		return nil, fmt.Errorf("unknown compression %d: %w", compression, ErrMalformed)
	case compression == compress.Zstd:
		return unpackWithin(unzstd.DecodeAll, packed, limit)
	case compression == compress.Snappy: // the client's reader takes as much memory as a block says that it needs
		unpacked, err := unpackWithin(unsnappy, packed, min(limit, mostBySnappy*len(packed)))
		if errors.Is(err, ErrTooLarge) && limit > mostBySnappy*len(packed) {
			err = fmt.Errorf("unpack snappy: %w", ErrMalformed)
		}
		return unpacked, err
	}
	reader := codec.NewReader(bytes.NewReader(packed))
	defer func() { _ = reader.Close() }()
	out := scratch.Get().(*bytes.Buffer)
	defer scratch.Put(out)
	out.Reset()
	_, err := out.ReadFrom(io.LimitReader(reader, int64(min(limit, mostScratch))+1))
	size := int64(out.Len())
	if err == nil && size > mostScratch && limit > mostScratch { // its size first, so that nothing grows with it
		var more int64
		more, err = io.Copy(io.Discard, io.LimitReader(reader, int64(limit)-size+1))
		size += more
	}
	var unpacked []byte
	switch {
	case err == nil && size > int64(limit):
		return nil, ErrTooLarge
	case err == nil && size > mostScratch:
		again := codec.NewReader(bytes.NewReader(packed))
		defer func() { _ = again.Close() }()
		unpacked = make([]byte, size)
		_, err = io.ReadFull(again, unpacked)
	default:
		unpacked = bytes.Clone(out.Bytes())
	}
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w: %w", compression, ErrMalformed, err)
	}
	return unpacked, nil
}

// unpackWithin takes no memory for what a frame or a block says of itself, as of a window of 128 MB or a size of 4 GB:
// only for what is unpacked, and some times that. decode appends within the room that there is.
func unpackWithin(decode func(packed, room []byte) ([]byte, error), packed []byte, limit int) ([]byte, error) {
	out := scratch.Get().(*bytes.Buffer)
	defer scratch.Put(out)
	out.Reset()
	out.Grow(mostScratch)
	room := min(limit, mostScratch)
	unpacked, err := decode(packed, out.AvailableBuffer()[:0:room])
	for errors.Is(err, zstd.ErrDecoderSizeExceeded) || errors.Is(err, xerial.ErrDstTooSmall) ||
		err != nil && len(unpacked)+mostInBlock > room {
		if room >= limit {
			return nil, ErrTooLarge
		}
		room = min(4*room, limit)
		unpacked, err = decode(packed, make([]byte, 0, room))
	}
	if err != nil {
		return nil, fmt.Errorf("unpack: %w: %w", ErrMalformed, err)
	}
	return bytes.Clone(unpacked), nil
}

// mostInBlock is what a block of zstd unpacks to, of which nothing is there where it does not fit.
const mostInBlock = 128 << 10

// mostBySnappy is more than what snappy unpacks a byte to: 64 bytes come of three.
const mostBySnappy = 22

// unsnappy unpacks a block, or several in the frames of Kafka's Java client.
func unsnappy(packed, room []byte) ([]byte, error) { return xerial.DecodeCapped(room, packed) }

// unzstd unpacks no more than there is room for. Its options are valid.
var unzstd, _ = zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecodeAllCapLimit(true))

// mostScratch is what is unpacked at most where batches are unpacked whose size is not known.
const mostScratch = 1 << 20

// scratch is where batches are unpacked, whose size is known only then.
var scratch = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// Next reads a record into r: offset, time, key, value and headers. It returns
// io.EOF after the last one.
func (r *Records) Next(into *topology.Record) error {
	if r.left == 0 {
		return io.EOF
	}
	r.left--
	in := cursor{left: r.bytes}
	body := cursor{left: in.take(in.varint())}
	r.bytes = in.left
	body.take(1) // attributes: none are defined
	sinceBase := body.varint()
	into.Offset = r.batch.FirstOffset + body.varint()
	if into.Offset < r.least || into.Offset > r.batch.LastOffset { // which brokers do not look at
		return ErrMalformed
	}
	r.least = into.Offset + 1
	into.Time = time.UnixMilli(r.batch.created + sinceBase)
	if r.batch.appended != 0 {
		into.Time = time.UnixMilli(r.batch.appended)
	}
	into.Key, into.Value = body.nullable(), body.nullable()
	count := body.varint()
	if count < 0 || count > int64(len(body.left)/2) {
		return ErrMalformed
	}
	into.Headers = nil
	if count > MostHeaders && !body.bad && !in.bad {
		return ErrTooManyHeaders
	}
	if count > 0 {
		into.Headers = r.room(int(count))
		for i := range into.Headers {
			into.Headers[i] = topology.Header{Key: headerKey(body.nullable()), Value: body.nullable()}
		}
	}
	if in.bad || body.bad {
		return ErrMalformed
	}
	return nil
}

// room returns n headers that nobody else has.
func (r *Records) room(n int) []topology.Header {
	if n > len(r.headers) {
		r.headers = make([]topology.Header, n*min(r.left+1, 64))
	}
	taken := r.headers[:n:n]
	r.headers = r.headers[n:]
	return taken
}

// cursor reads bytes from the front; once something is missing it is bad.
type cursor struct {
	left []byte
	bad  bool
}

func (c *cursor) varint() int64 {
	v, n := binary.Varint(c.left)
	if n <= 0 {
		c.bad, c.left = true, nil
		return 0
	}
	c.left = c.left[n:]
	return v
}

func (c *cursor) take(n int64) []byte {
	if n < 0 || n > int64(len(c.left)) {
		c.bad, c.left = true, nil
		return nil
	}
	taken := c.left[:n:n]
	c.left = c.left[n:]
	return taken
}

// nullable reads bytes after their length, which is -1 for none.
func (c *cursor) nullable() []byte {
	n := c.varint()
	if n == -1 {
		return nil
	}
	return c.take(n)
}

// headerKey is the key as text; those that the topology defines cost no allocation.
func headerKey(key []byte) string {
	if known, ok := headerKeys[string(key)]; ok {
		return known
	}
	return string(key)
}

var headerKeys = func() map[string]string {
	keys := make(map[string]string)
	for _, k := range []string{
		topology.HeaderOriginalTopic, topology.HeaderOriginalPartition, topology.HeaderOriginalOffset,
		topology.HeaderReason, topology.HeaderError, topology.HeaderRole, topology.HeaderAttempts,
		topology.HeaderFailedAt, topology.HeaderChannel, topology.HeaderDue, topology.HeaderTarget,
		topology.HeaderHeldUntil, topology.HeaderOrders, topology.HeaderPausedProviders, topology.HeaderEventID,
		topology.HeaderRedrives, topology.HeaderSource, topology.HeaderReceivedAt, "traceparent", "tracestate",
	} {
		keys[k] = k
	}
	return keys
}()
