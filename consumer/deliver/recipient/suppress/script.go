package suppress

import (
	"context"
	_ "embed"
	"errors"

	"github.com/redis/go-redis/v9"

	"github.com/meddela/meddela/topology"
)

//go:embed add.lua
var addSource string

//go:embed cap.lua
var capSource string

var (
	addScript = redis.NewScript(addSource)
	capScript = redis.NewScript(capSource)
)

const (
	// keysPerCall bounds how long Redis serves nobody else.
	keysPerCall = 100
	// keysPerTrip bounds what is under way before answers are waited for.
	keysPerTrip = 2000
)

// keyed is a key and the arguments that a script has for it.
type keyed struct {
	key  string
	args []any
}

// call is one call of a script.
type call struct {
	which []int // of its keys, in what the script is run for
	keys  []string
	args  []any
	reply *redis.Cmd
}

// errAnswer is a reply that no script of ours makes.
var errAnswer = errors.New("a script in Redis answered something unknown")

// run runs a script, whose answer is a number for each key, for any number of
// keys: in one pipeline, by calls of bounded size, on a cluster by slots.
func run(ctx context.Context, client redis.UniversalClient, script *redis.Script, list []keyed) ([]int64, error) {
	answers := make([]int64, len(list))
	for from := 0; from < len(list); from += keysPerTrip {
		to := min(from+keysPerTrip, len(list))
		if err := trip(ctx, client, script, list[from:to], answers[from:to]); err != nil {
			return nil, err
		}
	}
	return answers, nil
}

// trip runs a script in one round trip, and in a second one where a server does
// not know it yet.
func trip(ctx context.Context, client redis.UniversalClient, script *redis.Script, list []keyed, answers []int64) error {
	calls := callsOf(client, list)
	send(ctx, client, calls, script.EvalSha)
	var unknown []*call
	for _, c := range calls {
		if err := c.reply.Err(); errors.Is(err, redis.ErrNoScript) || redis.HasErrorPrefix(err, "NOSCRIPT") {
			unknown = append(unknown, c)
		}
	}
	if len(unknown) > 0 {
		send(ctx, client, unknown, script.Eval)
	}
	for _, c := range calls {
		values, err := c.reply.Int64Slice()
		if err != nil {
			return err
		}
		if len(values) != len(c.which) {
			return errAnswer
		}
		for i, at := range c.which {
			answers[at] = values[i]
		}
	}
	return nil
}

// send makes the calls in one pipeline. Each call's error is in its reply.
func send(
	ctx context.Context, client redis.UniversalClient, calls []*call,
	how func(context.Context, redis.Scripter, []string, ...any) *redis.Cmd,
) {
	pipe := client.Pipeline()
	for _, c := range calls {
		c.reply = how(ctx, pipe, c.keys, c.args...)
	}
	_, _ = pipe.Exec(ctx)
}

// callsOf shares keys out among calls.
func callsOf(client redis.UniversalClient, list []keyed) []*call {
	var calls []*call
	open := make(map[uint16]*call) // that take more keys
	bySlot := clustered(client)
	for i := range list {
		var slot uint16
		if bySlot {
			slot = topology.SlotOf(list[i].key)
		}
		c := open[slot]
		if c == nil || len(c.keys) == keysPerCall {
			c = new(call)
			calls, open[slot] = append(calls, c), c
		}
		c.which = append(c.which, i)
		c.keys = append(c.keys, list[i].key)
		c.args = append(c.args, list[i].args...)
	}
	return calls
}

func clustered(client redis.UniversalClient) bool {
	_, ok := client.(*redis.ClusterClient)
	return ok
}
