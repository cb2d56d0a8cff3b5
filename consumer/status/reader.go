package status

import (
	"context"
	"fmt"

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
	// Found reports whether anything is known.
	Found bool
	// Err says why what is stored cannot be understood.
	Err error
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
	for len(ids) > 0 {
		n := min(len(ids), readAtOnce)
		var err error
		if answers, err = r.appendAnswers(ctx, answers, ids[:n]); err != nil {
			return nil, err
		}
		ids = ids[n:]
	}
	return answers, nil
}

func (r *Reader) appendAnswers(ctx context.Context, answers []Answer, ids []topology.EventID) ([]Answer, error) {
	pipe := r.Client.Pipeline()
	replies := make([]*redis.MapStringStringCmd, len(ids))
	for i, id := range ids {
		replies[i] = pipe.HGetAll(ctx, r.Keys.Event(id))
	}
	if _, err := pipe.Exec(ctx); err != nil && !isWrongType(err) {
		return nil, fmt.Errorf("read %d statuses: %w", len(ids), err)
	}
	for i, reply := range replies {
		answer, err := answerOf(ids[i], reply)
		if err != nil {
			return nil, fmt.Errorf("read the status of %s: %w", ids[i], err)
		}
		answers = append(answers, answer)
	}
	return answers, nil
}

// answerOf reads one reply. Its error is about the server.
func answerOf(id topology.EventID, reply *redis.MapStringStringCmd) (a Answer, err error) {
	hash, err := reply.Result()
	if isWrongType(err) {
		return Answer{Found: true, Err: fmt.Errorf("event %s: %w", id, err)}, nil
	}
	if err != nil {
		return Answer{}, err
	}
	a.State, a.Found, a.Err = topology.ParseState(id, hash)
	return a, nil
}

func isWrongType(err error) bool { return redis.HasErrorPrefix(err, "WRONGTYPE") }
