// Package follow keeps what a compacted topic says in memory: it reads the
// topic from its start, then lives on it, and has an immutable snapshot of it
// at every moment.
//
// Templates and operators' orders come to the roles this way.
package follow

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/retry"
)

// Config says what a Follower reads, and how that becomes snapshots.
type Config[S, V any] struct {
	Source Source
	// What the topic's records are, in the plural, and Key is what each has for
	// its key: for logs and errors.
	What, Key string
	// Decode reads what a record says, and the key that it must have. Several
	// goroutines call it. A record that it does not take is logged, and changes
	// nothing.
	Decode func(*topology.Record) (key string, value *V, err error)
	// Apply returns the snapshot that follows one by some changes, at least one.
	// It leaves the snapshot that it is given as it is. It is called by one
	// goroutine.
	Apply func(snapshot *S, changes []Change[V]) *S
	// Loaded, unless it is nil, hears of the snapshot that makes the Follower
	// ready, before anybody else has it.
	Loaded func(snapshot *S)
	Log    zerolog.Logger

	bad *sync.Map // keys whose last record was not taken
}

// Change is the last word on a key; nil takes away what there was.
type Change[V any] struct {
	Key   string
	Value *V
}

// Follower has snapshots of a topic, each of type S, whose zero value is that
// of an empty topic. Its Snapshot may be called by any goroutine, also on hot
// paths.
type Follower[S any] struct {
	source Source
	what   string
	bad    *sync.Map // as in Config
	// apply returns the next draft, and how many of the records it took.
	apply  func(draft *S, records []topology.Record) (next *S, taken int)
	loaded func(*S)
	log    zerolog.Logger

	now   atomic.Pointer[S]
	ready chan struct{}

	// Of the goroutine in Run.
	next  int64 // the offset to go on from; unknown when negative
	goal  int64 // the draft is published once it is read up to here
	draft *S

	mu      sync.Mutex
	stats   Stats
	moved   chan struct{} // closed, and made anew, when stats.Applied changes
	failure error         // of the last try; nil after one that succeeded
}

// Stats say how a Follower is.
type Stats struct {
	Ready     bool
	Failing   bool      // the last try to read the topic failed
	Applied   int64     // the topic is in the snapshot up to before this offset
	Bad       int64     // records not taken since the start
	ChangedAt time.Time // when the snapshot last changed
	ContactAt time.Time // when the topic last answered: the snapshot is no older than that
}

// New makes a Follower. It connects to nothing yet.
func New[S, V any](c Config[S, V]) *Follower[S] {
	c.bad = new(sync.Map)
	f := &Follower[S]{
		source: c.Source, what: c.What, bad: c.bad, apply: c.apply, loaded: c.Loaded, log: c.Log,
		ready: make(chan struct{}), moved: make(chan struct{}), next: -1,
	}
	f.now.Store(new(S))
	return f
}

// apply decodes records side by side, for at start there are many, and applies
// those that are good.
func (c *Config[S, V]) apply(snapshot *S, records []topology.Record) (next *S, taken int) {
	decoded, errs := make([]Change[V], len(records)), make([]error, len(records))
	workers := min(runtime.GOMAXPROCS(0), len(records))
	var done sync.WaitGroup
	for w := range workers {
		done.Go(func() {
			for i := w; i < len(records); i += workers {
				decoded[i], errs[i] = c.change(&records[i])
			}
		})
	}
	done.Wait()
	good := decoded[:0]
	for i, err := range errs {
		if err == nil {
			c.bad.Delete(string(records[i].Key))
			good = append(good, decoded[i])
			continue
		}
		c.bad.Store(string(records[i].Key), true)
		c.Log.Error().Err(err).Int64("offset", records[i].Offset).Bytes("key", records[i].Key).
			Msg("one of the " + c.What + " is not taken; what was there before it stays")
	}
	if len(good) == 0 {
		return snapshot, 0
	}
	return c.Apply(snapshot, good), len(good)
}

// change reads what a record says about its key.
func (c *Config[S, V]) change(r *topology.Record) (Change[V], error) {
	if len(r.Key) == 0 {
		return Change[V]{}, errors.New("the record has no key: it must be its " + c.Key)
	}
	if r.Value == nil {
		return Change[V]{Key: string(r.Key)}, nil
	}
	key, value, err := c.Decode(r)
	if err == nil && key != string(r.Key) {
		err = errors.New("the record's key is another than its own " + c.Key)
	}
	return Change[V]{key, value}, err
}

// Snapshot is the latest snapshot; that of an empty topic before the Follower
// is ready. It must not be changed.
func (f *Follower[S]) Snapshot() *S { return f.now.Load() }

// Unreadable reports whether the last record of a key was not taken.
func (f *Follower[S]) Unreadable(key string) bool {
	_, is := f.bad.Load(key)
	return is
}

// Ready is closed once the topic has been read to the end that it had when the
// reading began.
func (f *Follower[S]) Ready() <-chan struct{} { return f.ready }

// Stats say how the Follower is now, and return the snapshot that they are of.
func (f *Follower[S]) Stats() (Stats, *S) {
	f.mu.Lock()
	defer f.mu.Unlock()
	stats := f.stats
	stats.Failing = f.failure != nil
	return stats, f.now.Load()
}

// AwaitReady returns when the Follower is ready. When ctx ends first, its error
// is what stood in the way: a *topology.NoTopicError where the topic is missing.
func (f *Follower[S]) AwaitReady(ctx context.Context) error {
	select {
	case <-f.ready:
		return nil
	case <-ctx.Done():
		return f.because("the "+f.what+" are not loaded", ctx.Err())
	}
}

// CatchUp asks where the topic ends now, and returns when the snapshot has
// everything up to there. When ctx ends first, its error is what stood in the
// way.
func (f *Follower[S]) CatchUp(ctx context.Context) error {
	what := "catching up with the " + f.what
	_, end, err := f.bounds(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	for {
		f.mu.Lock()
		reached, moved := f.stats.Ready && f.stats.Applied >= end, f.moved
		f.mu.Unlock()
		if reached {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return f.because(what, ctx.Err())
		}
	}
}

func (f *Follower[S]) because(what string, end error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failure != nil {
		return fmt.Errorf("%s: %w (%w)", what, f.failure, end)
	}
	return fmt.Errorf("%s: %w", what, end)
}

// Run follows the topic until ctx ends. The topic being away, or not there at
// all, is not an end: it is logged now and then, and tried again.
func (f *Follower[S]) Run(ctx context.Context) {
	step := func() error {
		err := f.step(ctx)
		if err != nil && ctx.Err() == nil {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.failure = err
		}
		return err
	}
	for ctx.Err() == nil {
		retry.Until(ctx, step, func(err error, times int) {
			f.log.Warn().Err(err).Int("times", times).
				Msg("cannot read the " + f.what + "; trying on, with those that are known")
		})
	}
}

// step reads and applies once.
func (f *Follower[S]) step(ctx context.Context) error {
	if f.next < 0 {
		return f.begin(ctx)
	}
	records, next, err := f.source.Fetch(ctx, f.next)
	if _, gone := errors.AsType[*topology.NoTopicError](err); gone || errors.Is(err, kafka.OffsetOutOfRange) {
		// The topic was cut, or is being made anew: what it will have then is
		// what counts. Until that is read, the last snapshot stays.
		f.next = -1
	}
	if err != nil {
		return err
	}
	f.take(records, next)
	return nil
}

// errEmptied is that a topic which had records has none. It may have been deleted by
// mistake: what is known stays in force until there is something to put in its place.
var errEmptied = errors.New("the topic is empty, and was not before: publish again what was on it")

// bounds are those of a topic that has not been emptied.
func (f *Follower[S]) bounds(ctx context.Context) (first, end int64, err error) {
	before, _ := f.Stats()
	first, end, err = f.source.Bounds(ctx)
	if err == nil && first == end && before.Applied > 0 {
		err = errEmptied
	}
	return first, end, err
}

// begin starts a draft that is published once it has all that the topic has now.
func (f *Follower[S]) begin(ctx context.Context) error {
	first, end, err := f.bounds(ctx)
	if err != nil {
		return err
	}
	f.draft, f.goal = new(S), end
	f.take(nil, first)
	return nil
}

// take brings fetched records into the draft and, unless it is still behind its
// goal, publishes it.
func (f *Follower[S]) take(records []topology.Record, next int64) {
	var taken int
	f.draft, taken = f.apply(f.draft, records)
	f.next = next
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failure = nil
	f.stats.ContactAt = time.Now()
	f.stats.Bad += int64(len(records) - taken)
	if next >= f.goal {
		f.publish(taken > 0)
	}
}

// publish makes the draft the snapshot. f.mu is held.
func (f *Follower[S]) publish(news bool) {
	first := !f.stats.Ready
	if first && f.loaded != nil {
		f.loaded(f.draft)
	}
	f.now.Store(f.draft)
	if news || first {
		f.stats.ChangedAt = f.stats.ContactAt
	}
	if f.stats.Applied != f.next || first {
		f.stats.Applied = f.next
		close(f.moved)
		f.moved = make(chan struct{})
	}
	if first {
		f.stats.Ready = true
		close(f.ready)
	}
}
