package consumer

import "sync/atomic"

// DefaultInFlight is how many bytes a process keeps in flight by default.
const DefaultInFlight = 8 << 20

// budget is how many bytes may be in flight, unpacked: fetched and not yet
// acknowledged, over all partitions and topics of a Reader.
type budget struct {
	most       int64
	used       atomic.Int64
	partitions atomic.Int64 // that share it
	// packing is how many bytes one fetched byte has lately unpacked to, in 1/64.
	packing atomic.Int64
}

// leastFetch is what a partition may always fetch, so that those whose handlers
// wait for long leave something to the others. A batch that is larger comes alone.
const leastFetch = 16 << 10

// share is how much a partition may hold of what it fetches now, and no more than
// most, and how many bytes that is as they are fetched.
func (b *budget) share(most int) (unpacked, fetched int) {
	free := max(b.most-b.used.Load(), 0)
	unpacked = min(max(int(free/max(b.partitions.Load(), 1)), leastFetch), most)
	return unpacked, max(unpacked*64/int(b.packing.Load()), 1<<10)
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
