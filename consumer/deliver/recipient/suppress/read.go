package suppress

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
)

// read returns the values of keys, empty where there is none. What is of
// another type is none of ours. The pepper's fingerprint is read along: whoever
// has another one must not take what he does not find for not suppressed.
func (l *List) read(ctx context.Context, keys []string) ([]string, error) {
	values := make([]string, len(keys))
	for from := 0; ; from += keysPerTrip {
		to := min(from+keysPerTrip, len(keys))
		if err := l.readSome(ctx, keys[from:to], values[from:to]); err != nil {
			return nil, err
		}
		if to == len(keys) {
			return values, nil
		}
	}
}

func (l *List) readSome(ctx context.Context, keys, values []string) error {
	pipe := l.Client.Pipeline()
	pepper := pipe.Get(ctx, l.Keys.SuppressionPepper())
	fetch := fetchTogether
	if clustered(l.Client) {
		fetch = fetchEach
	}
	take := fetch(ctx, pipe, keys)
	_, _ = pipe.Exec(ctx) // each command has its own error
	if err := pepper.Err(); err != nil && !harmless(err) {
		return err
	}
	if is := pepper.Val(); is != "" && is != l.Hasher.Fingerprint() {
		return PepperError{}
	}
	return take(values)
}

// harmless is the error of a key that is not there, or no STRING.
func harmless(err error) bool {
	return errors.Is(err, redis.Nil) || redis.HasErrorPrefix(err, "WRONGTYPE")
}

// fetchTogether reads many keys by a command, as a single server can. What it
// returns takes the values once the pipeline has run.
func fetchTogether(ctx context.Context, pipe redis.Pipeliner, keys []string) (take func([]string) error) {
	var replies []*redis.SliceCmd
	for from := 0; from < len(keys); from += keysPerCall {
		replies = append(replies, pipe.MGet(ctx, keys[from:min(from+keysPerCall, len(keys))]...))
	}
	return func(values []string) error {
		at := 0
		for _, reply := range replies {
			if err := reply.Err(); err != nil {
				return err
			}
			for _, v := range reply.Val() {
				values[at], _ = v.(string)
				at++
			}
		}
		return nil
	}
}

// fetchEach reads each key by a command, as a cluster needs.
func fetchEach(ctx context.Context, pipe redis.Pipeliner, keys []string) (take func([]string) error) {
	replies := make([]*redis.StringCmd, len(keys))
	for i, key := range keys {
		replies[i] = pipe.Get(ctx, key)
	}
	return func(values []string) error {
		for i, reply := range replies {
			if err := reply.Err(); err != nil && !harmless(err) {
				return err
			}
			values[i] = reply.Val()
		}
		return nil
	}
}
