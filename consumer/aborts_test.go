package consumer

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"testing"
	"time"

	"github.com/segmentio/kafka-go/compress"

	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/wire"
)

// TestAnswerThatBeginsAtAMarker: the broker lists a transaction as aborted also
// when only its marker is in the answer; that must not swallow what the same
// producer commits next.
func TestAnswerThatBeginsAtAMarker(t *testing.T) {
	data := func(offset, producer int64) *wire.Batch {
		return &wire.Batch{FirstOffset: offset, Producer: producer, Transactional: true}
	}
	marker := func(offset, producer int64) *wire.Batch {
		return &wire.Batch{FirstOffset: offset, Producer: producer, Transactional: true, Marker: true}
	}
	aborts := Aborts{listed: []wire.AbortedTransaction{
		{ProducerID: 7, FirstOffset: 3}, {ProducerID: 8, FirstOffset: 9},
	}}
	for i, step := range []struct {
		batch *wire.Batch
		keep  bool
	}{
		{marker(6, 7), false}, // of the transaction whose records were read before
		{data(7, 7), true},
		{data(8, 8), true}, // of a transaction before the one that is aborted
		{data(9, 8), false},
		{data(10, 7), true},
		{marker(11, 8), false},
		{data(12, 8), true},
	} {
		if keep := aborts.Keeps(step.batch); keep != step.keep {
			t.Errorf("batch %d: kept is %v, want %v", i, keep, step.keep)
		}
	}
}

// TestAnswerThatIsReadAgain: an answer whose large batch was left is read once more when that may be unpacked. What was
// aborted before it is passed over then too.
func TestAnswerThatIsReadAgain(t *testing.T) {
	batch := func(offset uint64, transactional byte, value []byte) []byte {
		set, err := wire.AppendSet(nil, []*topology.Record{{Value: value}}, compress.Zstd, time.Unix(1, 0))
		if err != nil {
			t.Fatal(err)
		}
		set = set[4:]
		binary.BigEndian.PutUint64(set, offset)
		set[22] |= transactional
		binary.BigEndian.PutUint64(set[43:], 7) // the producer
		binary.BigEndian.PutUint32(set[17:], crc32.Checksum(set[21:], crc32.MakeTable(crc32.Castagnoli)))
		return set
	}
	answer := &wire.FetchedPartition{RecordSet: wire.RecordSet{
		Bytes: append(batch(0, 0x10, []byte("aborted")), batch(1, 0, make([]byte, 2*largeBatch))...),
	}}
	answer.AbortedTransactions = []wire.AbortedTransaction{{ProducerID: 7, FirstOffset: 0}}
	if _, err := readContents(answer, place{topic: "t"}, 0, 4*largeBatch, largeBatch); !errors.Is(err, errLarge) {
		t.Fatalf("at first: %v, want %v", err, errLarge)
	}
	c, err := readContents(answer, place{topic: "t"}, 0, 4*largeBatch, mostUnpacked)
	if err != nil || !c.large || len(c.records) != 1 || c.records[0].Offset != 1 || c.next != 2 {
		t.Fatalf("then: %+v, %v; want the large batch alone", c, err)
	}
}
