package consumer

import (
	"sync/atomic"
	"time"
)

// DefaultInFlight is how many bytes a process keeps in flight by default.
const DefaultInFlight = 8 << 20

// budget is how many bytes may be in flight, unpacked: fetched and not yet
// acknowledged, over all partitions and topics of a Reader.
type budget struct {
	most       int64
	yields     atomic.Int64 // until when only mostYielding are to be used, in ns since 1970
	used       atomic.Int64
	partitions atomic.Int64 // that share it
	// packing is how many bytes one fetched byte has lately unpacked to, in 1/64.
	packing atomic.Int64
}

// recordOverhead and headerOverhead are about what a record and a header take beside
// their bytes.
const (
	recordOverhead = 200
	headerOverhead = 40
)

// mostYielding is what is in flight, unpacked, of a Reader that yields: more would
// stand before others' in Redis and the brokers, less would cost a request for every
// few records.
const mostYielding = 1 << 20

// leastFetch is what a partition that holds nothing may always fetch. A batch that is
// larger comes alone.
const leastFetch = 16 << 10

// room is how many bytes a partition that holds some may fetch now, unpacked, and no
// more than most; 0 where it is to wait until it has given some back. Half of the
// budget is for whoever comes, a quarter of what is left at a time; of the other half
// each partition has its share. A partition that holds some waits for a good part of its
// share: what is given back in small pieces would otherwise be fetched in small pieces from then on.
func (b *budget) room(held, most int) int {
	half := b.most / 2
	if b.yielding() {
		half = min(half, mostYielding/2)
	}
	share := int(half / max(b.partitions.Load(), 1))
	room := max(share-held, int(half-b.used.Load())/4)
	if held > 0 && room < min(max(share/2, leastFetch), most) {
		return 0
	}
	return min(max(room, leastFetch), most)
}

func (b *budget) yielding() bool { return time.Now().UnixNano() < b.yields.Load() }

// packed is how many fetched bytes likely unpack to so many.
func (b *budget) packed(unpacked int) int {
	return max(unpacked*64/int(b.packing.Load()), 1<<10)
}

// take notes that so many fetched bytes have become so many in flight, possibly none.
func (b *budget) take(fetched, unpacked int) {
	b.used.Add(int64(unpacked))
	if unpacked > 0 {
		last, now := b.packing.Load(), int64(unpacked)*64/int64(fetched)
		b.packing.Store(max(64, last+(now-last)/8))
	}
}

func (b *budget) give(unpacked int) { b.used.Add(int64(-unpacked)) }
