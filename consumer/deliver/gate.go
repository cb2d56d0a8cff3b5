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

// ask asks the gate about tasks that are about to be sent, and notes what it
// says with each.
func (h *Handler) ask(ctx context.Context, tasks []*task) error {
	if h.Gate == nil || len(tasks) == 0 {
		return nil
	}
	queries := make([]suppress.Query, len(tasks))
	for i, t := range tasks {
		queries[i] = suppress.Query{Channel: t.job.Channel, Address: t.job.To, Job: t.job.JobID, Urgent: t.policy().Urgent}
	}
	answers, err := h.Gate.Check(ctx, queries)
	if err != nil {
		return err
	}
	for i, t := range tasks {
		t.barred = answers[i]
	}
	return nil
}

// isBarred tells whether the gate has said no.
func (t *task) isBarred() bool { return t.barred.Reason != topology.NoReason }
