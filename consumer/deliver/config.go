package deliver

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/meddela/meddela/consumer/control"
	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/deliver/recipient/quiet"
	"github.com/meddela/meddela/consumer/deliver/recipient/suppress"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/consumer/tracing"
	"github.com/meddela/meddela/topology"
)

// Config says what a Handler works with. Zero durations and counts are the
// defaults.
type Config struct {
	Lane  topology.Lane
	Names topology.Topics
	Keys  topology.Keys
	// Redis is a single server, Sentinel or a cluster.
	Redis     redis.UniversalClient
	Templates Templates
	// Providers by channel. A channel without one is not delivered.
	Providers map[topology.Channel]provider.Provider
	// Channel, if set, is the only one whose jobs are handled: those of others
	// are another Handler's, of another consumer group. Records that are no
	// jobs are Email's.
	Channel topology.Channel
	// Orders are the operators' that are in force. Default none.
	Orders func() *control.Orders
	// Region is the country whose phone numbers may come without its code. Default none.
	Region string
	// Gate says who must not be written to. Default nobody.
	Gate Gate
	// Hasher has the pepper, if there is one, with which contents of events are compared.
	Hasher *suppress.Hasher

	// SendTimeout bounds the sending of one job, with all its tries.
	// Default 10 s.
	SendTimeout time.Duration
	// Lease is how long a deliverer owns a job that it has claimed: longer
	// than SendTimeout by what recording the outcome may take. Default 15 s.
	Lease time.Duration
	// KeepClaims is how long a job's outcome is known: longer than its record
	// can be read. Default 8 days, one more than the jobs topic keeps.
	KeepClaims time.Duration
	// ClaimReplicas is how many replicas of Redis must have a claim before its job is
	// sent. Default 0.
	ClaimReplicas int
	// Memory says which jobs may have claims that Redis has lost. Default none has.
	Memory *Memory
	// Tries is how often a job is sent while the provider fails for now or is
	// down. Default 3.
	Tries int
	// TryAgainAfter is the time before the second try; each further one waits
	// twice as long. Default 250 ms.
	TryAgainAfter time.Duration
	// Retries are the times that a job waits, on a delay topic, before each
	// further attempt, when all tries of one have failed for now, unless its
	// template says otherwise. Default none: the first attempt is the last.
	Retries []time.Duration

	// Meter, if set, hears of every attempt.
	Meter Meter
	// Tracer traces jobs. Default none.
	Tracer *tracing.Tracer

	Log zerolog.Logger
	// Now is the clock of entries and of expiry. Default time.Now.
	Now func() time.Time
}

// Templates knows the versions of templates.
type Templates interface {
	// Template returns a version; nil if it is not known.
	Template(ref topology.TemplateRef) Template
	// CatchUp returns when everything that was published before the call is
	// known. Its error means that this cannot be found out now.
	CatchUp(ctx context.Context) error
	// Unreadable reports whether a version is published that cannot be read here.
	Unreadable(ref string) bool
}

// Template is one version of a template.
type Template interface {
	// Render makes the message for an event. Its error is a *template.Error.
	Render(event *topology.Event, language string) (template.Message, error)
	// Policy is what the version says of its delivery. It does not change.
	Policy() *Policy
}

// Policy is what a template says of its messages' delivery.
type Policy struct {
	// HoldAmbiguous says that a message that may have been sent is not sent
	// again, rather than perhaps twice.
	HoldAmbiguous bool
	// Urgent messages wait for no quiet hours, and count in no cap.
	Urgent bool
	// Retries are the waits before further attempts; nil for those of the
	// Config.
	Retries []time.Duration
	// Quiet are the hours of the recipient's day in which the message waits.
	Quiet quiet.Hours
}

// Gate says who must not be written to, about many jobs at once. An error means
// that it cannot say now: then nothing is sent.
type Gate interface {
	// Find begins to look up whom nobody must write to, along with what else Redis
	// is asked in that moment, and returns what waits for the answers.
	Find(ctx context.Context, queries []suppress.Query) (wait func() ([]suppress.Answer, error))
	// Admit counts jobs that are about to be sent, and says which are too many.
	Admit(ctx context.Context, queries []suppress.Query) ([]suppress.Answer, error)
}

// Counters are what a Handler counts.
type Counters struct {
	// Ambiguous messages: those that may have been sent, whether they are
	// then sent again or held.
	Ambiguous atomic.Int64
	// Duplicates are jobs that had an outcome, and were not sent.
	Duplicates atomic.Int64
	// Conflicting are those of them, and of repetitions within a batch, whose event is
	// another than the one that came to the outcome.
	Conflicting atomic.Int64
}

// Meter is told of every attempt. Several goroutines call it.
type Meter interface {
	Attempted(*Attempt)
}

// Attempt is one attempt at a job, which came to an outcome.
type Attempt struct {
	Number    int    // from 1
	Provider  string // empty where none was asked
	Status    topology.Status
	Reason    topology.Reason
	WillRetry bool // another attempt follows
	// Queued is from when the message was wanted to when the attempt began;
	// Sending is from then to the outcome.
	Queued, Sending time.Duration
}
