package wire

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/segmentio/kafka-go/compress"

	"github.com/meddela/meddela/topology"
)

// AppendSet appends a record set as a request has it: its size, and one batch of
// records, at least one. Records without a time are given now.
func AppendSet(dst []byte, records []*topology.Record, compression compress.Compression, now time.Time) ([]byte,
	error) {
	size := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	start := len(dst)
	first, latest := millis(records[0], now), int64(0)
	dst = append(dst, make([]byte, headerBytes)...)
	for i, r := range records {
		at := millis(r, now)
		latest = max(latest, at)
		dst = appendRecord(dst, r, int64(i), at-first)
	}
	if compression != compress.None {
		var packed bytes.Buffer
		writer := compression.Codec().NewWriter(&packed)
		if _, err := writer.Write(dst[start+headerBytes:]); err != nil {
			return nil, err
		}
		if err := writer.Close(); err != nil {
			return nil, err
		}
		dst = append(dst[:start+headerBytes], packed.Bytes()...)
	}
	batch, none := dst[start:], ^uint64(0)
	binary.BigEndian.PutUint32(batch[atLength:], uint32(len(batch)-atEpoch))
	binary.BigEndian.PutUint32(batch[atEpoch:], uint32(none))
	batch[atFormat] = currentFormat
	binary.BigEndian.PutUint16(batch[atAttributes:], uint16(compression))
	binary.BigEndian.PutUint32(batch[atLastOffset:], uint32(len(records)-1))
	binary.BigEndian.PutUint64(batch[atBaseTime:], uint64(first))
	binary.BigEndian.PutUint64(batch[atMaxTime:], uint64(latest))
	binary.BigEndian.PutUint64(batch[atProducer:], none)
	binary.BigEndian.PutUint16(batch[atProducerEpoch:], uint16(none))
	binary.BigEndian.PutUint32(batch[atSequence:], uint32(none))
	binary.BigEndian.PutUint32(batch[atCount:], uint32(len(records)))
	binary.BigEndian.PutUint32(batch[atChecksum:], crc32.Checksum(batch[atAttributes:], castagnoli))
	binary.BigEndian.PutUint32(dst[size:], uint32(len(batch)))
	return dst, nil
}

func millis(r *topology.Record, now time.Time) int64 {
	if r.Time.IsZero() {
		return now.UnixMilli()
	}
	return r.Time.UnixMilli()
}

func appendRecord(dst []byte, r *topology.Record, offset, sinceFirst int64) []byte {
	size := 1 + varintLen(sinceFirst) + varintLen(offset) + nullableLen(r.Key) + nullableLen(r.Value) +
		varintLen(int64(len(r.Headers)))
	for i := range r.Headers {
		key := len(r.Headers[i].Key)
		size += varintLen(int64(key)) + key + nullableLen(r.Headers[i].Value)
	}
	dst = binary.AppendVarint(dst, int64(size))
	dst = append(dst, 0) // attributes: none are defined
	dst = binary.AppendVarint(dst, sinceFirst)
	dst = binary.AppendVarint(dst, offset)
	dst = appendNullable(dst, r.Key)
	dst = appendNullable(dst, r.Value)
	dst = binary.AppendVarint(dst, int64(len(r.Headers)))
	for i := range r.Headers {
		dst = binary.AppendVarint(dst, int64(len(r.Headers[i].Key)))
		dst = append(dst, r.Headers[i].Key...)
		dst = appendNullable(dst, r.Headers[i].Value)
	}
	return dst
}

func appendNullable(dst, b []byte) []byte {
	if b == nil {
		return binary.AppendVarint(dst, -1)
	}
	return append(binary.AppendVarint(dst, int64(len(b))), b...)
}

func nullableLen(b []byte) int {
	if b == nil {
		return varintLen(-1)
	}
	return varintLen(int64(len(b))) + len(b)
}

func varintLen(v int64) int {
	n := 1
	for u := uint64(v)<<1 ^ uint64(v>>63); u >= 0x80; u >>= 7 {
		n++
	}
	return n
}
