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
	fetchapi "github.com/segmentio/kafka-go/protocol/fetch"

	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/wire"
)

// Fetcher reads one partition in order from an offset on. It reads what is
// committed only: records of aborted transactions are skipped.
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
}

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

	fault   *topology.Fault // that its one record stands for a batch that cannot be read
	fetched int             // bytes that were read
	bytes   int             // that the records keep in memory
}

// mostUnpacked bounds what one record batch may unpack to.
const mostUnpacked = 32 << 20

// SeekTo sets the offset of the next fetch.
func (f *Fetcher) SeekTo(offset int64) { f.offset = offset }

// Fetch waits for records and returns them. Its error is of the kafka package
// or of the network; after one, Fetch may be called again.
func (f *Fetcher) Fetch(ctx context.Context) (Fetched, error) {
	request := wire.NewFetch(f.MaxWait, 1, f.MaxBytes)
	request.Add(f.Topic, f.Partition, f.offset, f.MaxBytes)
	topics, err := request.Send(ctx, f.Transport, f.Addr)
	switch {
	case err != nil:
		return Fetched{}, fmt.Errorf("fetch %s/%d: %w", f.Topic, f.Partition, err)
	case len(topics) == 0 || len(topics[0].Partitions) == 0:
		return Fetched{}, fmt.Errorf("fetch %s/%d: %w", f.Topic, f.Partition, errNoPartition)
	}
	return f.read(&topics[0].Partitions[0], math.MaxInt)
}

var errNoPartition = errors.New("the broker's answer has no partition")

// read takes the wanted records from an answer, without copying them, and moves
// the offset. It leaves batches to the next fetch once the records keep most bytes
// in memory.
func (f *Fetcher) read(answer *wire.FetchedPartition, most int) (Fetched, error) {
	if answer.ErrorCode != 0 {
		return Fetched{}, fmt.Errorf("fetch %s/%d at offset %d: %w", f.Topic, f.Partition, f.offset,
			kafka.Error(answer.ErrorCode))
	}
	got := Fetched{Next: f.offset, HighWatermark: answer.HighWatermark}
	aborted := openAborts{listed: answer.AbortedTransactions}
	for set := answer.RecordSet.Bytes; got.bytes < most; {
		batch, rest, err := wire.NextBatch(set)
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil && aborted.keeps(&batch) && batch.LastOffset >= f.offset {
			likely := len(set) / (len(set) - len(rest)) // batches, all as large as this one
			if err = f.readBatch(&batch, likely, &got); err != nil {
				err = &unreadableError{batch, err}
			}
		}
		if err != nil {
			if len(got.Records) > 0 {
				break // first what is before it
			}
			return Fetched{}, fmt.Errorf("read %s/%d at offset %d: %w", f.Topic, f.Partition, batch.FirstOffset, err)
		}
		got.Next = max(got.Next, batch.LastOffset+1)
		got.fetched += len(set) - len(rest)
		set = rest
	}
	got.Moved = got.Next > f.offset
	if len(got.Records) == 0 {
		got.bytes = 0
	}
	f.offset = got.Next
	return got, nil
}

// unreadableError is that the records of a batch which came undamaged can never be
// read.
type unreadableError struct {
	batch wire.Batch
	error
}

// passOver moves past a batch that can never be read. What it returns has a record
// that stands for the whole batch, and what is wrong with it.
func (f *Fetcher) passOver(e *unreadableError, answer *wire.FetchedPartition) Fetched {
	fault := &topology.Fault{Reason: topology.ReasonBadValue}
	if errors.Is(e.error, wire.ErrTooLarge) {
		fault.Reason = topology.ReasonTooLarge
	}
	fault.Detail = fmt.Sprintf("no record up to offset %d can be read: %v; publish them again, in smaller batches",
		e.batch.LastOffset, e.error)
	f.offset = e.batch.LastOffset + 1
	return Fetched{
		Records: []topology.Record{{Topic: f.Topic, Partition: f.Partition, Offset: e.batch.FirstOffset, Time: time.Now()}},
		Next:    f.offset, Moved: true, HighWatermark: answer.HighWatermark, fault: fault,
	}
}

// readBatch adds a batch's wanted records to what was fetched.
func (f *Fetcher) readBatch(batch *wire.Batch, likely int, got *Fetched) error {
	records, err := batch.Records(mostUnpacked)
	if err != nil {
		return err
	}
	before := len(got.Records)
	if got.Records == nil && f.Only.Key == "" {
		got.Records = make([]topology.Record, 0, records.Len()*likely)
	}
	for {
		r := topology.Record{Topic: f.Topic, Partition: f.Partition}
		err := records.Next(&r)
		switch {
		case errors.Is(err, io.EOF):
			got.bytes += records.Bytes() + (len(got.Records)-before)*recordOverhead
			return nil
		case err != nil:
			got.Records = got.Records[:before]
			return err
		case r.Offset >= f.offset && !f.passesOver(r.Headers):
			got.Records = append(got.Records, r)
		}
	}
}

func (f *Fetcher) passesOver(headers []topology.Header) bool {
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

// openAborts follows, through the batches of one answer, whose transactions
// were aborted: those listed open at their first offset and close at the
// producer's marker.
type openAborts struct {
	listed []fetchapi.ResponseTransaction
	open   map[int64]bool // by producer id
}

// keeps reports whether the batch's records are to be read, and must be asked
// once for each batch, in order.
func (a *openAborts) keeps(batch *wire.Batch) bool {
	if batch.Marker {
		// An answer may begin at the marker of a transaction whose records
		// came in the answer before.
		a.openUpTo(batch.FirstOffset)
		delete(a.open, batch.Producer)
		return false
	}
	if len(a.listed) == 0 {
		return true
	}
	a.openUpTo(batch.FirstOffset)
	return !batch.Transactional || !a.open[batch.Producer]
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
