package consumer

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestRoom: whatever partitions take and give back, all of them keep to the budget, but for what each may
// always fetch; one that holds nothing is never left without, and one that holds some never fetches little.
func TestRoom(t *testing.T) {
	for _, partitions := range []int{1, 12, 48, 384, -1, -12, -48} {
		const batch = 256 << 10
		most := 8 << 20
		b := &NewReader(nil, nil, int64(most)).budget
		if partitions < 0 { // the Reader yields
			partitions, most = -partitions, mostYielding
			b.yields.Store(time.Now().Add(time.Hour).UnixNano())
		}
		b.partitions.Store(int64(partitions))
		share := most / 2 / partitions
		held := make([][]int, partitions) // what each has fetched
		sum := func(all []int) (n int) {
			for _, one := range all {
				n += one
			}
			return n
		}
		random := rand.New(rand.NewPCG(1, uint64(partitions)))
		highest, refused := 0, 0
		for range 100_000 {
			p := random.IntN(partitions)
			if random.IntN(3) == 0 {
				if n := len(held[p]); n > 0 {
					b.give(held[p][n-1])
					held[p] = held[p][:n-1]
				}
				continue
			}
			holds := sum(held[p])
			room := b.room(holds, batch)
			switch {
			case room == 0 && holds == 0:
				t.Fatalf("%d partitions: one that holds nothing may fetch nothing", partitions)
			case room == 0:
				refused++
				continue
			case holds > 0 && room < min(max(share/2, leastFetch), batch), room > batch:
				t.Fatalf("%d partitions: one that holds %d bytes may fetch %d", partitions, holds, room)
			}
			b.take(room, room)
			held[p] = append(held[p], room)
			highest = max(highest, int(b.used.Load()))
		}
		if bound := most + partitions*leastFetch; highest > bound || highest < most/4 {
			t.Errorf("%d partitions: up to %d bytes were in flight, want at most %d", partitions, highest, bound)
		}
		if refused == 0 {
			t.Errorf("%d partitions: nobody ever waited", partitions)
		}
	}
}

// TestPackingIsLearntFromWhatIsKept: what is only passed over says nothing of how large a fetch becomes.
func TestPackingIsLearntFromWhatIsKept(t *testing.T) {
	b := &NewReader(nil, nil, 1<<20).budget
	for range 50 {
		b.take(1000, 5000)
		b.give(5000)
		b.take(1000, 0)
	}
	if fetched := b.packed(1 << 20); fetched > 1<<18 {
		t.Errorf("for a MiB unpacked it fetches %d bytes, though a byte becomes five", fetched)
	}
}

// TestRoomForTheNext: of the half that is for whoever comes nobody takes more than a quarter of what is left, so that
// there is some for the next; without any, a partition has its share.
func TestRoomForTheNext(t *testing.T) {
	const most, partitions, share = 8 << 20, 64, 8 << 20 / 2 / 64
	for _, test := range []struct{ used, held, want int }{
		{0, 0, 1 << 20}, {1 << 20, 0, 768 << 10}, {2 << 20, 0, 512 << 10}, {2 << 20, share, 512 << 10},
		{4 << 20, 0, share}, {6 << 20, 0, share}, {4 << 20, share, 0}, {6 << 20, share / 2, share / 2},
	} {
		b := &NewReader(nil, nil, most).budget
		b.partitions.Store(partitions)
		b.used.Store(int64(test.used))
		if got := b.room(test.held, most); got != test.want {
			t.Errorf("%d in flight, one that holds %d has room for %d, want %d", test.used, test.held, got, test.want)
		}
	}
}
