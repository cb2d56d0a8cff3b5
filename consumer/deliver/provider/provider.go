// Package provider is the contract between the deliver role and whatever hands
// its messages to the outside: what a provider is asked, and what it may answer.
package provider

import (
	"context"
	"time"

	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

// Provider hands messages of one channel to the outside. It is used by several goroutines at once.
type Provider interface {
	// Name is the provider's name in the delivery log.
	Name() string
	// Concurrency is how many messages may be with the provider at once, at least 1. It does not change.
	Concurrency() int
	// Send hands over a message and waits for the answer, or until ctx ends. It tries once. job.JobID is the idempotency
	// key: it is the same when a message is sent again. Send keeps neither job nor m.
	Send(ctx context.Context, job *topology.Job, m *template.Message) Response
}

// Instant is a Provider that answers some messages without waiting for
// anything, so that they need no goroutine and count for no concurrency.
type Instant interface {
	// Instant reports whether Send answers this job's message at once.
	Instant(job *topology.Job) bool
}

// Composite is a Provider that chooses among several for each message.
type Composite interface {
	// Names are those of the providers that it chooses among. They do not change.
	Names() []string
}

// Prober is a Provider that can say whether it would be let in.
type Prober interface {
	// Probe connects and logs in, sends no message, and returns Accepted, or what would have become of one.
	Probe(ctx context.Context) Response
}

// Closer is a Provider that keeps something open.
type Closer interface{ Close() }

// Response is a provider's answer.
type Response struct {
	Verdict Verdict
	// Reason of Skipped. Other verdicts have their own.
	Reason topology.Reason
	// Detail for people, without the recipient's address or anything of the message.
	Detail string
	// MessageID is how the provider knows an accepted message.
	MessageID string
	// RetryAfter is how long the provider asks to wait, with Failed and Down; 0 if it does not say.
	RetryAfter time.Duration
	// OfMessage says that a failure may be this message's, its recipient's or its
	// target's alone: it tells nothing of others, and opens no circuit.
	OfMessage bool
	// Late, with Unknown, is an answer that has not come in the time of one try, and may yet; nil if none will.
	Late Late
	// Provider is the name of the one that answered, where Send chooses among several; empty otherwise.
	Provider string
}

// Late is the answer for a message that the provider has, and that nobody must be handed again until it comes.
type Late interface {
	// Wait waits for it until ctx ends: Unknown then, or, where this process cannot
	// wait any longer, Unknown and Late. It is called once.
	Wait(ctx context.Context) Response
}

// Verdict is what a provider's answer means.
type Verdict int

const (
	// Failed means that the provider was reached and failed for now, and has not accepted the message.
	Failed Verdict = iota
	// Accepted means that the provider takes care of the message.
	Accepted
	// Skipped means that this recipient is not to be written to: the reason is ReasonInvalidAddress or ReasonSuppressed.
	Skipped
	// Rejected means that the provider will never take the message.
	Rejected
	// Down means that the provider could not be reached, or cannot work.
	Down
	// Unknown means that the provider may have accepted the message, or not.
	Unknown
	// Expired means that the job's validity ended before the message could be handed over.
	Expired
	// Throttled means that a limit did not let the message pass in time, so
	// that nothing was tried. It counts for no attempt.
	Throttled
)

var verdictWords = [...]string{
	Failed: "failed", Accepted: "accepted", Skipped: "skipped", Rejected: "rejected",
	Down: "down", Unknown: "unknown", Expired: "expired", Throttled: "throttled",
}

// Verdicts lists every verdict.
func Verdicts() []Verdict {
	all := make([]Verdict, len(verdictWords))
	for i := range all {
		all[i] = Verdict(i)
	}
	return all
}

// String is the word for the verdict, in configurations and metrics.
func (v Verdict) String() string { return verdictWords[v] }
