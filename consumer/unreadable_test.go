package consumer

import (
	"context"
	"encoding/binary"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/segmentio/kafka-go/compress"

	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/wire"
)

// TestWhatIsPassedOver: a batch that came damaged is fetched again, some times, and then passed over, always to an
// offset further on.
func TestWhatIsPassedOver(t *testing.T) {
	good, err := wire.AppendSet(nil, []*topology.Record{{Value: []byte("a")}, {Value: []byte("b")}}, compress.None,
		time.Unix(1, 0))
	if err != nil {
		t.Fatal(err)
	}
	damage := map[string]func(set []byte){
		"a length that holds no header": func(set []byte) { binary.BigEndian.PutUint32(set[8:], 20) },
		"a wrong checksum":              func(set []byte) { set[len(set)-1] ^= 1 },
		"another format":                func(set []byte) { set[16] = 1 },
		"a wrong end":                   func(set []byte) { set[24] ^= 0x40 },
	}
	for name, spoil := range damage {
		set := append([]byte(nil), good[4:]...)
		spoil(set)
		answer := &wire.FetchedPartition{RecordSet: wire.RecordSet{Bytes: set}}
		_, err := readContents(answer, place{topic: "t"}, 0, 1<<20, mostUnpacked)
		if err == nil {
			t.Errorf("%s: %v; want an error after which the same is fetched again", name, err)
		}
		f := Fetcher{offset: 0}
		for range mostDamaged - 1 {
			if f.givesUp(err) != nil {
				t.Errorf("%s: it is given up at once", name)
			}
		}
		d := f.givesUp(err)
		if d == nil || f.givesUp(err) != nil {
			t.Fatalf("%s: %v; want that it is given up after %d times, and then not at once", name, d, mostDamaged)
		}
		next := int64(1) // where it ends is not to be believed
		if name == "a wrong checksum" {
			next = 2
		}
		if c := d.contents(); c.next != next || len(c.records) != 1 || c.faults[0] == nil {
			t.Errorf("%s: %+v; want one record that stands for it", name, c)
		}
	}
}

// TestManySmallRecords: a batch of records that cost many times what they are sent as
// is read in parts, of which each is bounded, and a handler is given some at a time.
func TestManySmallRecords(t *testing.T) {
	nulls := make([]*topology.Record, 130_000)
	for i := range nulls {
		nulls[i] = new(topology.Record)
	}
	headers := make([]*topology.Record, 100)
	for i := range headers {
		headers[i] = &topology.Record{Headers: make([]topology.Header, wire.MostHeaders)}
	}
	for name, records := range map[string][]*topology.Record{"null values": nulls, "headers": headers, "both": append(
		nulls[:40_000:40_000], headers...)} {
		set, err := wire.AppendSet(nil, records, compress.Gzip, time.Unix(1, 0))
		if err != nil {
			t.Fatal(err)
		}
		answer := &wire.FetchedPartition{RecordSet: wire.RecordSet{Bytes: set[4:]}}
		next, parts := int64(0), 0
		for ; next < int64(len(records)); parts++ {
			c, err := readContents(answer, place{topic: "t"}, next, 1<<20, mostUnpacked)
			if err != nil || len(c.records) == 0 || c.records[0].Offset != next {
				t.Fatalf("%s: at %d: %d records, %v", name, next, len(c.records), err)
			}
			held := 0
			for i := range c.records {
				held += recordOverhead + headerOverhead*len(c.records[i].Headers)
			}
			if c.next != next+int64(len(c.records)) || held > mostRead+headerOverhead*wire.MostHeaders || c.bytes < held {
				t.Fatalf("%s: %d records, of which %d bytes are counted and %d held", name, len(c.records), c.bytes, held)
			}
			next = c.next
			c.free()
		}
		if parts < 2 && name != "headers" {
			t.Errorf("%s: in %d parts", name, parts)
		}
	}
}

// TestTooManyHeaders: a record that has them is passed on without, as one that cannot be
// handled; those around it are not touched, also where it was read before.
func TestTooManyHeaders(t *testing.T) {
	var records []*topology.Record
	for i := range 5 {
		r := &topology.Record{Value: []byte(strconv.Itoa(i)), Headers: make([]topology.Header, 2)}
		if i == 1 || i == 3 {
			r.Headers = make([]topology.Header, 500_000)
		}
		records = append(records, r)
	}
	set, err := wire.AppendSet(nil, records, compress.None, time.Unix(1, 0))
	if err != nil {
		t.Fatal(err)
	}
	answer := &wire.FetchedPartition{RecordSet: wire.RecordSet{Bytes: set[4:]}}
	for from := range 5 {
		c, err := readContents(answer, place{topic: "t"}, int64(from), 1<<20, mostUnpacked)
		if err != nil || len(c.records) != 5-from || c.next != 5 {
			t.Fatalf("from %d: %d records, %v", from, len(c.records), err)
		}
		for i, r := range c.records {
			bad := (from+i)%2 == 1
			if string(r.Value) != strconv.Itoa(from+i) || (c.faults[r.Offset] != nil) != bad || (len(r.Headers) == 0) != bad {
				t.Errorf("from %d: %s has %d headers, %v", from, r.Value, len(r.Headers), c.faults[r.Offset])
			}
		}
	}
}

// TestHandlersAreGivenSomeAtATime bounds what they put out.
func TestHandlersAreGivenSomeAtATime(t *testing.T) {
	var given []int
	h := handling(func(b Batch) (Result, error) {
		given = append(given, len(b.Records))
		return Result{Handled: len(b.Records)}, nil
	})
	l := New(Config{Handler: h, Role: topology.RoleMatch})
	p := &pipeline{
		assignment: &assignment{member: newMember(l)}, tenure: tenure{working: t.Context()},
		tracker: newTracker("t", 0, time.Now()),
	}
	b := fetched{Batch: Batch{Records: make([]topology.Record, 10_003)}, next: 10_003, bytes: 7}
	for i := range b.Records {
		b.Records[i].Offset = int64(i)
	}
	for i := 10_000; i < 10_003; i++ {
		b.Records[i].Value = make([]byte, bytesAtOnce-1)
	}
	b.faults = map[int64]*topology.Fault{9_000: {Reason: topology.ReasonTooLarge}}
	var next int64
	bytes, letters := 0, 0
	(&worker{pipeline: p}).handle(b, func(h handled) bool {
		if h.next <= next {
			t.Errorf("after %d comes %d", next, h.next)
		}
		next, bytes, letters = h.next, bytes+h.bytes, letters+len(h.out)
		return true
	})
	want := []int{4000, 4000, 1000, 1000, 1, 1}
	if !slices.Equal(given, want) || next != 10_003 || bytes != 7 || letters != 1 {
		t.Errorf("given %v, up to %d, %d bytes, %d letters; want %v", given, next, bytes, letters, want)
	}
}

type handling func(Batch) (Result, error)

func (h handling) Handle(_ context.Context, b Batch) (Result, error) { return h(b) }
