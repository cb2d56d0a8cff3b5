package suppress

import (
	"context"
	_ "embed"
	"errors"
	"slices"

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
	// For each of KEYS its value, nil where there is none or another type than ours.
	readScript = script.New("return redis.call('MGET', unpack(KEYS))")
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
		N:    len(calls),
		Key:  func(b []byte, i int) []byte { return append(b, calls[i].key...) },
		Args: func(a *script.Args, i int) { a.Add(calls[i].args...) },
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

// read begins to read the values of keys, and returns what waits for them. The
// pepper's fingerprint is read along: whoever has another one must not take what he
// does not find for not suppressed.
func (l *List) read(ctx context.Context, keys ...string) (wait func() ([]any, error)) {
	keys = slices.Concat([]string{l.Keys.SuppressionPepper()}, keys)
	values := make([]any, len(keys))
	done := readScript.Start(ctx, l.Client, &script.Batch{
		N:      len(keys),
		Key:    func(b []byte, i int) []byte { return append(b, keys[i]...) },
		Answer: func(i int, value any) { values[i] = value },
	})
	return func() ([]any, error) {
		if err := done(); err != nil {
			return nil, err
		}
		if pepper, _ := values[0].(string); pepper != "" && pepper != l.Hasher.fingerprint {
			return nil, ErrPepper
		}
		return values[1:], nil
	}
}
