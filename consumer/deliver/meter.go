package deliver

import (
	"sync/atomic"
	"time"

	"github.com/meddela/meddela/topology"
)

// Counters are what a Handler counts.
type Counters struct {
	// Ambiguous messages: those that may have been sent, whether they are
	// then sent again or held.
	Ambiguous atomic.Int64
	// Duplicates are jobs that had an outcome, and were not sent.
	Duplicates atomic.Int64
}

// Meter is told of every attempt. Several goroutines call it.
type Meter interface {
	Attempted(*Attempt)
}

// Attempt is one attempt at a job, which came to an outcome.
type Attempt struct {
	Number   int // from 1
	Template topology.TemplateRef
	Provider string // empty where none was asked
	Status   topology.Status
	Reason   topology.Reason
	// WillRetry says that another attempt follows.
	WillRetry bool
	// Queued is from when the message was wanted to when the attempt began;
	// Sending is from then to the outcome.
	Queued, Sending time.Duration
}

// wantedAt is when a job's message was wanted: when its event was received, or
// was due, or had waited as it was to. A retry is late all the same.
func (d *delivery) wantedAt() time.Time {
	wanted := later(d.job.ReceivedAt, d.job.NotBefore)
	if d.job.Attempt == 1 {
		wanted = later(wanted, topology.HeldUntil(d.record))
	}
	return wanted
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
