package deliver

import (
	"time"

	"github.com/meddela/meddela/topology"
)

// due is when a job whose attempt failed for now at a time is to be attempted
// again, and whether it is at all.
func (h *Handler) due(job *topology.Job, failed time.Time) (due time.Time, more bool) {
	if job.Attempt > len(h.Retries) {
		return time.Time{}, false
	}
	return failed.Add(h.Retries[job.Attempt-1]), true
}

// retry is the job's next attempt, on its way to the delay topics. A repeated
// job makes the same one again, which its claim then recognizes.
func (d *batch) retry(t *task, o *outcome) (next topology.Record, more bool) {
	due, more := d.due(&t.job, o.at)
	if !more {
		return topology.Record{}, false
	}
	job := t.job
	job.Attempt++
	job.NotBefore = due
	return d.Names.Delayed(d.Lane, topology.Record{
		Topic:   d.Names.Jobs(d.Lane),
		Key:     []byte(job.EventID),
		Value:   job.Append(make([]byte, 0, len(job.Event)+512)),
		Headers: topology.JobHeaders(t.record.Headers, job.Channel),
	}, due, o.at), true
}
