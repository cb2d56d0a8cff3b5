package deliver

import (
	"hash/fnv"
	"time"

	"github.com/meddela/meddela/topology"
)

// due is when a job whose attempt failed for now at a time is to be attempted
// again, and whether it is at all: not before the provider wants it, and not
// when its validity will have ended.
func (h *Handler) due(t *task, failed time.Time, after time.Duration) (due time.Time, more bool) {
	wait, more := h.retryWait(t)
	if !more {
		return time.Time{}, false
	}
	due = failed.Add(max(wait, after))
	return due, t.job.Expires.IsZero() || due.Before(t.job.Expires)
}

func (h *Handler) retryWait(t *task) (wait time.Duration, more bool) {
	waits := t.policy().Retries
	if waits == nil {
		waits = h.Retries
	}
	if t.job.Attempt > len(waits) {
		return 0, false
	}
	return spread(waits[t.job.Attempt-1], &t.job), true
}

// spread lengthens a wait by up to a fifth, so that jobs that failed together do
// not all come back together: by a hash of job and attempt, so that a job that
// is read twice waits equally long.
func spread(wait time.Duration, job *topology.Job) time.Duration {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(job.JobID))
	_, _ = hash.Write([]byte{byte(job.Attempt)})
	const steps = 1 << 10
	return wait + wait/5*time.Duration(hash.Sum32()%steps)/steps
}

// retry is the job's next attempt, on its way to the delay topics. A repeated
// job makes the same one again, which its claim then recognizes.
func (d *batch) retry(t *task, o *outcome) topology.Record {
	job := t.job
	job.Attempt++
	job.NotBefore = o.due
	return d.Names.Delayed(d.Lane, topology.Record{
		Topic:   d.Names.Jobs(d.Lane),
		Key:     []byte(job.EventID),
		Value:   job.Append(make([]byte, 0, len(job.Event)+512)),
		Headers: t.span.Carry(topology.JobHeaders(t.record.Headers, job.Channel)),
	}, o.due, o.at)
}
