package status

import (
	"context"
	_ "embed"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/meddela/meddela/topology"
)

//go:embed merge.lua
var mergeSource string

var mergeHash = redis.NewScript(mergeSource).Hash()

// DefaultTTL is how long a status is kept unless configured otherwise.
const DefaultTTL = 30 * 24 * time.Hour

// DefaultChunk is how many events one script call merges unless configured
// otherwise. Redis serves nobody else during a call, which takes half a
// millisecond at this size; larger calls are hardly faster.
const DefaultChunk = 50

// pipelined is how many events are written before replies are waited for.
const pipelined = 2000

// Store merges states into the hashes of a Redis of any kind: single, behind
// Sentinel, or a cluster. Several goroutines may use it.
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
}

// Meter hears of what a Store writes. Several goroutines call it.
type Meter interface {
	// Changed hears of each event whose status has changed, once.
	Changed(*topology.State)
	// Written hears of each write of some events' states, also where it failed.
	Written(events int, took time.Duration, err error)
}

// Write merges each state into the hash of its event. It never moves one
// backwards, and writing a state again changes nothing. After an error some
// of the states may be written.
func (s *Store) Write(ctx context.Context, states []topology.State) error {
	for len(states) > 0 {
		n := min(len(states), pipelined)
		if err := s.write(ctx, states[:n]); err != nil {
			return err
		}
		states = states[n:]
	}
	return nil
}

func (s *Store) write(ctx context.Context, states []topology.State) error {
	c := takeCalls()
	defer c.release()
	c.make(states, s.shape())
	began := time.Now()
	replies, err := s.run(ctx, c.list)
	if s.Meter != nil {
		s.Meter.Written(len(states), time.Since(began), err)
		changed(states, c.list, replies, s.Meter.Changed)
	}
	if s.Notices {
		s.announce(ctx, states, c.list, replies)
	}
	return err
}

// changed calls back for each change that replies report.
func changed(states []topology.State, list []call, replies []*redis.IntSliceCmd, back func(*topology.State)) {
	for i, reply := range replies {
		for _, position := range reply.Val() {
			back(&states[list[i].states[position-1]])
		}
	}
}

func (s *Store) shape() shape {
	result := shape{keys: s.Keys, ttl: s.TTL, most: s.Chunk, bySlots: s.clustered()}
	if result.ttl <= 0 {
		result.ttl = DefaultTTL
	}
	if result.most <= 0 {
		result.most = DefaultChunk
	}
	return result
}

func (s *Store) clustered() bool {
	_, ok := s.Client.(*redis.ClusterClient)
	return ok
}

// run sends the calls in one pipeline, and those that met a server which does
// not know the script once more, with its text. It returns a reply for each
// call, and the first error.
func (s *Store) run(ctx context.Context, list []call) ([]*redis.IntSliceCmd, error) {
	replies := make([]*redis.IntSliceCmd, len(list))
	for i := range list {
		replies[i] = newReply(ctx, list[i].args)
	}
	err := s.send(ctx, replies)
	var again []*redis.IntSliceCmd
	for i, reply := range replies {
		if isNoScript(reply.Err()) {
			replies[i] = newReply(ctx, withText(list[i].args))
			again = append(again, replies[i])
		}
	}
	if len(again) > 0 {
		err = s.send(ctx, again)
	}
	for _, reply := range replies {
		if err == nil {
			err = reply.Err()
		}
	}
	return replies, err
}

// send runs the commands in one pipeline. Each keeps its own error; the first
// is returned.
func (s *Store) send(ctx context.Context, commands []*redis.IntSliceCmd) error {
	pipe := s.Client.Pipeline()
	for _, command := range commands {
		_ = pipe.Process(ctx, command) // a pipeline only queues it
	}
	_, err := pipe.Exec(ctx)
	return err
}

func isNoScript(err error) bool {
	return errors.Is(err, redis.ErrNoScript) || redis.HasErrorPrefix(err, "NOSCRIPT")
}

func newReply(ctx context.Context, args []any) *redis.IntSliceCmd {
	reply := redis.NewIntSliceCmd(ctx, args...)
	reply.SetFirstKeyPos(3)
	return reply
}

// withText is an EVALSHA as an EVAL.
func withText(args []any) []any {
	return append([]any{"eval", mergeSource}, args[2:]...)
}

// announce tells of the changes that replies report. Whoever misses a notice
// finds the status by reading it, so errors are of no consequence.
func (s *Store) announce(ctx context.Context, states []topology.State, list []call, replies []*redis.IntSliceCmd) {
	pipe := s.Client.Pipeline()
	publish := pipe.Publish
	if s.clustered() {
		publish = pipe.SPublish
	}
	changed(states, list, replies, func(state *topology.State) {
		publish(ctx, s.Keys.StatusNotice(state.EventID), string(state.Status))
	})
	if pipe.Len() > 0 {
		_, _ = pipe.Exec(ctx)
	}
}
