// Package script runs a Lua script in Redis for many keys at once: in one
// pipeline of calls of bounded size, each of which is for the keys of one hash
// slot where Redis is a cluster.
package script

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/meddela/meddela/topology"
)

// perTrip is for how many keys scripts are called before answers are waited for.
const perTrip = 2000

// Script is a Lua script that answers with a list: one element for each of its
// KEYS, in their order.
type Script struct{ source, hash string }

// New makes a Script. Nothing is sent to a server yet.
func New(source string) *Script { return &Script{source, redis.NewScript(source).Hash()} }

// Batch is what a script is run for: N items, of which each has a key, its own
// arguments, and its own answer. Texts that arguments point to must stay as they
// are until Run returns.
type Batch struct {
	N int
	// Head are the arguments that come before those of items, in every call.
	Head []any
	// PerCall is the most items in one call, during which Redis serves nobody
	// else. Zero is no bound.
	PerCall int
	// Key appends the key of an item.
	Key func(b []byte, item int) []byte
	// Args, if set, adds the arguments of an item.
	Args func(a *Args, item int)
	// Answer is given each item's answer, once.
	Answer func(item int, answer any)
}

// errAnswer is a reply that no script of ours makes.
var errAnswer = errors.New("a script in Redis answered something unknown")

// Run runs the script for all items, and returns the first error: then items
// whose calls failed have no answer, though the script may have run for them.
func (s *Script) Run(ctx context.Context, client redis.UniversalClient, b *Batch) error {
	c := pool.Get().(*calls)
	defer c.release()
	_, cluster := client.(*redis.ClusterClient)
	for from := 0; from < b.N; from += perTrip {
		c.fill(s, b, from, min(from+perTrip, b.N), cluster)
		if err := c.run(ctx, client, s, b); err != nil {
			return err
		}
	}
	return nil
}

// Args are the arguments of one call. A text is added as a pointer to it, and a
// number by Int: as an any of its own each would be an allocation.
type Args struct {
	List    []any
	numbers []int64
}

// Add adds arguments as they are.
func (a *Args) Add(args ...any) { a.List = append(a.List, args...) }

// Int makes an argument of a number.
func (a *Args) Int(n int64) *int64 {
	if len(a.numbers) == cap(a.numbers) {
		// Those before are pointed to, and live on.
		a.numbers = make([]int64, 0, max(64, 2*cap(a.numbers)))
	}
	a.numbers = append(a.numbers, n)
	return &a.numbers[len(a.numbers)-1]
}

// call is one call of a script, for the items whose indexes it has.
type call struct {
	args  []any
	items []int
	reply *redis.Cmd
}

// calls is how some of a batch's items become calls.
type calls struct {
	Args
	calls []call
	items []int // in the order of calls
	ends  []int // of each item's key, in text
	text  []byte
	keys  []string
	slots []uint16
}

var pool = sync.Pool{New: func() any { return new(calls) }}

// release gives c back without what its arguments point to.
func (c *calls) release() {
	clear(c.calls)
	clear(c.List[:cap(c.List)])
	clear(c.keys)
	pool.Put(c)
}

// fill makes the calls for the items from one index up to another.
func (c *calls) fill(s *Script, b *Batch, from, to int, cluster bool) {
	c.calls, c.List, c.numbers = c.calls[:0], c.List[:0], c.numbers[:0]
	c.text, c.ends, c.keys, c.items = c.text[:0], c.ends[:0], c.keys[:0], c.items[:0]
	for i := from; i < to; i++ {
		c.text = b.Key(c.text, i)
		c.ends, c.items = append(c.ends, len(c.text)), append(c.items, i)
	}
	all, start := string(c.text), 0 // of which every key is a part
	for _, end := range c.ends {
		c.keys = append(c.keys, all[start:end])
		start = end
	}
	if cluster {
		c.slots = c.slots[:0]
		for _, key := range c.keys {
			c.slots = append(c.slots, topology.SlotOf(key))
		}
		slices.SortStableFunc(c.items, func(x, y int) int { return cmp.Compare(c.slots[x-from], c.slots[y-from]) })
	}
	for at := 0; at < len(c.items); {
		end := len(c.items)
		if b.PerCall > 0 {
			end = min(at+b.PerCall, end)
		}
		for i := at + 1; cluster && i < end; i++ {
			if c.slots[c.items[i]-from] != c.slots[c.items[at]-from] {
				end = i
			}
		}
		c.add(s, b, c.items[at:end], from)
		at = end
	}
}

func (c *calls) add(s *Script, b *Batch, items []int, from int) {
	start := len(c.List)
	c.Add("evalsha", &s.hash, len(items))
	for _, i := range items {
		c.Add(&c.keys[i-from])
	}
	c.Add(b.Head...)
	if b.Args != nil {
		for _, i := range items {
			b.Args(&c.Args, i)
		}
	}
	c.calls = append(c.calls, call{args: c.List[start:len(c.List):len(c.List)], items: items})
}

// run sends the calls in one pipeline, and those that met a server which does
// not know the script once more, with its text.
func (c *calls) run(ctx context.Context, client redis.UniversalClient, s *Script, b *Batch) (failed error) {
	pipe, again := client.Pipeline(), client.Pipeline()
	for i := range c.calls {
		c.calls[i].queue(ctx, pipe)
	}
	_, _ = pipe.Exec(ctx) // each call keeps its own error
	for i := range c.calls {
		call := &c.calls[i]
		if err := call.reply.Err(); errors.Is(err, redis.ErrNoScript) || redis.HasErrorPrefix(err, "NOSCRIPT") {
			call.args = append([]any{"eval", s.source}, call.args[2:]...)
			call.queue(ctx, again)
		}
	}
	if again.Len() > 0 {
		_, _ = again.Exec(ctx)
	}
	for _, call := range c.calls {
		answers, err := call.reply.Slice()
		if err == nil && len(answers) != len(call.items) {
			err = errAnswer
		}
		if err != nil {
			failed = cmp.Or(failed, err)
			continue
		}
		for i, item := range call.items {
			b.Answer(item, answers[i])
		}
	}
	return failed
}

func (c *call) queue(ctx context.Context, pipe redis.Pipeliner) {
	c.reply = redis.NewCmd(ctx, c.args...)
	c.reply.SetFirstKeyPos(3)
	_ = pipe.Process(ctx, c.reply) // a pipeline only queues it
}
