package suppress

import (
	"context"
	_ "embed"
	"errors"

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
)

// call is a key and the arguments that a script has for it.
type call struct {
	key  string
	args []any
}

// errAnswer is an answer that no script of ours makes.
var errAnswer = errors.New("a script in Redis answered something unknown")

// run runs a script, whose answer for each key is 1 or 0, for any number of keys.
func run(ctx context.Context, client redis.UniversalClient, s *script.Script, calls []call) ([]bool, error) {
	answers, unknown := make([]bool, len(calls)), false
	err := s.Run(ctx, client, &script.Batch{
		N:       len(calls),
		PerCall: keysPerCall,
		Key:     func(b []byte, i int) []byte { return append(b, calls[i].key...) },
		Args:    func(a *script.Args, i int) { a.Add(calls[i].args...) },
		Answer: func(i int, answer any) {
			n, ok := answer.(int64)
			answers[i], unknown = n == 1, unknown || !ok
		},
	})
	switch {
	case err != nil:
		return nil, err
	case unknown:
		return nil, errAnswer
	}
	return answers, nil
}
