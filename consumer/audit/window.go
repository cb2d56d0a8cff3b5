package audit

import (
	"fmt"
	"iter"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/topology"
)

// mostOpen bounds how many offsets of a partition are followed: at six bits each they take 3 MB.
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
	known                    []Loss           // from before a restart, as they may be judged again
	fetched                  consumer.Fetched // of the events topic, from seen on; until all is judged
	seen                     int64
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
// It reports whether it has ended by that.
func (w *window) tell(offset int64, channel int) (ends bool) {
	if offset < w.from || offset >= w.end {
		return false
	}
	w.high = max(w.high, offset+1)
	w.told.set(offset - w.base)
	if channel >= 0 {
		w.jobs[channel].set(offset - w.base)
		return false
	}
	ends = !w.ended.has(offset - w.base)
	w.ended.set(offset - w.base)
	return ends
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

// aside is from where on the log is needed after a restart: from what match has committed, if the events before that
// which are open fit into a text of so many bytes, and else from the first of them.
func (w *window) aside(most int) (from int64, text string) {
	var b []byte
	for channel := range w.jobs {
		last := int64(0)
		b = fmt.Appendf(b, "open %d", channel)
		for o := range w.open(channel, w.matched) {
			if b = strconv.AppendInt(append(b, ' '), o-last, 36); len(b) > most {
				return w.from, ""
			}
			last = o
		}
		b = append(b, '\n')
	}
	return w.matched, string(b)
}

// reopen has the events of aside's text open again, and no others that match has committed.
func (w *window) reopen(text string) {
	var jobs [len(w.jobs)][]int64
	first := w.matched
	for line := range strings.Lines(text) {
		var channel uint
		if _, err := fmt.Sscanf(line, "open %d", &channel); err != nil || channel >= uint(len(jobs)) {
			continue
		}
		o := int64(0)
		for _, gap := range strings.Fields(line)[2:] {
			n, err := strconv.ParseInt(gap, 36, 64)
			if o += n; err == nil && w.matched-2*mostOpen < o && o < w.matched {
				jobs[channel], first = append(jobs[channel], o), min(first, o)
			}
		}
	}
	w.base, w.from = first&^63, first
	for o := first; o < w.matched; o++ {
		w.tell(o, -1)
	}
	for channel, offsets := range jobs {
		for _, o := range offsets {
			w.jobs[channel].set(o - w.base)
			w.ended[(o-w.base)/64] &^= 1 << ((o - w.base) % 64)
		}
	}
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
	w.base, w.fetched = w.from&^63, consumer.Fetched{}
	return open, forgotten
}

// channelOf is which channel's job an entry tells of, or -1: others tell that an event has ended, or why it waits.
func channelOf(e *topology.Entry) int {
	if e.Status != topology.PendingDelivery || e.Reason != "" || e.Redrives > 0 {
		return -1
	}
	return slices.Index(topology.Channels(), e.Channel)
}
