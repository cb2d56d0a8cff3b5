package consumer

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/segmentio/kafka-go/compress"

	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/wire"
)

// TestWhatIsPassedOver: only a batch whose records can never be read is passed over, and always to an offset
// further on. One that came damaged is fetched again.
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
	}
	for name, spoil := range damage {
		set := append([]byte(nil), good[4:]...)
		spoil(set)
		_, err := readContents(&wire.FetchedPartition{RecordSet: wire.RecordSet{Bytes: set}}, place{"t", 0}, 7, 1<<20)
		if bad := (*unreadableError)(nil); err == nil || errors.As(err, &bad) {
			t.Errorf("%s: %v; want an error after which the same is fetched again", name, err)
		}
	}
}
