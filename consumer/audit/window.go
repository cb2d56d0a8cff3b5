package audit

import (
	"cmp"
	"iter"
	"maps"
	"math"
	"math/bits"
	"slices"
	"time"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/topology"
)

// mostOpen bounds how many offsets of a partition are followed: at six bits each they take 3 MB. mostWaiting bounds how
// many of its events are that wait, however old they are; mostAside how many events are kept with the position.
const mostOpen, mostWaiting, mostAside = 4_000_000, 50_000, 100

// wait is until when an event waits, in Unix seconds, four times, and its channel. One that was open before a restart
// waits since 1970.
type wait int64

// never is due what nobody knows when it is, as while it is paused.
const never = math.MaxUint32

// bitmap has a bit for each offset of a window.
type bitmap []uint64

func (b *bitmap) set(at int64) {
	if n := int(at/64) + 1 - len(*b); n > 0 {
		*b = append(*b, make([]uint64, n)...)
	}
	(*b)[at/64] |= 1 << (at % 64)
}

func (b *bitmap) word(i int) uint64 {
	if i < len(*b) {
		return (*b)[i]
	}
	return 0
}

func (b *bitmap) has(at int64) bool { return b.word(int(at/64))&(1<<(at%64)) != 0 }

// window is what is known of the events of a partition that are not accounted for yet.
type window struct {
	base int64 // the offset of the first bit
	// from is where the first event is that is neither accounted for nor known to be lost; matched up to where each
	// offset has an entry, is no event, or is lost; high what the furthest entry tells of, and one; end that of the topic.
	from, matched, high, end int64
	told, ended              bitmap // there is an entry; it says that it is over, or that it waits
	jobs                     [4]bitmap
	waits                    map[int64]wait   // by offset, also before from; what has ended otherwise waits no more
	forgotten                int64            // that wait, and are too many
	known                    []Loss           // from before a restart, as they may be judged again
	fetched                  consumer.Fetched // of the events topic, from seen on; until all is judged
	seen                     int64
}

func newWindow(from int64) *window {
	return &window{base: from &^ 63, from: from, matched: from, high: from, end: from, waits: make(map[int64]wait)}
}

// tell notes what an entry tells of an event: that it has a job on a channel; that it waits, where there is a time at
// which it is due; or, where the channel is negative, that it has ended. It reports whether it has by that.
func (w *window) tell(offset int64, channel int, due int64) (ends bool) {
	next := wait(4*due + int64(channel))
	if _, waits := w.waits[offset]; waits {
		if channel < 0 {
			delete(w.waits, offset)
		} else if due > 0 {
			w.waits[offset] = next
		}
		return channel < 0
	}
	if offset < w.from || offset >= w.end {
		return false
	}
	w.high = max(w.high, offset+1)
	w.told.set(offset - w.base)
	if channel >= 0 && due == 0 {
		w.jobs[channel].set(offset - w.base)
		return false
	}
	ends = !w.ended.has(offset - w.base)
	w.ended.set(offset - w.base)
	if !ends || channel < 0 {
		return ends // and what has ended waits no more, whatever comes late
	}
	if len(w.waits) == mostWaiting {
		w.forgotten++
	} else {
		w.waits[offset] = next
	}
	return false
}

func (w *window) isTold(offset int64) bool { return offset < w.from || w.told.has(offset-w.base) }

// open are the events below an end whose job on a channel nothing has come of.
func (w *window) open(channel int, end int64) iter.Seq[int64] {
	return func(yield func(int64) bool) {
		for i, word := range w.jobs[channel] {
			for word &^= w.ended.word(i); word != 0; word &= word - 1 {
				if o := w.base + int64(i*64+bits.TrailingZeros64(word)); o >= end || !yield(o) {
					return
				}
			}
		}
	}
}

// overdue are the events below an end that wait on a channel and were due within a time.
func (w *window) overdue(channel int, end, from, by int64) (all []int64) {
	for o, is := range w.waits {
		if due := int64(is / 4); int(is%4) == channel && o < end && from <= due && due <= by {
			all = append(all, o)
		}
	}
	return all
}

// aside is from where on the log is needed after a restart: from what match has committed, with those before that which
// wait or are open; or from the first that is open, where they are too many.
func (w *window) aside() (from int64, waits map[int64]wait) {
	waits = make(map[int64]wait)
	for channel := range w.jobs {
		for o := range w.open(channel, w.matched) {
			if waits[o] = wait(channel); len(waits) > mostAside {
				return w.from, nil
			}
		}
	}
	soonest := slices.SortedFunc(maps.Keys(w.waits), func(a, b int64) int {
		return cmp.Or(cmp.Compare(w.waits[a]/4, w.waits[b]/4), cmp.Compare(a, b))
	})
	for _, o := range soonest {
		if len(waits) == mostAside {
			break
		} else if o < w.matched {
			waits[o] = w.waits[o]
		}
	}
	return w.matched, waits
}

// settle forgets what is accounted for, and what is beyond mostOpen. It returns how many events have a job that nothing
// has come of, and how many of those were forgotten.
func (w *window) settle() (open, forgotten int64) {
	w.from = w.matched
	for i := (int(w.matched-w.base) + 63) / 64; i >= 0; i-- {
		var word uint64
		for channel := range w.jobs {
			word |= w.jobs[channel].word(i) &^ w.ended.word(i)
		}
		switch first := w.base + int64(i*64); {
		case word == 0:
		case first+mostOpen < w.matched:
			forgotten += int64(bits.OnesCount64(word))
		default:
			w.from = min(w.from, first+int64(bits.TrailingZeros64(word)))
			open += int64(bits.OnesCount64(word))
		}
	}
	for _, b := range append([]*bitmap{&w.told, &w.ended}, &w.jobs[0], &w.jobs[1], &w.jobs[2], &w.jobs[3]) {
		*b = (*b)[min(int(w.from-w.base)/64, len(*b)):]
	}
	for _, is := range w.waits {
		if is < 4 {
			open++
		}
	}
	w.base, w.fetched = w.from&^63, consumer.Fetched{}
	forgotten, w.forgotten = forgotten+w.forgotten, 0
	return open, forgotten
}

// tells is what an entry tells, as tell has it. What waits is not due before that is told; what is redriven has ended.
func tells(e *topology.Entry) (channel int, due int64) {
	if e.Status != topology.PendingDelivery || e.Redrives > 0 {
		return -1, 0
	}
	channel = slices.Index(topology.Channels(), e.Channel)
	switch {
	case e.Reason == topology.NoReason:
		return channel, 0
	case e.Due.IsZero():
		return channel, never
	}
	return channel, min(max(e.Due.Unix(), time.Now().Unix()), never)
}
