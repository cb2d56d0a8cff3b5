package audit

import (
	"math/bits"
	"slices"
	"time"

	"github.com/meddela/meddela/topology"
)

// mostOpen bounds how many offsets of a partition are followed: at six bits each they take 3 MB, and as a
// list 32.
const mostOpen = 4_000_000

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
	told, ended              bitmap // there is an entry; it says that it is over, or why it waits
	jobs                     [4]bitmap
	hops                     [4]hop
}

// hop is from match to the deliverers of a channel: the jobs of events up to an offset are on their topic before end.
type hop struct {
	upTo, end int64
	passed    time.Time // when it was seen that the deliverers had committed them all
}

func newWindow(from int64) *window {
	return &window{base: from &^ 63, from: from, matched: from, high: from, end: from}
}

// tell notes what an entry tells of an event: that it has a job on a channel or, where that is negative, anything else.
func (w *window) tell(offset int64, channel int) {
	if offset < w.from || offset >= w.end {
		return
	}
	w.high = max(w.high, offset+1)
	w.told.set(offset - w.base)
	if channel < 0 {
		w.ended.set(offset - w.base)
	} else {
		w.jobs[channel].set(offset - w.base)
	}
}

func (w *window) isTold(offset int64) bool { return offset < w.from || w.told.has(offset-w.base) }

// untold are the offsets below an end that match has committed and no entry tells of.
func (w *window) untold(end int64) (offsets []int64) {
	for o := w.matched; o < end; o++ {
		if !w.isTold(o) {
			offsets = append(offsets, o)
		}
	}
	return offsets
}

// open are the events below an end whose job on a channel nothing has come of.
func (w *window) open(channel int, end int64) (offsets []int64) {
	for i, word := range w.jobs[channel] {
		for word &^= w.ended.word(i); word != 0; word &= word - 1 {
			if o := w.base + int64(i*64+bits.TrailingZeros64(word)); o < end {
				offsets = append(offsets, o)
			}
		}
	}
	return offsets
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
	w.base = w.from &^ 63
	return open, forgotten
}

// channelOf is which channel's job an entry tells of, or -1: others tell that an event has ended, or why it waits.
func channelOf(e *topology.Entry) int {
	if e.Status != topology.PendingDelivery || e.Reason != "" || e.Redrives > 0 {
		return -1
	}
	return slices.Index(topology.Channels(), e.Channel)
}
