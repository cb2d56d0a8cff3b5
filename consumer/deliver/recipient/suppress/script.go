package suppress

import (
	"context"
	_ "embed"
	"errors"

	"github.com/meddela/meddela/consumer/internal/script"
)

var (
	//go:embed cap.lua
	capSource string
	capScript = script.New(capSource)
)

// call is a key and the arguments that a script has for it.
type call struct {
	key  string
	args []any
}

// run runs a script, whose answer for each key is 1 or 0, for any number of keys.
func (c *Copy) run(ctx context.Context, s *script.Script, calls []call, answer func(i int, yes bool)) error {
	unknown := false
	err := s.Run(ctx, c.Client, &script.Batch{
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
