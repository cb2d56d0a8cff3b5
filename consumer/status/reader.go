package status

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/meddela/meddela/topology"
)

// readAtOnce is how many hashes are asked for before replies are waited for.
const readAtOnce = 1000

// Reader reads statuses. Several goroutines may use it.
type Reader struct {
	Client redis.UniversalClient
	Keys   topology.Keys
}

// Answer is what is known of one event.
type Answer struct {
	State topology.State
	Found bool  // whether anything is known
	Err   error // why what is stored cannot be understood

	finalAt string // as it is stored
}

// Sound reports whether what follows from the rest of what is stored is so: the rank, and when the event came to rest.
func (a *Answer) Sound() bool {
	final := max(a.State.FinalAt().UnixMilli(), 0)
	return a.State.Sound() && cmp.Or(a.finalAt, "0") == strconv.FormatInt(final, 10)
}

// Get returns the state of an event, and whether anything is known of it.
func (r *Reader) Get(ctx context.Context, id topology.EventID) (topology.State, bool, error) {
	hash, err := r.Client.HGetAll(ctx, r.Keys.Event(id)).Result()
	if err != nil {
		return topology.State{}, false, fmt.Errorf("read the status of %s: %w", id, err)
	}
	return topology.ParseState(id, hash)
}

// GetMany returns an answer for each id, in their order. Its error is about
// the server; that of a single event is in its answer.
func (r *Reader) GetMany(ctx context.Context, ids []topology.EventID) ([]Answer, error) {
	answers := make([]Answer, 0, len(ids))
	for some := range slices.Chunk(ids, readAtOnce) {
		pipe := r.Client.Pipeline()
		replies := make([]*redis.MapStringStringCmd, len(some))
		for i, id := range some {
			replies[i] = pipe.HGetAll(ctx, r.Keys.Event(id))
		}
		if _, err := pipe.Exec(ctx); err != nil && !isWrongType(err) {
			return nil, fmt.Errorf("read %d statuses: %w", len(some), err)
		}
		for i, reply := range replies {
			var a Answer
			hash, err := reply.Result()
			switch {
			case isWrongType(err):
				a.Found, a.Err = true, fmt.Errorf("event %s: %w", some[i], err)
			case err != nil:
				return nil, fmt.Errorf("read the status of %s: %w", some[i], err)
			default:
				a.State, a.Found, a.Err = topology.ParseState(some[i], hash)
				a.finalAt = hash[topology.FieldFinalAt]
			}
			answers = append(answers, a)
		}
	}
	return answers, nil
}

func isWrongType(err error) bool { return redis.HasErrorPrefix(err, "WRONGTYPE") }
