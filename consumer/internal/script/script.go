// Package script runs Lua scripts in Redis, each for many keys at once, in calls
// of bounded size, each of which is for the keys of one hash slot where Redis is a
// cluster. All who use one client share its pipelines: what they ask for while two
// are under way goes in the next one, so that round trips grow with load much less
// than what is asked for.
package script

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/gather"
)

const (
	// perCall is the most items in one call unless a Batch says otherwise. Redis
	// serves nobody else meanwhile, which is for less than half a millisecond.
	perCall = 100
	// perTrip is for how many items a pipeline has calls, or a few more.
	perTrip = 2000
	// trips is how many pipelines of a client may be under way.
	trips = 2
)

// Script is a Lua script that answers with a list: one element for each of its
// KEYS, in their order.
type Script struct{ source, hash string }

// New makes a Script. Nothing is sent to a server yet.
func New(source string) *Script { return &Script{source, redis.NewScript(source).Hash()} }

// Batch is what a script is run for: N items, of which each has a key, its own
// arguments, and its own answer. Texts that arguments point to must stay as they
// are until the run has ended.
type Batch struct {
	N int
	// Head are the arguments that come before those of items, in every call.
	Head []any
	// Copies is how many replicas must have what the script has written, or else the
	// run has failed. A cluster cannot be asked.
	Copies int
	// PerCall is the most items in one call. Default 100.
	PerCall int
	// Key appends the key of an item.
	Key func(b []byte, item int) []byte
	// Args, if set, adds the arguments of an item.
	Args func(a *Args, item int)
	// Answer is given each item's answer, once.
	Answer func(item int, answer any)
}

// copyTime is how long replicas may take.
const copyTime = time.Second

var errCopies = errors.New("too few replicas of Redis have what was written")

// errAnswer is a reply that no script of ours makes.
var errAnswer = errors.New("a script in Redis answered something unknown")

// Run runs the script for all items, and returns the first error: then items
// whose calls failed have no answer, though the script may have run for them.
// While others' calls are in the same pipeline, it may go on for as long as they
// want it to, when ctx has ended.
func (s *Script) Run(ctx context.Context, client redis.UniversalClient, b *Batch) error {
	return s.Start(ctx, client, b)()
}

// Start readies a run, and returns what sees to its end, which must be called.
// What a goroutine starts before it waits goes in one pipeline.
func (s *Script) Start(ctx context.Context, client redis.UniversalClient, b *Batch) (wait func() error) {
	r := pool.Get().(*run)
	r.ctx, r.script = ctx, s
	r.fill(b, client)
	r.underWay.Add(len(r.calls))
	line := lineTo(client)
	line.Put(r.calls...)
	return func() error {
		defer r.release()
		line.Help()
		r.underWay.Wait()
		again, err := r.answer(b)
		if len(again) > 0 {
			one := *b
			one.N, one.PerCall = len(again), 1
			one.Key = func(text []byte, i int) []byte { return b.Key(text, again[i]) }
			one.Answer = func(i int, answer any) { b.Answer(again[i], answer) }
			if b.Args != nil {
				one.Args = func(a *Args, i int) { b.Args(a, again[i]) }
			}
			err = cmp.Or(err, s.Run(ctx, client, &one))
		}
		return err
	}
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
	of     *run
	args   []any
	items  []int
	copies int
	reply  *redis.Cmd
}

// run is how a batch's items become calls.
type run struct {
	Args
	ctx      context.Context
	script   *Script
	calls    []*call
	underWay sync.WaitGroup
	items    []int // in the order of calls
	ends     []int // of each item's key, in text
	text     []byte
	keys     []string
	slots    []uint16
}

var pool = sync.Pool{New: func() any { return new(run) }}

// release gives r back without what its arguments point to.
func (r *run) release() {
	clear(r.calls)
	clear(r.List)
	clear(r.keys)
	r.ctx, r.script = nil, nil
	pool.Put(r)
}

// fill makes the calls for all items.
func (r *run) fill(b *Batch, client redis.UniversalClient) {
	r.calls, r.List, r.numbers = r.calls[:0], r.List[:0], r.numbers[:0]
	r.text, r.ends, r.keys, r.items = r.text[:0], r.ends[:0], r.keys[:0], r.items[:0]
	for i := range b.N {
		r.text = b.Key(r.text, i)
		r.ends, r.items = append(r.ends, len(r.text)), append(r.items, i)
	}
	all, start := string(r.text), 0 // of which every key is a part
	for _, end := range r.ends {
		r.keys = append(r.keys, all[start:end])
		start = end
	}
	_, cluster := client.(*redis.ClusterClient)
	if cluster {
		r.slots = r.slots[:0]
		for _, key := range r.keys {
			r.slots = append(r.slots, topology.SlotOf(key))
		}
		slices.SortStableFunc(r.items, func(x, y int) int { return cmp.Compare(r.slots[x], r.slots[y]) })
	}
	for at := 0; at < len(r.items); {
		end := min(at+cmp.Or(b.PerCall, perCall), len(r.items))
		for i := at + 1; cluster && i < end; i++ {
			if r.slots[r.items[i]] != r.slots[r.items[at]] {
				end = i
			}
		}
		r.add(b, r.items[at:end])
		at = end
	}
}

func (r *run) add(b *Batch, items []int) {
	start := len(r.List)
	r.Add("evalsha", &r.script.hash, len(items))
	for _, i := range items {
		r.Add(&r.keys[i])
	}
	r.Add(b.Head...)
	if b.Args != nil {
		for _, i := range items {
			b.Args(&r.Args, i)
		}
	}
	r.calls = append(r.calls, &call{of: r, args: r.List[start:len(r.List):len(r.List)], items: items, copies: b.Copies})
}

// answer gives the items their answers. Those whose keys are on two servers of a
// cluster, while their slot moves, are to be asked for again one by one.
func (r *run) answer(b *Batch) (again []int, failed error) {
	for _, call := range r.calls {
		answers, err := call.reply.Slice()
		if redis.IsTryAgainError(err) && len(call.items) > 1 {
			again = append(again, call.items...)
			continue
		}
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
	return again, failed
}

// lines are the ways to the servers of clients.
var lines sync.Map

func lineTo(client redis.UniversalClient) *gather.Gather[*call] {
	line, known := lines.Load(client)
	if !known {
		line, _ = lines.LoadOrStore(client, &gather.Gather[*call]{
			Most: trips, Do: func(group []*call) { send(client, group) },
		})
	}
	return line.(*gather.Gather[*call])
}

// send sends calls in pipelines of bounded size, one after the other.
func send(client redis.UniversalClient, group []*call) {
	for len(group) > 0 {
		n := 0
		for items := 0; n < len(group) && items < perTrip; n++ {
			items += len(group[n].items)
		}
		sendTogether(client, group[:n])
		group = group[n:]
	}
}

// sendTogether sends calls in one pipeline, and those that met a server which
// does not know the script once more, with its text.
func sendTogether(client redis.UniversalClient, group []*call) {
	var wanted []context.Context
	for i, call := range group {
		if i == 0 || call.of != group[i-1].of {
			wanted = append(wanted, call.of.ctx)
		}
	}
	ctx, end := gather.Together(wanted)
	defer end()
	pipe, again := client.Pipeline(), client.Pipeline()
	for _, call := range group {
		call.queue(ctx, pipe)
	}
	exec(ctx, pipe, group)
	for _, call := range group {
		if err := call.reply.Err(); errors.Is(err, redis.ErrNoScript) || redis.HasErrorPrefix(err, "NOSCRIPT") {
			call.args = append([]any{"eval", call.of.script.source}, call.args[2:]...)
			call.queue(ctx, again)
		}
	}
	if again.Len() > 0 {
		exec(ctx, again, group)
	}
	for _, call := range group {
		call.of.underWay.Done()
	}
}

// exec sends calls in one pipeline, which is one connection, and has them fail that too
// few replicas have. Else each keeps its own error.
func exec(ctx context.Context, pipe redis.Pipeliner, calls []*call) {
	most := 0
	for _, call := range calls {
		most = max(most, call.copies)
	}
	if most == 0 {
		_, _ = pipe.Exec(ctx)
		return
	}
	copies := redis.NewIntCmd(ctx, "wait", most, copyTime.Milliseconds())
	_ = pipe.Process(ctx, copies)
	_, _ = pipe.Exec(ctx)
	for _, call := range calls {
		if call.reply.Err() == nil && int(copies.Val()) < call.copies {
			call.reply.SetErr(errCopies)
		}
	}
}

func (c *call) queue(ctx context.Context, pipe redis.Pipeliner) {
	c.reply = redis.NewCmd(ctx, c.args...)
	c.reply.SetFirstKeyPos(3)
	_ = pipe.Process(ctx, c.reply) // a pipeline only queues it
}
