package consumer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	fetchapi "github.com/segmentio/kafka-go/protocol/fetch"

	"github.com/meddela/meddela/consumer/internal/slab"
	"github.com/meddela/meddela/topology"
)

// Fetcher reads one partition in order from an offset on. It reads what is
// committed only: records of aborted transactions are skipped.
//
// It speaks the fetch request itself rather than through kafka.Client.Fetch,
// which neither says which transactions were aborted nor moves past batches
// that hold no data.
type Fetcher struct {
	Addr      net.Addr
	Transport kafka.RoundTripper
	Topic     topology.Topic
	Partition int
	// MaxBytes bounds a fetch. The first batch of a fetch comes whole, even
	// where it is larger.
	MaxBytes int
	// MaxWait is how long a fetch waits for a first record.
	MaxWait time.Duration
	// Only, if it has a key, passes over the records whose header of that key
	// has another value.
	Only topology.Header

	offset int64
	// busy is set while fetches bring much: then the next one may wait a
	// little for more, as a request costs about as much as a dozen records.
	busy bool
	// lazy is set while fetches bring only what is passed over: then the next
	// one waits for more of it, or for a while, so that a reader of few records
	// among many costs few requests.
	lazy bool
}

const (
	// lazyTime is how long a record may wait that comes after many that are
	// passed over.
	lazyTime = 100 * time.Millisecond
	// busyBytes is how much a fetch must bring for the next one to wait.
	busyBytes = 8 << 10
	// gatherBytes and gatherTime end that wait, whichever comes first.
	gatherBytes = 128 << 10
	gatherTime  = 25 * time.Millisecond
)

// Fetched is the answer to one fetch.
type Fetched struct {
	// Records are the new records, possibly none.
	Records []topology.Record
	// Next is the offset at which the next fetch goes on.
	Next int64
	// Moved reports whether Next is further than before the fetch.
	Moved bool
	// HighWatermark is the offset after the last record of the partition.
	HighWatermark int64
}

// answerTime is how much longer than MaxWait a broker may take to answer.
const answerTime = 10 * time.Second

// SeekTo sets the offset of the next fetch.
func (f *Fetcher) SeekTo(offset int64) { f.offset = offset }

// Fetch waits for records and returns them. Its error is of the kafka package
// or of the network; after one, Fetch may be called again.
func (f *Fetcher) Fetch(ctx context.Context) (Fetched, error) {
	ctx, cancel := context.WithTimeout(ctx, f.MaxWait+answerTime)
	defer cancel()
	m, err := f.Transport.RoundTrip(ctx, f.Addr, f.request())
	if err != nil {
		return Fetched{}, fmt.Errorf("fetch %s/%d: %w", f.Topic, f.Partition, err)
	}
	partition, err := onlyPartition(m)
	if err != nil {
		return Fetched{}, fmt.Errorf("fetch %s/%d at offset %d: %w", f.Topic, f.Partition, f.offset, err)
	}
	return f.read(partition)
}

func (f *Fetcher) request() *fetchapi.Request {
	least, wait := 1, f.MaxWait
	switch {
	case f.lazy:
		least, wait = min(gatherBytes, f.MaxBytes), min(lazyTime, f.MaxWait)
	case f.busy:
		least, wait = min(gatherBytes, f.MaxBytes), min(gatherTime, f.MaxWait)
	}
	return &fetchapi.Request{
		ReplicaID:      -1,
		MaxWaitTime:    int32(wait.Milliseconds()),
		MinBytes:       int32(least),
		MaxBytes:       math.MaxInt32, // so that the partition's limit is the one that counts
		IsolationLevel: int8(kafka.ReadCommitted),
		SessionID:      -1,
		SessionEpoch:   -1,
		Topics: []fetchapi.RequestTopic{{
			Topic: string(f.Topic),
			Partitions: []fetchapi.RequestPartition{{
				Partition:          int32(f.Partition),
				CurrentLeaderEpoch: -1,
				FetchOffset:        f.offset,
				LogStartOffset:     -1,
				PartitionMaxBytes:  int32(f.MaxBytes),
			}},
		}},
	}
}

var errNoPartition = errors.New("the broker's answer has no partition")

func onlyPartition(m protocol.Message) (*fetchapi.ResponsePartition, error) {
	response := m.(*fetchapi.Response)
	if response.ErrorCode != 0 {
		return nil, kafka.Error(response.ErrorCode)
	}
	if len(response.Topics) == 0 || len(response.Topics[0].Partitions) == 0 {
		return nil, errNoPartition
	}
	partition := &response.Topics[0].Partitions[0]
	if partition.ErrorCode != 0 {
		return nil, kafka.Error(partition.ErrorCode)
	}
	return partition, nil
}

// read copies the wanted records out of an answer and moves the offset.
func (f *Fetcher) read(partition *fetchapi.ResponsePartition) (Fetched, error) {
	before := f.offset
	batches := batchesOf(partition.RecordSet.Records)
	aborted := abortedTransactions(partition.AbortedTransactions)
	var copied recordCopier
	for _, batch := range batches {
		keep := aborted.keeps(batch)
		if err := f.readBatch(batch, keep, &copied); err != nil {
			f.offset = before
			return Fetched{}, fmt.Errorf("read %s/%d after offset %d: %w", f.Topic, f.Partition, f.offset, err)
		}
	}
	if len(batches) > 0 && f.offset == before {
		// All of the batch at this offset lies below it or was compacted
		// away; the client hides where it ends, so step over it.
		f.offset++
	}
	f.busy = copied.bytesCopied >= busyBytes
	f.lazy = f.Only.Key != "" && len(copied.records) == 0 && f.offset > before
	return Fetched{
		Records:       copied.records,
		Next:          f.offset,
		Moved:         f.offset > before,
		HighWatermark: partition.HighWatermark,
	}, nil
}

func (f *Fetcher) readBatch(batch protocol.RecordReader, keep bool, copied *recordCopier) error {
	for {
		r, err := batch.ReadRecord()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if wanted := r.Offset >= f.offset; wanted {
			if keep && !f.passesOver(r.Headers) {
				err = copied.add(f, r)
			}
			f.offset = r.Offset + 1
		}
		release(r)
		if err != nil {
			return err
		}
	}
}

func (f *Fetcher) passesOver(headers []protocol.Header) bool {
	if f.Only.Key == "" {
		return false
	}
	for i := range headers {
		if headers[i].Key == f.Only.Key {
			return !bytes.Equal(headers[i].Value, f.Only.Value)
		}
	}
	return false
}

// release gives the pages that hold a record back to the client's pool.
func release(r *protocol.Record) {
	if r.Key != nil {
		r.Key.Close()
	}
	if r.Value != nil {
		r.Value.Close()
	}
}

func batchesOf(r protocol.RecordReader) []protocol.RecordReader {
	switch r := r.(type) {
	case nil:
		return nil
	case *protocol.RecordStream:
		return r.Records
	default:
		return []protocol.RecordReader{r}
	}
}

// recordCopier copies records out of the client's pages. Keys and values of a
// fetch share large slabs, so that a record costs no allocation of its own.
type recordCopier struct {
	records     []topology.Record
	slab        slab.Slab
	bytesCopied int
}

func (c *recordCopier) add(f *Fetcher, r *protocol.Record) error {
	key, err := c.bytes(r.Key)
	if err != nil {
		return err
	}
	value, err := c.bytes(r.Value)
	if err != nil {
		return err
	}
	c.records = append(c.records, topology.Record{
		Topic:     f.Topic,
		Partition: f.Partition,
		Offset:    r.Offset,
		Time:      r.Time,
		Key:       key,
		Value:     value,
		Headers:   copyHeaders(r.Headers),
	})
	return nil
}

func (c *recordCopier) bytes(b protocol.Bytes) ([]byte, error) {
	if b == nil {
		return nil, nil
	}
	n := b.Len()
	c.bytesCopied += n
	out := c.slab.Keep(c.slab.Room(n)[:n])
	_, err := io.ReadFull(b, out)
	return out, err
}

func copyHeaders(headers []protocol.Header) []topology.Header {
	if len(headers) == 0 {
		return nil
	}
	out := make([]topology.Header, len(headers))
	for i, h := range headers {
		out[i] = topology.Header{Key: h.Key, Value: h.Value}
	}
	return out
}

// openAborts follows, through the batches of one answer, whose transactions
// were aborted: those listed open at their first offset and close at the
// producer's marker.
type openAborts struct {
	listed []fetchapi.ResponseTransaction
	open   map[int64]bool // by producer id
}

func abortedTransactions(listed []fetchapi.ResponseTransaction) *openAborts {
	return &openAborts{listed: listed}
}

// keeps reports whether the batch's records are to be read, and must be asked
// once for each batch, in order.
func (a *openAborts) keeps(batch protocol.RecordReader) bool {
	switch b := batch.(type) {
	case *protocol.ControlBatch:
		// An answer may begin at the marker of a transaction whose records
		// came in the answer before.
		a.openUpTo(b.BaseOffset)
		delete(a.open, b.ProducerID)
		return false
	case *protocol.RecordBatch:
		if len(a.listed) == 0 {
			return true
		}
		a.openUpTo(b.BaseOffset)
		return !b.Attributes.Transactional() || !a.open[b.ProducerID]
	}
	return true
}

func (a *openAborts) openUpTo(offset int64) {
	for i := range a.listed {
		if t := &a.listed[i]; t.FirstOffset >= 0 && t.FirstOffset <= offset {
			if a.open == nil {
				a.open = make(map[int64]bool)
			}
			a.open[t.ProducerID] = true
			t.FirstOffset = -1
		}
	}
}
