package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/snappy/xerial"
	"github.com/klauspost/compress/zstd"
	"github.com/segmentio/kafka-go/compress"
	"github.com/segmentio/kafka-go/protocol"

	"github.com/meddela/meddela/topology"
)

var now = time.UnixMilli(1_796_112_000_123)

// samples are records of every shape: null, empty and long, with and without headers, older than the first.
func samples() []*topology.Record {
	return []*topology.Record{
		{Key: []byte("a"), Value: []byte("one"), Time: now},
		{Value: []byte{}, Time: now.Add(-time.Hour)},
		{Key: []byte{}, Time: now.Add(time.Minute), Headers: []topology.Header{
			{Key: topology.HeaderReason, Value: []byte("because")}, {Key: "null"},
			{Key: "", Value: []byte{}}, {Key: "ü", Value: []byte("x")},
		}},
		{Key: []byte("long"), Value: []byte(strings.Repeat("0123456789", 20_000)), Time: now},
	}
}

var codecs = []compress.Compression{compress.None, compress.Gzip, compress.Snappy, compress.Lz4, compress.Zstd}

// read reads a record set to its end.
func read(set []byte, limit int) (records []topology.Record, err error) {
	for {
		batch, rest, err := NextBatch(set)
		if errors.Is(err, io.EOF) {
			return records, nil
		}
		if err != nil {
			return records, err
		}
		in, err := batch.Records(limit)
		if err != nil {
			return records, err
		}
		for {
			var r topology.Record
			err := in.Next(&r)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return records, err
			}
			records = append(records, r)
		}
		set = rest
	}
}

// TestWhatIsWrittenIsRead, also by the client library, which has another encoder and decoder.
func TestWhatIsWrittenIsRead(t *testing.T) {
	for _, codec := range codecs {
		t.Run(codec.String(), func(t *testing.T) {
			set, err := AppendSet([]byte("before"), samples(), codec, now)
			if err != nil {
				t.Fatal(err)
			}
			set = set[len("before"):]
			got, err := read(set[4:], 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range samples() {
				want.Offset = int64(i)
				if !reflect.DeepEqual(got[i], *want) {
					t.Errorf("record %d is %.100v, want %.100v", i, got[i], *want)
				}
			}
			if theirs := readByLibrary(t, set); !reflect.DeepEqual(theirs, got) {
				t.Errorf("the library reads %.200v, want %.200v", theirs, got)
			}
			if back, err := read(writtenByLibrary(t, got, codec), 1<<20); err != nil || !reflect.DeepEqual(back, got) {
				t.Errorf("what the library wrote is read as %.200v, %v", back, err)
			}
		})
	}
}

func readByLibrary(t *testing.T, set []byte) (records []topology.Record) {
	t.Helper()
	var in protocol.RecordSet
	if _, err := in.ReadFrom(bytes.NewReader(set)); err != nil {
		t.Fatal(err)
	}
	for {
		r, err := in.Records.ReadRecord()
		if errors.Is(err, io.EOF) {
			return records
		}
		if err != nil {
			t.Fatal(err)
		}
		key, _ := protocol.ReadAll(r.Key)
		value, _ := protocol.ReadAll(r.Value)
		record := topology.Record{Offset: r.Offset, Time: r.Time, Key: key, Value: value}
		for _, h := range r.Headers {
			record.Headers = append(record.Headers, topology.Header(h))
		}
		records = append(records, record)
	}
}

func writtenByLibrary(t *testing.T, records []topology.Record, codec compress.Compression) []byte {
	t.Helper()
	var out []protocol.Record
	for _, r := range records {
		record := protocol.Record{Time: r.Time}
		if r.Key != nil {
			record.Key = protocol.NewBytes(r.Key)
		}
		if r.Value != nil {
			record.Value = protocol.NewBytes(r.Value)
		}
		for _, h := range r.Headers {
			record.Headers = append(record.Headers, protocol.Header(h))
		}
		out = append(out, record)
	}
	set := protocol.RecordSet{
		Version: 2, Attributes: protocol.Attributes(codec), Records: protocol.NewRecordReader(out...),
	}
	var b bytes.Buffer
	if _, err := set.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()[4:]
}

// TestABatchThatUnpacksToTooMuch is refused before it is unpacked as a whole.
func TestABatchThatUnpacksToTooMuch(t *testing.T) {
	for _, codec := range codecs[1:] {
		set, err := AppendSet(nil, []*topology.Record{{Value: make([]byte, 1<<20)}}, codec, now)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := read(set[4:], 1<<16); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", codec, err)
		}
	}
}

// TestDamage: no byte of a batch can change, and none be missing, without its being noticed. Where the
// broker put the batch is not part of its checksum.
func TestDamage(t *testing.T) {
	set, err := AppendSet(nil, samples()[:3], compress.None, now)
	if err != nil {
		t.Fatal(err)
	}
	set = set[4:]
	for i := atLength; i < len(set); i++ {
		if i >= atEpoch && i < atFormat {
			continue // the leader's epoch, which brokers write
		}
		damaged := bytes.Clone(set)
		damaged[i] ^= 1
		if got, err := read(damaged, 1<<20); err == nil && len(got) > 0 {
			t.Fatalf("with byte %d changed it is read as %v", i, got)
		}
	}
	for n := range len(set) {
		if got, err := read(set[:n], 1<<20); err != nil || got != nil {
			t.Fatalf("the first %d bytes are read as %v, %v: want nothing, as a cut batch comes again", n, got, err)
		}
	}
}

// TestOffsetsOfOthers: a record has an offset of its own batch, and behind the one before. Brokers take any.
func TestOffsetsOfOthers(t *testing.T) {
	const second = headerBytes + 8 + 3 // where how far it is from the first is said
	for _, test := range []struct {
		delta, last byte
		want        error
	}{
		{1, 1, nil}, {2, 2, nil}, // of which compaction took one away
		{0, 1, ErrMalformed}, {2, 1, ErrMalformed}, {60, 1, ErrMalformed},
	} {
		set, err := AppendSet(nil, []*topology.Record{{Value: []byte("a")}, {Value: []byte("b")}}, compress.None, now)
		if err != nil {
			t.Fatal(err)
		}
		set = set[4:]
		set[second], set[atLastOffset+3] = test.delta<<1, test.last
		fixChecksum(set)
		if got, err := read(set, 1<<20); !errors.Is(err, test.want) {
			t.Errorf("at %d of 0 to %d: %v, %v; want %v", test.delta, test.last, got, err, test.want)
		}
	}
}

// TestWideWindow: what a frame says of its window takes no memory.
func TestWideWindow(t *testing.T) {
	var packed bytes.Buffer
	w, err := zstd.NewWriter(&packed, zstd.WithWindowSize(128<<20), zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	set, err := AppendSet(nil, samples(), compress.None, now)
	if err != nil {
		t.Fatal(err)
	}
	set = set[4:]
	if _, err := w.Write(set[headerBytes:]); err != nil || w.Flush() != nil || w.Close() != nil {
		t.Fatal(err)
	}
	got, taken, err := readPacked(set, compress.Zstd, packed.Bytes())
	if err != nil || len(got) != len(samples()) || taken > 8<<20 {
		t.Errorf("%d records, %v, with %d MB; want %d", len(got), err, taken>>20, len(samples()))
	}
}

// readPacked reads a batch with other records, and tells how many bytes that took.
func readPacked(set []byte, codec compress.Compression, packed []byte) (got []topology.Record, taken uint64,
	err error) {
	set = append(set[:headerBytes:headerBytes], packed...)
	binary.BigEndian.PutUint32(set[atLength:], uint32(len(set)-atEpoch))
	set[atAttributes+1] = byte(codec)
	fixChecksum(set)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got, err = read(set, 32<<20)
	runtime.ReadMemStats(&after)
	return got, after.TotalAlloc - before.TotalAlloc, err
}

// TestSnappy in frames and without, and that what either says of its size takes no memory.
func TestSnappy(t *testing.T) {
	set, err := AppendSet(nil, samples(), compress.None, now)
	if err != nil {
		t.Fatal(err)
	}
	set = set[4:]
	const magic = "\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01"
	const most, large = "\xff\xff\xff\xff", "\x80\x80\x80\x0f" // 4 GB, and less than is unpacked at most
	rest := strings.Repeat("x", 25)
	for name, test := range map[string]struct {
		packed []byte
		want   error
	}{
		"a block":             {s2.EncodeSnappy(nil, set[headerBytes:]), nil},
		"frames":              {xerial.Encode(nil, set[headerBytes:]), nil},
		"a long block":        {[]byte(most + "\x0f" + rest), ErrMalformed},
		"a large block":       {[]byte(large + rest), ErrMalformed},
		"a long frame":        {[]byte(magic + most + rest), ErrMalformed},
		"a long block in one": {[]byte(magic + "\x00\x00\x00\x0a" + most + "\x0f" + rest), ErrMalformed},
		"a large one after one": {slices.Concat(xerial.Encode(nil, set[headerBytes:]), []byte("\x00\x00\x00\x0a"+large+rest)),
			ErrMalformed},
		"nothing": {nil, ErrMalformed}, "the magic": {[]byte(magic), ErrMalformed},
	} {
		got, taken, err := readPacked(set, compress.Snappy, test.packed)
		if !errors.Is(err, test.want) || err == nil && len(got) != len(samples()) || taken > 8<<20 {
			t.Errorf("%s: %d records, %v, with %d MB", name, len(got), err, taken>>20)
		}
	}
}

// TestRoomForZstd grows with what there is to unpack, up to its bound.
func TestRoomForZstd(t *testing.T) {
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		size, limit, most int
		want              error
	}{
		{1 << 20, 32 << 20, 4 << 20, nil},
		{3 << 19, 32 << 20, 10 << 20, nil},
		{20 << 20, 32 << 20, 90 << 20, nil},
		{20 << 20, 8 << 20, 20 << 20, ErrTooLarge},
	} {
		packed := w.EncodeAll(make([]byte, test.size), nil)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got, err := unpackWithin(unzstd.DecodeAll, packed, test.limit)
		runtime.ReadMemStats(&after)
		if taken := after.TotalAlloc - before.TotalAlloc; !errors.Is(err, test.want) || taken > uint64(test.most) ||
			err == nil && len(got) != test.size {
			t.Errorf("%d of at most %d bytes: %d, %v, with %d bytes; want %v", test.size, test.limit, len(got), err, taken,
				test.want)
		}
	}
}

// FuzzBatch: whatever a broker sends, reading it ends, without a crash, within its bounds.
func FuzzBatch(f *testing.F) {
	for _, codec := range codecs {
		set, _ := AppendSet(nil, samples()[:3], codec, now)
		f.Add(set[4:])
	}
	f.Fuzz(func(t *testing.T, set []byte) {
		fixChecksum(set)
		records, err := read(set, 1<<16)
		if n := len(records); n > 1<<16 {
			t.Errorf("%d records from %d bytes (%v)", n, len(set), err)
		}
	})
}

// fixChecksum makes the first batch pass its checksum, so that a fuzzer gets behind it.
func fixChecksum(set []byte) {
	if len(set) < headerBytes {
		return
	}
	end := int64(atEpoch) + int64(binary.BigEndian.Uint32(set[atLength:]))
	if end >= headerBytes && end <= int64(len(set)) {
		binary.BigEndian.PutUint32(set[atChecksum:], crc32.Checksum(set[atAttributes:end], castagnoli))
	}
}

func BenchmarkBatch(b *testing.B) {
	var records []*topology.Record
	for i := range 200 {
		records = append(records, &topology.Record{
			Key: fmt.Appendf(nil, "order-%d", i), Value: make([]byte, 1000), Time: now,
			Headers: []topology.Header{{Key: topology.HeaderChannel, Value: []byte("email")}},
		})
	}
	var set []byte
	b.Run("write", func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			set, _ = AppendSet(set[:0], records, compress.None, now)
		}
	})
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			batch, _, _ := NextBatch(set[4:])
			in, _ := batch.Records(1 << 20)
			var r topology.Record
			for in.Next(&r) == nil {
			}
		}
	})
}
