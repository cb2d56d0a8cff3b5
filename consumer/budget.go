package consumer

import "sync/atomic"

// DefaultBudget is how many bytes a process keeps in flight by default.
const DefaultBudget = 16 << 20

// Budget is how many bytes may be in flight, unpacked: fetched and not yet
// acknowledged, over all partitions and topics of the loops that share it.
type Budget struct {
	most int64
	used atomic.Int64
}

// NewBudget makes a Budget of so many bytes.
func NewBudget(most int64) *Budget { return &Budget{most: most} }

// leastFetch is what a partition may always fetch, so that those whose handlers
// wait for long leave something to the others. A batch that is larger comes alone.
const leastFetch = 16 << 10

// share is how much each of n partitions may fetch now, and no more than most.
func (b *Budget) share(n, most int) int {
	free := max(b.most-b.used.Load(), 0)
	return min(max(int(free)/n, leastFetch), most)
}

func (b *Budget) take(n int) { b.used.Add(int64(n)) }
func (b *Budget) give(n int) { b.used.Add(int64(-n)) }

// Used is how many bytes are in flight now.
func (b *Budget) Used() int64 { return b.used.Load() }
