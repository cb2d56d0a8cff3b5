package deliver

import (
	"context"
	_ "embed"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/meddela/meddela/consumer/internal/script"
	"github.com/meddela/meddela/topology"
)

//go:embed claim.lua
var claimSource string

//go:embed settle.lua
var settleSource string

//go:embed release.lua
var releaseSource string

var (
	claimScript   = script.New(claimSource)
	settleScript  = script.New(settleSource)
	releaseScript = script.New(releaseSource)
)

// claims are the jobs' claims in Redis, by which of all deliverers one sends a
// job, once. Its user in Redis needs EVAL, EVALSHA, TIME, GET, SET and DEL.
type claims struct {
	client redis.UniversalClient
	keys   topology.Keys
	lease  time.Duration
	keep   time.Duration
}

// claimState is the answer to a claim.
type claimState int

const (
	unanswered   claimState = iota // what Redis did is not known
	granted                        // the job is the owner's until the lease ends
	leaseExpired                   // so too, and another owner, whose lease ended, may have sent it
	ambiguous                      // so too, and an earlier attempt may have been accepted
	leased                         // another owner has it
	settled                        // it has an outcome
	unreadable                     // its key holds something else
)

// claim is what became of a claim.
type claim struct {
	state   claimState
	left    time.Duration // of another owner's lease, if it is leased
	outcome *outcome      // if it is settled
}

// claim is the second stage: it claims the jobs of attempts. Where one is not
// answered, which on a cluster may be some, there is an error. A claim that its
// owner has already is granted again, so repeating is safe.
func (c *claims) claim(ctx context.Context, owner string, attempts []attempt) ([]claim, error) {
	answers := make([]claim, len(attempts))
	return answers, claimScript.Run(ctx, c.client, &script.Batch{
		N:      len(attempts),
		Head:   []any{owner, c.lease.Milliseconds(), c.keep.Milliseconds()},
		Key:    func(b []byte, i int) []byte { return c.key(b, attempts[i].delivery) },
		Args:   func(a *script.Args, i int) { a.Add(a.Int(int64(attempts[i].job.Attempt))) },
		Answer: func(i int, answer any) { answers[i] = claimOf(answer) },
	})
}

// key appends the key of a job's claim.
func (c *claims) key(b []byte, d *delivery) []byte { return append(b, c.keys.Claim(d.job.JobID)...) }

// claimOf reads an answer of claim.lua.
func claimOf(answer any) claim {
	switch a := answer.(type) {
	case string:
		if o, ok := parseOutcome(a); ok {
			return claim{state: settled, outcome: &o}
		}
	case int64:
		switch {
		case a < 0:
			return claim{state: leased, left: time.Duration(-a) * time.Millisecond}
		case a == 0:
			return claim{state: granted}
		case a == 1:
			return claim{state: leaseExpired}
		case a == 3:
			return claim{state: ambiguous}
		}
	}
	return claim{state: unreadable}
}

// settle records the outcomes of jobs that were claimed. Where another deliverer
// has recorded one before, that is the result's outcome now. Those that are
// recorded are settled afterwards; with an error, some are not.
func (c *claims) settle(ctx context.Context, results []*result) error {
	values := make([]byte, 0, len(results)*outcomeBytes)
	return settleScript.Run(ctx, c.client, &script.Batch{
		N:    len(results),
		Head: []any{c.keep.Milliseconds()},
		Key:  func(b []byte, i int) []byte { return c.key(b, results[i].delivery) },
		Args: func(a *script.Args, i int) {
			start := len(values)
			values = results[i].outcome.append(values)
			a.Add(values[start:])
		},
		Answer: func(i int, answer any) {
			r := results[i]
			r.settled = true
			if text, found := answer.(string); found {
				if o, ok := parseOutcome(text); ok {
					r.outcome = o
				}
			}
		},
	})
}

// release gives up the claims of jobs for which nothing was begun.
func (c *claims) release(ctx context.Context, owner string, deliveries []*delivery) error {
	return releaseScript.Run(ctx, c.client, &script.Batch{
		N:      len(deliveries),
		Head:   []any{owner},
		Key:    func(b []byte, i int) []byte { return c.key(b, deliveries[i]) },
		Answer: func(int, any) {},
	})
}
