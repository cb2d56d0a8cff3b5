package catalogue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/topology"
)

// Config says what a Follower reads.
type Config struct {
	Source Source
	Log    zerolog.Logger
	// OnBad hears of each record that is not taken; nil is nobody. It is
	// called by one goroutine.
	OnBad func(r topology.Record, err error)
}

// Follower keeps a catalogue up to date with a templates topic.
type Follower struct {
	config Config
	now    atomic.Pointer[Catalogue]
	ready  chan struct{}

	// Of the goroutine in Run.
	next  int64 // the offset to go on from; unknown when negative
	goal  int64 // the draft is published once it is read up to here
	draft *Catalogue

	mu      sync.Mutex
	stats   Stats
	moved   chan struct{} // closed, and made anew, when stats.Applied changes
	failure error         // of the last try; nil after one that succeeded
}

// Stats say how a follower is.
type Stats struct {
	Ready     bool
	Failing   bool      // the last try to read the topic failed
	Names     int       // of templates
	Versions  int       // of all templates
	Applied   int64     // the topic is in the catalogue up to before this offset
	Bad       int64     // records not taken since the start
	ChangedAt time.Time // when the catalogue last changed
	ContactAt time.Time // when the topic last answered: the catalogue is no older than that
}

// NewFollower makes a Follower. It connects to nothing yet.
func NewFollower(config Config) *Follower {
	f := &Follower{config: config, ready: make(chan struct{}), moved: make(chan struct{}), next: -1}
	f.now.Store(new(Catalogue))
	return f
}

// Catalogue is the latest snapshot; an empty one before the follower is ready.
func (f *Follower) Catalogue() *Catalogue { return f.now.Load() }

// Ready is closed once the topic has been read to the end that it had when the
// reading began.
func (f *Follower) Ready() <-chan struct{} { return f.ready }

// Stats say how the follower is now.
func (f *Follower) Stats() Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	stats := f.stats
	stats.Failing = f.failure != nil
	return stats
}

// AwaitReady returns when the follower is ready. When ctx ends first, its error
// is what stood in the way: a *NoTopicError where the topic is missing.
func (f *Follower) AwaitReady(ctx context.Context) error {
	select {
	case <-f.ready:
		return nil
	case <-ctx.Done():
		return f.because("the templates are not loaded", ctx.Err())
	}
}

// CatchUp asks where the topic ends now, and returns when the catalogue has
// everything up to there. When ctx ends first, its error is what stood in the
// way.
func (f *Follower) CatchUp(ctx context.Context) error {
	_, end, err := f.config.Source.Bounds(ctx)
	if err != nil {
		return fmt.Errorf("catching up with the templates: %w", err)
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
			return f.because("catching up with the templates", ctx.Err())
		}
	}
}

func (f *Follower) because(what string, end error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failure != nil {
		return fmt.Errorf("%s: %w (%w)", what, f.failure, end)
	}
	return fmt.Errorf("%s: %w", what, end)
}

// Run follows the topic until ctx ends. The topic being away, or not there at
// all, is not an end: it is logged now and then, and tried again.
func (f *Follower) Run(ctx context.Context) {
	failing := everySoOften{}
	for tries := 0; ; {
		err := f.step(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			tries, failing = 0, everySoOften{}
			continue
		}
		f.failed(err)
		failing.about(func(times int) {
			f.config.Log.Warn().Err(err).Int("times", times).
				Msg("cannot read the templates; trying on, with those that are known")
		})
		if tries++; !pause(ctx, tries) {
			return
		}
	}
}

// step reads and applies once.
func (f *Follower) step(ctx context.Context) error {
	if f.next < 0 {
		return f.begin(ctx)
	}
	records, next, err := f.config.Source.Fetch(ctx, f.next)
	var gone *NoTopicError
	if errors.Is(err, kafka.OffsetOutOfRange) || errors.As(err, &gone) {
		// The topic was cut, or is being made anew: what it will have then is
		// what counts. Until that is read, the last snapshot stays.
		f.next = -1
	}
	if err != nil {
		return err
	}
	f.apply(records, next)
	return nil
}

// begin starts a draft that is published once it has all that the topic has now.
func (f *Follower) begin(ctx context.Context) error {
	first, end, err := f.config.Source.Bounds(ctx)
	if err != nil {
		return err
	}
	f.draft, f.goal = new(Catalogue), end
	f.apply(nil, first)
	return nil
}

// apply brings fetched records into the draft and, unless it is still behind
// its goal, publishes it.
func (f *Follower) apply(records []topology.Record, next int64) {
	bad := 0
	if len(records) > 0 {
		e := f.draft.edit()
		for i, n := range decodeAll(records) {
			switch {
			case n.err != nil:
				bad++
				f.refuse(&records[i], n.err)
			case n.entry == nil:
				e.remove(n.ref)
			default:
				e.put(n.entry)
			}
		}
		f.draft = e.done()
	}
	f.next = next
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failure = nil
	f.stats.ContactAt = time.Now()
	f.stats.Bad += int64(bad)
	if next >= f.goal {
		f.publish(len(records) > bad)
	}
}

// publish makes the draft the snapshot. f.mu is held.
func (f *Follower) publish(news bool) {
	f.now.Store(f.draft)
	f.stats.Names, f.stats.Versions = f.draft.Names(), f.draft.Versions()
	if news || !f.stats.Ready {
		f.stats.ChangedAt = f.stats.ContactAt
	}
	if f.stats.Applied != f.next || !f.stats.Ready {
		f.stats.Applied = f.next
		close(f.moved)
		f.moved = make(chan struct{})
	}
	if !f.stats.Ready {
		f.stats.Ready = true
		close(f.ready)
		f.config.Log.Info().Int("templates", f.stats.Names).Int("versions", f.stats.Versions).Msg("the templates are loaded")
	}
}

func (f *Follower) refuse(r *topology.Record, err error) {
	f.config.Log.Error().Err(err).Int64("offset", r.Offset).Bytes("key", r.Key).
		Msg("a template record is not taken; what was there before it stays")
	if f.config.OnBad != nil {
		f.config.OnBad(*r, err)
	}
}

func (f *Follower) failed(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failure = err
}
