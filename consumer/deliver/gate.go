package deliver

import (
	"context"

	"github.com/meddela/meddela/consumer/deliver/recipient/suppress"
	"github.com/meddela/meddela/topology"
)

// Gate says who must not be written to, about all jobs of a claim at once. An
// error means that it cannot say now: then nothing is sent.
type Gate interface {
	Check(ctx context.Context, queries []suppress.Query) ([]suppress.Answer, error)
}

// ask is the third stage: it asks the gate about jobs that are about to be sent.
// A job that has been killed stays so, whatever the gate says.
func ask(ctx context.Context, gate Gate, attempts []attempt) error {
	if gate == nil || len(attempts) == 0 {
		return nil
	}
	queries := make([]suppress.Query, len(attempts))
	for i := range attempts {
		d := attempts[i].delivery
		queries[i] = suppress.Query{
			Channel: d.job.Channel, Address: d.job.To, Job: d.job.JobID, Urgent: d.policy.Urgent,
		}
	}
	answers, err := gate.Check(ctx, queries)
	if err != nil {
		return err
	}
	for i, answer := range answers {
		if a := &attempts[i]; a.barred == (ending{}) && answer.Reason != topology.NoReason {
			a.barred = ending{topology.Ignored, answer.Reason, answer.Detail}
		}
	}
	return nil
}
