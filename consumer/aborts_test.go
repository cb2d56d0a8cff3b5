package consumer

import (
	"testing"

	fetchapi "github.com/segmentio/kafka-go/protocol/fetch"

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
	aborts := openAborts{listed: []fetchapi.ResponseTransaction{
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
		if keep := aborts.keeps(step.batch); keep != step.keep {
			t.Errorf("batch %d: kept is %v, want %v", i, keep, step.keep)
		}
	}
}
