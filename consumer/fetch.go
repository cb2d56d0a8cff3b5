package consumer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/wire"
)

// Fetcher reads one partition in order from an offset on. It reads what is
// committed only: records of aborted transactions are skipped.
type Fetcher struct {
	Addr      net.Addr
	Transport kafka.RoundTripper
	Topic     topology.Topic
	// ID is of the topic that offsets count for, as wire.TopicID has it; the default is that of the first
	// fetch. When the topic is gone, also where there is another of its name, a fetch fails with
	// kafka.UnknownTopicID.
	ID        string
	Partition int
	// MaxBytes bounds a fetch. The first batch of a fetch comes whole, even
	// where it is larger.
	MaxBytes int
	// MaxWait is how long a fetch waits for a first record.
	MaxWait time.Duration
	// Only, if it has a key, passes over the records whose header of that key
	// has another value.
	Only topology.Header
	// Log hears of what Fetch passes over because it can never be read.
	Log zerolog.Logger
	// Whole is of a topic where nothing may be passed over: it is an ErrUnreadable.
	Whole bool

	offset  int64
	damaged int // how often what begins there came damaged
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
	// Lost is how many offsets Fetch has passed over because they can never be read.
	Lost int64
	// Passed is what the fetch met and is not to be read.
	Passed []Passed

	faults         map[int64]*topology.Fault
	fetched, bytes int // as in contents
	large          bool
}

// Passed is a batch from its first offset to its last, or a record, and why it is not to be read.
type Passed struct {
	First, Last int64
	Why         string
}

// Why a batch is passed over: it ends a transaction, its transaction was aborted, or it can never be read.
const (
	Marker     = "marker"
	Aborted    = "aborted"
	Unreadable = "unreadable"
)

const (
	// mostUnpacked bounds what one record batch may unpack to.
	mostUnpacked = 32 << 20
	// largeBatch is what a batch unpacks to of which a Reader has one at a time.
	largeBatch = 1 << 20
	// mostRead bounds what the records of a batch that are read at once keep in memory
	// beside its bytes. The others are left to the next fetch.
	mostRead = 8 << 20
)

// ErrUnreadable is that a topic of which all counts has something that can never be read.
var ErrUnreadable = errors.New("it can never be read")

// SeekTo sets the offset of the next fetch.
func (f *Fetcher) SeekTo(offset int64) { f.offset = offset }

// Fetch waits for records and returns them, but for those that can never be read. Its
// error is of the kafka package or of the network; after one, Fetch may be called again.
func (f *Fetcher) Fetch(ctx context.Context) (Fetched, error) {
	if f.ID == "" {
		id, err := wire.TopicID(ctx, f.Addr, f.Transport, f.Topic)
		if err != nil {
			return Fetched{}, err
		}
		f.ID = id
	}
	request := wire.NewFetch(wire.AnyLeader, f.MaxWait, 1, f.MaxBytes)
	request.Add(f.Topic, f.ID, f.Partition, f.offset, f.MaxBytes)
	topics, err := request.Await(ctx, f.Transport, f.Addr)
	switch {
	case err != nil:
		return Fetched{}, fmt.Errorf("fetch %s/%d: %w", f.Topic, f.Partition, err)
	case len(topics) == 0 || len(topics[0].Partitions) == 0:
		return Fetched{}, fmt.Errorf("fetch %s/%d: %w", f.Topic, f.Partition, errNoPartition)
	}
	at := place{f.Topic, f.ID, f.Partition}
	c, err := readContents(&topics[0].Partitions[0], at, f.offset, math.MaxInt, mostUnpacked)
	if d := f.givesUp(err); d != nil {
		c, err = d.contents(), nil
	}
	if err != nil {
		return Fetched{}, err
	}
	defer c.free()
	got := f.keep(c)
	for offset, fault := range got.faults {
		if f.Whole {
			return Fetched{}, fmt.Errorf("%s/%d at offset %d: %w: %w", f.Topic, f.Partition, offset, ErrUnreadable, fault)
		}
	}
	f.passOver(&got)
	return got, nil
}

// passOver leaves out the records that have faults.
func (f *Fetcher) passOver(got *Fetched) {
	end := got.Next
	for i, r := range slices.Backward(got.Records) {
		if fault := got.faults[r.Offset]; fault != nil {
			f.Log.Error().Str("topic", string(f.Topic)).Int("partition", f.Partition).Int64("offset", r.Offset).
				Int64("up_to", end-1).Err(fault).Msg("this can never be read; it is passed over")
			got.Records = slices.Delete(got.Records, i, i+1)
			got.Lost += end - r.Offset
		}
		end = r.Offset
	}
}

// keep takes the wanted records of what was read, without copying their bytes, and
// moves the offset.
func (f *Fetcher) keep(c *contents) Fetched {
	got := Fetched{
		Next: max(f.offset, c.next), HighWatermark: c.highWatermark, faults: c.faults, fetched: c.fetched,
		large: c.large, Passed: c.passed,
	}
	got.Moved = got.Next > f.offset
	wanted := func(r *topology.Record) bool {
		return r.Offset >= f.offset && !f.passesOver(r.Headers)
	}
	n, now := 0, time.Now()
	for i := range c.records {
		if wanted(&c.records[i]) {
			n++
		}
	}
	if n > 0 {
		got.bytes = c.bytes
		got.Records = make([]topology.Record, 0, n)
		for i := range c.records {
			if wanted(&c.records[i]) {
				got.Records = append(got.Records, c.records[i])
				if r := &got.Records[len(got.Records)-1]; !Plausible(r.Time, now) {
					r.Time = now
				}
			}
		}
	}
	f.offset = got.Next
	return got
}

// Plausible reports whether a record may have been written at a time: neither to come, nor before 2020. Another is of a
// wrong clock or in other units: the record counts as written when it is read, and no validity ends by it.
func Plausible(at, now time.Time) bool { return !at.After(now) && at.UTC().Year() >= 2020 }

// contents are what an answer has of a partition.
type contents struct {
	records       []topology.Record
	next          int64 // the offset after the last of them, and of what is not to be read
	highWatermark int64
	fetched       int  // bytes that were read
	bytes         int  // that the records keep in memory
	large         bool // they are of a large batch
	// faults are of records, by their offsets, that cannot be handled, or that stand
	// for a batch that cannot be read.
	faults map[int64]*topology.Fault
	passed []Passed
}

// spare has the space of contents that nobody needs any more.
var spare = sync.Pool{New: func() any { return new(contents) }}

// free gives the records' space back, not their bytes. It may be called with nil.
func (c *contents) free() {
	if c != nil {
		clear(c.records)
		*c = contents{records: c.records[:0]}
		spare.Put(c)
	}
}

// readContents reads an answer from an offset on. It leaves batches to the next fetch
// once the records keep most bytes in memory. Where a batch may not unpack to more than
// limit, which is less than mostUnpacked, its error is errLarge.
func readContents(answer *wire.FetchedPartition, at place, offset int64, most, limit int) (*contents, error) {
	if answer.ErrorCode != 0 {
		return nil, fmt.Errorf("fetch %s/%d at offset %d: %w", at.topic, at.partition, offset,
			kafka.Error(answer.ErrorCode))
	}
	c := spare.Get().(*contents)
	c.next, c.highWatermark = offset, answer.HighWatermark
	aborted := AbortsOf(answer)
	for set, whole := answer.RecordSet.Bytes, true; whole && c.bytes < most && !c.large; {
		batch, rest, err := wire.NextBatch(set)
		if errors.Is(err, io.EOF) {
			break
		}
		switch {
		case err != nil:
		case batch.Marker:
			aborted.Keeps(&batch)
			c.pass(&batch, Marker)
		case !aborted.Keeps(&batch):
			c.pass(&batch, Aborted)
		case batch.LastOffset >= offset:
			whole, err = c.readBatch(&batch, at, offset, limit)
		}
		if err != nil {
			if len(c.records) > 0 {
				break // first what is before it
			}
			c.free()
			if errors.Is(err, errLarge) {
				return nil, err
			}
			return nil, &damage{error: err, batch: batch, at: at, offset: max(offset, batch.FirstOffset),
				highWatermark: answer.HighWatermark}
		}
		if c.next = max(c.next, batch.LastOffset+1); !whole {
			c.next = c.records[len(c.records)-1].Offset + 1
		}
		c.fetched += len(set) - len(rest)
		set = rest
	}
	return c, nil
}

// readBatch adds a batch's records from an offset on, and reports whether that are all.
// Of one that can never be read a record stands for the whole.
func (c *contents) readBatch(batch *wire.Batch, at place, offset int64, limit int) (whole bool, err error) {
	records, err := batch.Records(limit)
	if errors.Is(err, wire.ErrTooLarge) && limit < mostUnpacked {
		return true, errLarge
	} else if err != nil {
		return c.standIn(batch, at, offset, err), nil
	}
	c.large = limit == mostUnpacked && records.Bytes() > largeBatch
	before, passed, overhead := len(c.records), len(c.passed), 0
	for overhead < mostRead {
		r := topology.Record{Topic: at.topic, Partition: at.partition}
		err := records.Next(&r)
		switch {
		case errors.Is(err, io.EOF):
			c.bytes += records.Bytes() + overhead
			return true, nil
		case r.Offset < offset && (err == nil || errors.Is(err, wire.ErrTooManyHeaders)):
			continue
		case errors.Is(err, wire.ErrTooManyHeaders):
			c.fail(r.Offset, &topology.Fault{Reason: topology.ReasonTooLarge,
				Detail: err.Error() + ", which are only where it was read from"})
			c.passed = append(c.passed, Passed{r.Offset, r.Offset, Unreadable})
		case err != nil:
			clear(c.records[before:])
			c.records, c.passed = c.records[:before], c.passed[:passed]
			return c.standIn(batch, at, offset, err), nil
		}
		c.records = append(c.records, r)
		overhead += recordOverhead + len(r.Headers)*headerOverhead
	}
	c.bytes += records.Bytes() + overhead
	return false, nil
}

// damage is a batch that came damaged: on its way perhaps, so that it is read again.
type damage struct {
	error
	batch         wire.Batch
	at            place
	offset        int64
	highWatermark int64
}

func (d *damage) Error() string {
	return fmt.Sprintf("read %s/%d at offset %d: %v", d.at.topic, d.at.partition, d.offset, d.error)
}

// mostDamaged is how often in a row a batch comes damaged until it counts as one that can never be read.
const mostDamaged = 5

// givesUp returns what an error is of, if that has come damaged too often.
func (f *Fetcher) givesUp(err error) *damage {
	d, is := errors.AsType[*damage](err)
	if !is {
		f.damaged = 0
		return nil
	}
	if f.damaged++; f.damaged < mostDamaged {
		return nil
	}
	f.damaged = 0
	return d
}

// contents are a record that stands for the batch.
func (d *damage) contents() *contents {
	c := spare.Get().(*contents)
	c.standIn(&d.batch, d.at, d.offset, d.error)
	c.next, c.highWatermark, c.fetched = max(d.offset, d.batch.LastOffset)+1, d.highWatermark, c.bytes
	return c
}

var errLarge = errors.New("the next batch is large, and another one is in hand")

// standIn adds a record that stands for a whole batch, and what is wrong with that.
func (c *contents) standIn(batch *wire.Batch, at place, offset int64, err error) (whole bool) {
	fault := &topology.Fault{Reason: topology.ReasonBadValue}
	if errors.Is(err, wire.ErrTooLarge) {
		fault.Reason = topology.ReasonTooLarge
	}
	offset = max(offset, batch.FirstOffset)
	fault.Detail = fmt.Sprintf("no record up to offset %d can be read: %v; publish them again, in smaller batches",
		max(offset, batch.LastOffset), err)
	r := topology.Record{Topic: at.topic, Partition: at.partition, Offset: offset, Time: time.Now()}
	c.records = append(c.records, r)
	c.bytes += recordOverhead
	c.fail(r.Offset, fault)
	c.pass(batch, Unreadable)
	return true
}

func (c *contents) pass(batch *wire.Batch, why string) {
	c.passed = append(c.passed, Passed{batch.FirstOffset, batch.LastOffset, why})
}

func (c *contents) fail(offset int64, fault *topology.Fault) {
	if c.faults == nil {
		c.faults = make(map[int64]*topology.Fault)
	}
	c.faults[offset] = fault
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

// Aborts follows, through the batches of one answer, whose transactions
// were aborted: those listed open at their first offset and close at the
// producer's marker.
type Aborts struct {
	listed []wire.AbortedTransaction
	open   map[int64]bool // by producer id
}

// AbortsOf are those of an answer, which may be read again.
func AbortsOf(answer *wire.FetchedPartition) Aborts {
	return Aborts{listed: slices.Clone(answer.AbortedTransactions)}
}

// Keeps reports whether the batch's records are to be read, and must be asked
// once for each batch, in order.
func (a *Aborts) Keeps(batch *wire.Batch) bool {
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

func (a *Aborts) openUpTo(offset int64) {
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
