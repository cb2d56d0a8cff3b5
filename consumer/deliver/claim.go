package deliver

import (
	"context"
	_ "embed"
	"strings"
	"time"

	"github.com/meddela/meddela/consumer/deliver/recipient/suppress"
	"github.com/meddela/meddela/consumer/internal/script"
)

// The scripts of the jobs' claims in Redis, by which of all deliverers one sends
// a job, once. Their user in Redis needs EVAL, EVALSHA, TIME, GET, SET and DEL.
var (
	//go:embed claim.lua
	claimSource string
	//go:embed settle.lua
	settleSource string
	//go:embed release.lua
	releaseSource string

	claimScript   = script.New(claimSource)
	settleScript  = script.New(settleSource)
	releaseScript = script.New(releaseSource)
)

// claimState is the answer to a claim.
type claimState int

const (
	unanswered   claimState = iota // what Redis did is not known
	granted                        // the job is the owner's until the lease ends
	leaseExpired                   // so too, and another owner, whose lease ended or whose claim is lost, may have sent it
	ambiguous                      // so too, and an earlier attempt may have been accepted
	leased                         // another owner has it
	settled                        // it has an outcome
	unreadable                     // its key holds something else
)

// startClaim begins to claim jobs, and returns what waits for the answers.
func (h *Handler) startClaim(ctx context.Context, owner string, deliveries []*delivery) (wait func() error) {
	for _, d := range deliveries {
		d.claim = unanswered
	}
	return claimScript.Start(ctx, h.config.Redis, &script.Batch{
		N:      len(deliveries),
		Head:   []any{owner, h.config.Lease.Milliseconds(), h.config.KeepClaims.Milliseconds()},
		Copies: h.config.ClaimReplicas,
		Key:    h.keysOf(deliveries),
		Args:   func(a *script.Args, i int) { a.Add(a.Int(int64(deliveries[i].job.Attempt))) },
		Answer: func(i int, answer any) { deliveries[i].claimed(answer) },
	})
}

// keysOf appends the keys of jobs' claims.
func (h *Handler) keysOf(deliveries []*delivery) func([]byte, int) []byte {
	return func(b []byte, i int) []byte { return append(b, h.config.Keys.Claim(deliveries[i].job.JobID)...) }
}

// claimed takes an answer of claim.lua.
func (d *delivery) claimed(answer any) {
	d.claim = unreadable
	switch a := answer.(type) {
	case string:
		if o, ok := parseOutcome(a); ok {
			d.claim, d.outcome = settled, o
		}
	case int64:
		switch {
		case a < 0:
			d.claim, d.left = leased, time.Duration(-a)*time.Millisecond
		case a == 0:
			d.claim = granted
		case a == 1:
			d.claim = leaseExpired
		case a == 3:
			d.claim = ambiguous
		}
	}
}

// record begins to record the outcomes of jobs that were claimed, and returns what
// waits for that. Where another deliverer has recorded one before, that is the job's
// outcome then. Those that are recorded are settled afterwards; with an error, some
// are not.
func (h *Handler) record(ctx context.Context, deliveries []*delivery) (wait func() error) {
	values := make([]byte, 0, len(deliveries)*outcomeBytes)
	return settleScript.Start(ctx, h.config.Redis, &script.Batch{
		N:    len(deliveries),
		Head: []any{h.config.KeepClaims.Milliseconds()},
		Key:  h.keysOf(deliveries),
		Args: func(a *script.Args, i int) {
			start, d := len(values), deliveries[i]
			if d.record != nil && !d.outcome.retry { // else it is of an earlier Handle, or of the log
				d.outcome.digest = h.digest(d)
			}
			values = d.outcome.append(values)
			a.Add(values[start:])
		},
		Answer: func(i int, answer any) {
			d := deliveries[i]
			d.settled = true
			if text, found := answer.(string); found {
				if o, ok := parseOutcome(text); ok {
					d.outcome, d.wait = o, nil
				}
			}
		},
	})
}

var unkeyed = suppress.NewHasher("")

// digest tells contents apart that came with one id: type, channel, recipient and ctx, byte
// by byte. Whoever reads Redis must not find out a code by trying all that there are. So it
// is keyed with the pepper; where there is none it has only 8 bits, which fit too many. The two are
// of different lengths, and are not compared with each other.
func (h *Handler) digest(d *delivery) string {
	hasher, length := unkeyed, 2
	if h.config.Hasher != nil {
		hasher, length = h.config.Hasher, 8
	}
	parts := []string{"content", d.job.Type, string(d.job.Channel), d.job.To, string(d.event.Ctx)}
	return string(hasher.Hash(strings.Join(parts, "\x00")))[:length]
}

// compare counts a job that was not sent because its id has an outcome already, of an event
// with other content.
func (h *Handler) compare(d *delivery) {
	was, is := d.first.outcome.digest, h.digest(d)
	if len(was) != len(is) || was == is {
		return
	}
	h.Counters.Conflicting.Add(1)
	line := h.conflicts.Warn().Str("event_id", string(d.job.EventID)).Str("source", string(d.job.Source))
	if d.first != d {
		line = line.Str("first_source", string(d.first.job.Source))
	}
	line.Msg("an event has the id of another with other content, and is not sent: ids must be unique over all sources")
}

// release gives up the claims of jobs for which nothing was begun.
func (h *Handler) release(ctx context.Context, owner string, deliveries []*delivery) error {
	return releaseScript.Run(ctx, h.config.Redis, &script.Batch{
		N: len(deliveries), Head: []any{owner}, Key: h.keysOf(deliveries), Answer: func(int, any) {},
	})
}
