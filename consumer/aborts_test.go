package consumer

import (
	"testing"

	"github.com/segmentio/kafka-go/protocol"
	fetchapi "github.com/segmentio/kafka-go/protocol/fetch"
)

// TestAnswerThatBeginsAtAMarker: the broker lists a transaction as aborted also
// when only its marker is in the answer; that must not swallow what the same
// producer commits next.
func TestAnswerThatBeginsAtAMarker(t *testing.T) {
	const transactional = 1 << 4
	data := func(offset, producer int64) protocol.RecordReader {
		return &protocol.RecordBatch{Attributes: transactional, BaseOffset: offset, ProducerID: producer}
	}
	marker := func(offset, producer int64) protocol.RecordReader {
		return &protocol.ControlBatch{BaseOffset: offset, ProducerID: producer}
	}
	aborts := abortedTransactions([]fetchapi.ResponseTransaction{
		{ProducerID: 7, FirstOffset: 3}, {ProducerID: 8, FirstOffset: 9},
	})
	for i, step := range []struct {
		batch protocol.RecordReader
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
		if keep := aborts.keeps(step.batch); keep != step.keep {
			t.Errorf("batch %d: kept is %v, want %v", i, keep, step.keep)
		}
	}
}
