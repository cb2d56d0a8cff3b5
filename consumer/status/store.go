package status

import (
	"cmp"
	"context"
	_ "embed"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/meddela/meddela/consumer/internal/script"
	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/gather"
)

//go:embed merge.lua
var mergeSource string

var mergeScript = script.New(mergeSource)

// DefaultTTL is how long a status is kept unless configured otherwise.
const DefaultTTL = 30 * 24 * time.Hour

// DefaultChunk is how many events one script call merges unless configured
// otherwise. Redis serves nobody else during a call, which takes half a
// millisecond at this size; larger calls are hardly faster.
const DefaultChunk = 50

// writeAtOnce is how many events are written before their writers hear of it.
const writeAtOnce = 2000

// Store merges states into the hashes of a Redis of any kind: single, behind
// Sentinel, or a cluster. Several goroutines may use it: what they write about an
// event at about the same time is folded, and written once.
type Store struct {
	Client redis.UniversalClient
	Keys   topology.Keys
	// TTL is how long a status is kept, counted from its last change, or
	// from the time that its event is scheduled for if that is later.
	// Default DefaultTTL.
	TTL time.Duration
	// Notices makes every change of a status be announced on the event's
	// channel: by PUBLISH, on a cluster by SPUBLISH. A notice may get lost;
	// the status does not.
	Notices bool
	// Chunk is how many events one script call merges. Default DefaultChunk.
	Chunk int
	// Meter, if set, hears of what is written.
	Meter Meter

	gathered gathered
}

// Meter hears of what a Store writes. Several goroutines call it.
type Meter interface {
	// Changed hears of each event whose status has changed, once.
	Changed(*topology.State)
	// Written hears of each write of some events, also where it failed, and of how
	// many states were folded into those that it has.
	Written(events, folded int, took time.Duration, err error)
}

// Write merges each state into the hash of its event. It never moves one
// backwards, and writing a state again changes nothing. After an error some
// of the states may be written. States of one event, whoever gives them, may be
// merged into the first of them.
func (s *Store) Write(ctx context.Context, states []topology.State) error {
	return s.gathered.write(ctx, states, s.mergeAll)
}

func (s *Store) mergeAll(events []*event) {
	for some := range slices.Chunk(events, writeAtOnce) {
		s.merge(some)
	}
}

// merge writes events, and tells who waits for them.
func (s *Store) merge(events []*event) {
	wanted, folded := s.gathered.begin(events)
	ctx, end := gather.Together(wanted)
	defer end()
	prefix, ttl, began := s.Keys.Event(""), cmp.Or(max(s.TTL, 0), DefaultTTL), time.Now()
	var changed []*topology.State
	err := mergeScript.Run(ctx, s.Client, &script.Batch{
		N:       len(events),
		Head:    []any{ttl.Milliseconds()},
		PerCall: cmp.Or(max(s.Chunk, 0), DefaultChunk),
		Key:     func(b []byte, i int) []byte { return append(append(b, prefix...), events[i].state.EventID...) },
		Args:    func(a *script.Args, i int) { arguments(a, events[i].state) },
		Answer: func(i int, answer any) {
			events[i].written = true
			if answer == int64(1) {
				changed = append(changed, events[i].state)
			}
		},
	})
	if s.Meter != nil {
		s.Meter.Written(len(events), folded, time.Since(began), err)
		for _, state := range changed {
			s.Meter.Changed(state)
		}
	}
	if s.Notices && len(changed) > 0 {
		s.announce(ctx, changed)
	}
	s.gathered.end(events, err)
}

// announce tells of changes. Whoever misses a notice finds the status by reading
// it, so errors are of no consequence.
func (s *Store) announce(ctx context.Context, changed []*topology.State) {
	pipe := s.Client.Pipeline()
	publish := pipe.Publish
	if _, cluster := s.Client.(*redis.ClusterClient); cluster {
		publish = pipe.SPublish
	}
	for _, state := range changed {
		publish(ctx, s.Keys.StatusNotice(state.EventID), string(state.Status))
	}
	_, _ = pipe.Exec(ctx)
}
