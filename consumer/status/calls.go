package status

import (
	"cmp"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/meddela/meddela/topology"
)

// call is one run of merge.lua.
type call struct {
	args   []any
	states []int // for each of its KEYS, the position in what is written
}

// calls is how a slice of states becomes runs of merge.lua. Arguments point
// into it and into the states, so both must stay as they are until the
// replies are there.
type calls struct {
	list    []call
	args    []any
	order   []int
	keys    []string
	slots   []uint16
	arena   []byte
	numbers []int64
}

var callsPool = sync.Pool{New: func() any { return new(calls) }}

func takeCalls() *calls { return callsPool.Get().(*calls) }

// release gives c back without what its arguments point to.
func (c *calls) release() {
	clear(c.list)
	clear(c.args)
	clear(c.keys)
	callsPool.Put(c)
}

// shape is what calls are made by.
type shape struct {
	keys    topology.Keys
	ttl     time.Duration
	most    int  // events a call
	bySlots bool // a call's keys must be of one hash slot
}

// make fills c with the calls that write states.
func (c *calls) make(states []topology.State, s shape) {
	c.nameKeys(states, s.keys)
	c.sort(s.bySlots)
	c.list, c.args = c.list[:0], c.args[:0]
	// Grown at once, as numbers are pointed to.
	c.numbers = slices.Grow(c.numbers[:0], numbersPerState*len(states))
	ttl := any(strconv.FormatInt(s.ttl.Milliseconds(), 10))
	for from := 0; from < len(c.order); {
		to := c.end(from, s)
		c.call(states, c.order[from:to], ttl)
		from = to
	}
}

// nameKeys makes the key of each state out of one text.
func (c *calls) nameKeys(states []topology.State, keys topology.Keys) {
	prefix := keys.Event("")
	c.arena, c.keys, c.order = c.arena[:0], c.keys[:0], c.order[:0]
	for i := range states {
		c.arena = append(c.arena, prefix...)
		c.arena = append(c.arena, states[i].EventID...)
		c.order = append(c.order, i)
	}
	all, at := string(c.arena), 0
	for i := range states {
		end := at + len(prefix) + len(states[i].EventID)
		c.keys = append(c.keys, all[at:end])
		at = end
	}
}

// sort puts the states whose keys are of one hash slot beside each other.
func (c *calls) sort(bySlots bool) {
	c.slots = c.slots[:0]
	if !bySlots {
		return
	}
	for _, key := range c.keys {
		c.slots = append(c.slots, topology.SlotOf(key))
	}
	slices.SortStableFunc(c.order, func(a, b int) int { return cmp.Compare(c.slots[a], c.slots[b]) })
}

// end is where the call ends that starts at from in the order.
func (c *calls) end(from int, s shape) int {
	to := min(from+s.most, len(c.order))
	if !s.bySlots {
		return to
	}
	slot := c.slots[c.order[from]]
	for i := from + 1; i < to; i++ {
		if c.slots[c.order[i]] != slot {
			return i
		}
	}
	return to
}

func (c *calls) call(states []topology.State, which []int, ttl any) {
	start := len(c.args)
	c.args = append(c.args, "evalsha", mergeHash, len(which))
	for _, i := range which {
		c.args = append(c.args, &c.keys[i])
	}
	c.args = append(c.args, ttl)
	for _, i := range which {
		c.state(&states[i])
	}
	c.list = append(c.list, call{args: c.args[start:len(c.args):len(c.args)], states: which})
}
