package consumer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
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
	// Begin is told of a generation's partitions, each with its committed offset or a
	// negative one, by topic. Until end is called, note is told, at least once in ten
	// seconds and before each commit, of what is handled since: up to which offsets. Its
	// error keeps that from being committed for now.
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
	Dialer    *kafka.Dialer
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
	// Grace is how long a stopped loop may take to finish what it has
	// fetched. Default 20 s.
	Grace time.Duration
}

const (
	heartbeatInterval = 500 * time.Millisecond
	joinBackoff       = 500 * time.Millisecond
	// requestTimeout is longer than a coordinator takes to give up on a commit
	// while one of its replicas is dead, which would else end the generation.
	requestTimeout = 10 * time.Second
	// joinTime is how long a stopped member waits for a join that is under way.
	joinTime = 2 * time.Second
	// patience is how many failed joins in a row are taken from one list of
	// brokers before another of them is asked first.
	patience = 3
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
	config Config
	log    zerolog.Logger
	stats  Stats
	// joining and committing keep the log quiet while that fails.
	joining, committing retry.Warner
	// leaving are the goroutines of abandon.
	leaving sync.WaitGroup
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
	defer l.leaving.Wait()
	brokers := slices.Clone(l.config.Brokers)
	for ctx.Err() == nil {
		if !l.awaitTopics(ctx) {
			return nil
		}
		group, err := kafka.NewConsumerGroup(l.groupConfig(brokers))
		if err != nil {
			return fmt.Errorf("consumer group %s: %w", l.config.Group, err)
		}
		m := &membership{group: group}
		l.follow(ctx, m)
		l.leave(m)
		// The client asks its brokers in order, and waits long for one that
		// hangs: begin with another.
		brokers = append(brokers[1:], brokers[0])
	}
	return nil
}

// follow runs the group's generations until ctx ends or joining has failed
// several times in a row. A join that is under way when ctx ends is waited for:
// only then is it known which member is to leave.
func (l *Loop) follow(ctx context.Context, m *membership) {
	joining, stop := after(ctx, context.Background(), joinTime)
	defer stop()
	for failures := 0; failures < patience; {
		generation, err := m.group.Next(joining)
		switch {
		case err == nil:
			failures = 0
			l.joining = retry.Warner{}
			m.id = generation.MemberID
			if ctx.Err() == nil {
				l.runGeneration(ctx, m, generation)
			}
		case errors.Is(err, kafka.RebalanceInProgress):
			continue
		default:
			failures++
			l.stats.joinFaults.Add(1)
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			l.abandon(ctx, m)
			l.joining.Warn(func(n int) {
				l.log.Warn().Err(err).Int("times", n).Msg("cannot join the consumer group yet; trying on")
			})
		}
	}
}

func (l *Loop) groupConfig(brokers []string) kafka.ConsumerGroupConfig {
	topics := make([]string, len(l.config.Topics))
	for i, t := range l.config.Topics {
		topics[i] = string(t)
	}
	return kafka.ConsumerGroupConfig{
		ID:                l.config.Group,
		Brokers:           brokers,
		Dialer:            l.config.Dialer,
		Topics:            topics,
		GroupBalancers:    []kafka.GroupBalancer{kafka.RangeGroupBalancer{}},
		HeartbeatInterval: heartbeatInterval,
		SessionTimeout:    l.config.SessionTimeout,
		Timeout:           requestTimeout,
		RebalanceTimeout:  l.config.SessionTimeout,
		JoinGroupBackoff:  joinBackoff,
		StartOffset:       kafka.FirstOffset,
	}
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
