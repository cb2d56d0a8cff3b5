package suppress

import (
	"context"
	_ "embed"
	"errors"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/meddela/meddela/consumer/internal/script"
)

var (
	//go:embed add.lua
	addSource string
	//go:embed cap.lua
	capSource string

	addScript = script.New(addSource)
	capScript = script.New(capSource)
	// For each of KEYS 1 if it was there, else 0.
	removeScript = script.New(`
local answers = {}
for i, key in ipairs(KEYS) do answers[i] = redis.call('DEL', key) end
return answers`)
)

const (
	// keysPerCall bounds how long Redis serves nobody else.
	keysPerCall = 100
	// keysPerTrip bounds what is under way before answers are waited for.
	keysPerTrip = 2000
)

// call is a key and the arguments that a script has for it.
type call struct {
	key  string
	args []any
}

// run runs a script, whose answer for each key is 1 or 0, for any number of keys.
func (l *List) run(ctx context.Context, s *script.Script, calls []call, answer func(i int, yes bool)) error {
	unknown := false
	err := s.Run(ctx, l.Client, &script.Batch{
		N:       len(calls),
		PerCall: keysPerCall,
		Key:     func(b []byte, i int) []byte { return append(b, calls[i].key...) },
		Args:    func(a *script.Args, i int) { a.Add(calls[i].args...) },
		Answer: func(i int, is any) {
			n, ok := is.(int64)
			unknown = unknown || !ok
			answer(i, n == 1)
		},
	})
	if err == nil && unknown {
		err = errors.New("a script in Redis answered something unknown")
	}
	return err
}

// read returns the values of keys, nil where there is none or another type than
// ours. The pepper's fingerprint is read along: whoever has another one must not
// take what he does not find for not suppressed.
func (l *List) read(ctx context.Context, keys []string) (values []any, err error) {
	perCall := keysPerCall
	if _, cluster := l.Client.(*redis.ClusterClient); cluster {
		perCall = 1 // they are in different slots
	}
	for some := range slices.Chunk(slices.Concat([]string{l.Keys.SuppressionPepper()}, keys), keysPerTrip) {
		if values, err = appendValues(ctx, l.Client, perCall, values, some); err != nil {
			return nil, err
		}
	}
	if pepper, _ := values[0].(string); pepper != "" && pepper != l.Hasher.fingerprint {
		return nil, PepperError{}
	}
	return values[1:], nil
}

// appendValues appends the values of keys, which it reads in one round trip.
func appendValues(ctx context.Context, c redis.Cmdable, perCall int, values []any, keys []string) ([]any, error) {
	pipe := c.Pipeline()
	replies := make([]*redis.SliceCmd, 0, len(keys)/perCall+1)
	for some := range slices.Chunk(keys, perCall) {
		replies = append(replies, pipe.MGet(ctx, some...))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, err
	}
	values = slices.Grow(values, len(keys))
	for _, reply := range replies {
		values = append(values, reply.Val()...)
	}
	return values, nil
}
