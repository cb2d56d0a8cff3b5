package consumer

import (
	"cmp"
	"context"
	"time"

	"github.com/rs/zerolog"
	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/retry"
	"github.com/meddela/meddela/topology/wire"
)

// Publisher writes a loop's outputs.
type Publisher interface {
	// Publish writes each record to its Topic at the partition number, those of
	// one topic in order, and returns when all replicas in sync have them. It
	// tries again for as long as ctx lasts, so that its only error is ctx's;
	// records that a topic will never take are left out, and their indexes
	// returned.
	Publish(ctx context.Context, partition int, records []topology.Record) (refused []int, err error)
}

// Positions notes how far a handler's work is, where that work is.
type Positions interface {
	// Begin is told of partitions that came to this member together, each with its committed
	// offset or a negative one, by topic. Until end is called, note is told, at least once in
	// ten seconds and before each commit, of what is handled since: up to which offsets, and
	// a negative one for a partition that is another member's now. Its error keeps that from
	// being committed for now.
	Begin(committed map[string][]kafka.PartitionAssignment) (note func(reached map[string]map[int]int64) error, end func())
}

// Config says what a Loop reads, and what it does with it. The zero value of
// the durations and sizes is their default.
type Config struct {
	Role      topology.Role
	Lane      topology.Lane
	Names     topology.Topics
	Topics    []topology.Topic
	Handler   Handler
	Publisher Publisher
	// Group that reads the topics. Default Names.Group(Role, Lane).
	Group string
	// Only, if it has a key, passes over the records whose header of that key
	// has another value. Records without the header are handled.
	Only topology.Header

	Brokers   []string
	Transport kafka.RoundTripper
	Log       zerolog.Logger

	// Parallel is how many batches of a partition are handled side by side, for
	// handlers that wait for something else than this machine. Their outputs are
	// published in any order, and committed in order. Default 1.
	Parallel int

	// Positions, if set, are noted before they are committed.
	Positions Positions

	// Reader fetches. Default one of its own, with DefaultInFlight.
	Reader *Reader
	// FetchBytes bounds a fetched batch; it is smaller when much is in flight.
	// Default 256 KiB.
	FetchBytes int
	// FetchWait is how long a fetch waits on an idle partition. Default 1 s.
	FetchWait time.Duration
	// CommitInterval is how often offsets are committed. Default 100 ms.
	CommitInterval time.Duration
	// SessionTimeout is how long a dead member keeps its partitions.
	// Default 10 s.
	SessionTimeout time.Duration
	// Instance, if set, is the name of this process beyond its life, which no other in the
	// group has: one that comes back under it within the session has its partitions
	// at once.
	Instance string
	// Grace is how long a stopped loop may take to finish what it has
	// fetched. Default 20 s.
	Grace time.Duration
}

const (
	heartbeatInterval = 500 * time.Millisecond
	// rebalanceTimeout is how long the others wait for a member that has to join anew: it
	// is longer than the work takes that goes to others.
	rebalanceTimeout = 30 * time.Second
	// drainTime is how long what was fetched may take before a partition goes to
	// another member.
	drainTime = 5 * time.Second
	// commitTime is how long a commit is tried before a partition goes to another member.
	commitTime = 2 * time.Second
	// requestTimeout is longer than a coordinator takes to give up on a commit
	// while one of its replicas is dead.
	requestTimeout = 10 * time.Second
	// joinTime is how long a stopped member waits for a join that is under way.
	joinTime = 2 * time.Second
	// leaveTimeout bounds the request by which a member says that it leaves.
	leaveTimeout = 2 * time.Second
	// watchInterval is how often new partitions are looked for.
	watchInterval = 5 * time.Second
	// lingerAfterLoss is how long a publication that is under way when a
	// partition is lost may take to be acknowledged.
	lingerAfterLoss = 2 * time.Second
)

func (c Config) withDefaults() Config {
	c.Group = cmp.Or(c.Group, c.Names.Group(c.Role, c.Lane))
	c.FetchBytes = cmp.Or(c.FetchBytes, 256<<10)
	if c.Reader == nil {
		c.Reader = NewReader(kafka.TCP(c.Brokers...), c.Transport, DefaultInFlight)
	}
	c.FetchWait = cmp.Or(c.FetchWait, time.Second)
	c.CommitInterval = cmp.Or(c.CommitInterval, 100*time.Millisecond)
	c.SessionTimeout = cmp.Or(c.SessionTimeout, 10*time.Second)
	c.Grace = cmp.Or(c.Grace, 20*time.Second)
	return c
}

// Loop is a member of a consumer group that runs one role.
type Loop struct {
	config     Config
	log        zerolog.Logger
	stats      Stats
	committing retry.Warner // keeps the log quiet while that fails
}

// New makes a Loop. It connects to nothing yet.
func New(config Config) *Loop {
	config = config.withDefaults()
	return &Loop{
		config: config,
		log: config.Log.With().Str("role", string(config.Role)).Str("lane", string(config.Lane)).Str("group",
			config.Group).Logger(),
	}
}

// Stats are the loop's counters, and how far it is behind.
func (l *Loop) Stats() *Stats { return &l.stats }

// Yielding reports whether the loop's Reader yields now.
func (l *Loop) Yielding() bool { return l.config.Reader.budget.yielding() }

// InFlight is how many bytes the loop's Reader has in flight.
func (l *Loop) InFlight() int64 { return l.config.Reader.InFlight() }

// Run handles records until ctx ends, then finishes what is fetched, publishes
// it, commits, and leaves the group. Servers being away is not an error: Run
// waits for them. Its error is of the configuration.
func (l *Loop) Run(ctx context.Context) error {
	if !l.awaitTopics(ctx) {
		return nil
	}
	return newMember(l).run(ctx)
}

// Group is the consumer group that the loop is a member of.
func (l *Loop) Group() string { return l.config.Group }

// awaitTopics waits until all of the loop's topics exist: a group that reads a
// missing topic would rebalance without end. It reports false when ctx ends
// first.
func (l *Loop) awaitTopics(ctx context.Context) bool {
	addr := kafka.TCP(l.config.Brokers...)
	return retry.Until(ctx, func() error {
		for _, t := range l.config.Topics {
			if _, err := wire.LeadersOf(ctx, addr, l.config.Transport, t); err != nil {
				return err
			}
		}
		return nil
	}, func(err error, n int) {
		l.log.Warn().Err(err).Int("times", n).Msg("the topics are not there yet; trying on")
	})
}
