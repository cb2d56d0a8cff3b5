package deliver

import (
	"context"
	_ "embed"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/meddela/meddela/topology"
)

//go:embed claim.lua
var claimSource string

//go:embed settle.lua
var settleSource string

//go:embed release.lua
var releaseSource string

var (
	claimScript   = redis.NewScript(claimSource)
	settleScript  = redis.NewScript(settleSource)
	releaseScript = redis.NewScript(releaseSource)
)

// claims are the jobs' claims in Redis, by which of all deliverers one sends a
// job, once. Its user in Redis needs EVAL, EVALSHA, TIME, GET, SET and DEL.
type claims struct {
	client redis.UniversalClient
	keys   topology.Keys
	lease  time.Duration
	keep   time.Duration
}

// claimed is the answer to a claim.
type claimed int

const (
	unasked       claimed = iota
	unanswered            // asked, and what Redis did is not known
	granted               // the job is the owner's until the lease ends
	takenOver             // so too, and another owner may have sent it
	doubted               // so too, and an earlier attempt may have been accepted
	heldBack              // another owner has it
	settledBefore         // it has an outcome
	unreadable            // its key holds something else
)

// Answers of claim.lua.
const (
	answerGranted    = 0
	answerTakenOver  = 1
	answerUnreadable = 2
	answerDoubted    = 3
)

// claim claims the tasks' jobs and notes each answer in its task. Where one is
// not answered, which on a cluster may be some, there is an error. A claim
// that its owner has already is granted again, so repeating is safe.
func (c *claims) claim(ctx context.Context, owner string, tasks []*task) error {
	head := []any{owner, c.lease.Milliseconds(), c.keep.Milliseconds()}
	for _, t := range tasks {
		t.key, t.claim = c.keys.Claim(t.job.JobID), unanswered
	}
	return c.run(ctx, claimScript, tasks, head,
		func(t *task) any { return t.job.Attempt },
		func(t *task, answer any) { t.noteClaim(answer) })
}

func (t *task) noteClaim(answer any) {
	switch a := answer.(type) {
	case string:
		t.claim = unreadable
		if o, ok := parseOutcome(a); ok {
			t.claim, t.outcome = settledBefore, o
		}
	case int64:
		switch {
		case a < 0:
			t.claim, t.heldFor = heldBack, time.Duration(-a)*time.Millisecond
		case a == answerGranted:
			t.claim = granted
		case a == answerTakenOver:
			t.claim = takenOver
		case a == answerDoubted:
			t.claim = doubted
		case a == answerUnreadable:
			t.claim = unreadable
		}
	}
}

// settle records the outcomes of tasks that were claimed. Where another
// deliverer has recorded one before, that is the task's outcome now. Those that
// are recorded are settled afterwards; with an error, some are not.
func (c *claims) settle(ctx context.Context, tasks []*task) error {
	head := []any{c.keep.Milliseconds()}
	values := make([]byte, 0, len(tasks)*outcomeBytes)
	return c.run(ctx, settleScript, tasks, head,
		func(t *task) any {
			start := len(values)
			values = t.outcome.append(values)
			return values[start:]
		},
		func(t *task, answer any) {
			t.settled = true
			if text, found := answer.(string); found {
				if o, ok := parseOutcome(text); ok {
					t.outcome = o
				}
			}
		})
}

// release gives up the claims of tasks that were not begun.
func (c *claims) release(ctx context.Context, owner string, tasks []*task) error {
	return c.run(ctx, releaseScript, tasks, []any{owner}, nil, func(*task, any) {})
}

// errAnswer is a reply that no script of ours makes.
var errAnswer = errors.New("a script in Redis answered something unknown")

// run calls a script for the tasks' claims: once, or on a cluster once for
// each slot, in one round trip to each node. arg, if there is one, makes a
// task's own argument; note is given each task's answer.
func (c *claims) run(
	ctx context.Context, script *redis.Script, tasks []*task, head []any,
	arg func(*task) any, note func(*task, any),
) error {
	calls := c.calls(tasks, head, arg)
	c.exec(ctx, calls, func(pipe redis.Pipeliner, s *scriptCall) *redis.Cmd {
		return script.EvalSha(ctx, pipe, s.keys, s.args...)
	})
	var unknown []*scriptCall
	for _, s := range calls {
		if redis.HasErrorPrefix(s.cmd.Err(), "NOSCRIPT") || errors.Is(s.cmd.Err(), redis.ErrNoScript) {
			unknown = append(unknown, s)
		}
	}
	if len(unknown) > 0 {
		c.exec(ctx, unknown, func(pipe redis.Pipeliner, s *scriptCall) *redis.Cmd {
			return script.Eval(ctx, pipe, s.keys, s.args...)
		})
	}
	var failed error
	for _, s := range calls {
		if err := s.answers(note); err != nil {
			failed = err
		}
	}
	return failed
}

// scriptCall is one call of a script.
type scriptCall struct {
	tasks []*task
	keys  []string
	args  []any
	cmd   *redis.Cmd
}

// calls are as few calls as the server takes.
func (c *claims) calls(tasks []*task, head []any, arg func(*task) any) []*scriptCall {
	if _, cluster := c.client.(*redis.ClusterClient); !cluster {
		call := newCall(len(tasks), head)
		for _, t := range tasks {
			call.add(t, arg)
		}
		return []*scriptCall{call}
	}
	var calls []*scriptCall
	bySlot := make(map[uint16]*scriptCall, len(tasks))
	for _, t := range tasks {
		slot := topology.SlotOf(t.key)
		call := bySlot[slot]
		if call == nil {
			call = newCall(1, head)
			bySlot[slot] = call
			calls = append(calls, call)
		}
		call.add(t, arg)
	}
	return calls
}

func newCall(size int, head []any) *scriptCall {
	s := &scriptCall{
		tasks: make([]*task, 0, size),
		keys:  make([]string, 0, size),
		args:  make([]any, 0, len(head)+size),
	}
	s.args = append(s.args, head...)
	return s
}

func (s *scriptCall) add(t *task, arg func(*task) any) {
	s.tasks = append(s.tasks, t)
	s.keys = append(s.keys, t.key)
	if arg != nil {
		s.args = append(s.args, arg(t))
	}
}

// exec makes the calls in one pipeline. Each call's error is with the call.
func (c *claims) exec(ctx context.Context, calls []*scriptCall, add func(redis.Pipeliner, *scriptCall) *redis.Cmd) {
	pipe := c.client.Pipeline()
	for _, s := range calls {
		s.cmd = add(pipe, s)
	}
	_, _ = pipe.Exec(ctx)
}

func (s *scriptCall) answers(note func(*task, any)) error {
	answers, err := s.cmd.Slice()
	if err != nil {
		return err
	}
	if len(answers) != len(s.tasks) {
		return errAnswer
	}
	for i, t := range s.tasks {
		note(t, answers[i])
	}
	return nil
}
