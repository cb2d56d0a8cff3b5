package deliver

import (
	"hash/fnv"
	"time"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/deliver/recipient/address"
	"github.com/meddela/meddela/topology"
)

// ending is how a delivery ends, and why. The zero value is that it goes on.
type ending struct {
	status topology.Status
	reason topology.Reason
	detail string
}

func failure(reason topology.Reason, detail string) ending {
	return ending{topology.DeliveryError, reason, detail}
}

// expiry ends a job whose validity has ended: whether its message was sent
// before that is not known where it is ambiguous.
func expiry(ambiguous bool) ending {
	if ambiguous {
		return failure(topology.ReasonAmbiguous,
			"it may have been sent; its validity has ended since, so it is not sent again")
	}
	return ending{topology.Expired, topology.ReasonExpired, ""}
}

// beforeSending decides whether a claimed job ends without being sent.
func beforeSending(d *delivery, now time.Time) ending {
	ambiguous := d.claim != granted
	switch {
	case d.claim == leaseExpired && d.policy.HoldAmbiguous:
		return failure(topology.ReasonAmbiguous,
			"a deliverer died while it had this job, or Redis lost its claim: it may have been sent, and is not sent again")
	case d.job.Expired(now):
		return expiry(ambiguous)
	case d.unfit != (ending{}):
		return d.unfit
	case ambiguous && d.barred != (ending{}):
		return failure(topology.ReasonAmbiguous,
			"it may have been sent; it is "+string(d.barred.reason)+" since, so it is not sent again")
	}
	return d.barred
}

// readAddress reads where the message goes, in a region's numbers, or why it cannot go there.
func (d *delivery) readAddress(region string) {
	var wrong topology.Reason
	var detail string
	if d.to, wrong, detail = address.Read(d.job.Channel, d.job.To, region); wrong != topology.NoReason {
		d.unfit = ending{topology.Ignored, wrong, detail}
	}
}

// afterAnswer decides whether a provider's answer ends the delivery. If not,
// the message may be handed over again.
func afterAnswer(r *provider.Response, policy *Policy, ambiguous bool) ending {
	switch r.Verdict {
	case provider.Accepted:
		return ending{topology.Sent, topology.NoReason, r.Detail}
	case provider.Skipped:
		return ending{topology.Ignored, r.Reason, r.Detail}
	case provider.Rejected:
		return failure(topology.ReasonProviderRejected, r.Detail)
	case provider.Expired:
		return expiry(ambiguous)
	case provider.Unknown:
		if policy.HoldAmbiguous {
			return failure(topology.ReasonAmbiguous, r.Detail)
		}
	}
	return ending{}
}

// afterTries decides how a delivery ends that no other attempt follows, by the
// last answer.
func afterTries(last *provider.Response, ambiguous bool) ending {
	switch {
	case ambiguous:
		return failure(topology.ReasonAmbiguous, last.Detail)
	case last.Verdict == provider.Down:
		return failure(topology.ReasonProviderDown, last.Detail)
	}
	return failure(topology.ReasonRetriesExhausted, last.Detail)
}

// nextAttempt is when a job whose attempt failed for now at a time is to be
// attempted again, and whether it is at all: after the wait of its template, or
// else of the role, not before the provider wants it, and not when its validity
// will have ended.
func nextAttempt(d *delivery, failed time.Time, after time.Duration, retries []time.Duration) (time.Time, bool) {
	if d.policy.Retries != nil {
		retries = d.policy.Retries
	}
	if d.job.Attempt > len(retries) {
		return time.Time{}, false
	}
	due := failed.Add(max(spread(retries[d.job.Attempt-1], &d.job), after))
	return due, !d.job.Expired(due)
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
