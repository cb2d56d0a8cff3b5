package deliver

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/consumer/internal/script"
	"github.com/meddela/meddela/consumer/position"
	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/retry"
)

var (
	//go:embed recall.lua
	recallSource string
	recallScript = script.New(recallSource)
)

// clocksApart is by how much clocks of brokers, deliverers and Redis may differ.
const clocksApart = time.Minute

// Memory is since when Redis has the claims of jobs. A job that was wanted before that may
// have an outcome of which only the delivery log tells: it is looked up there before the
// job is sent. Handlers may share one.
type Memory struct {
	Redis      redis.UniversalClient
	Keys       topology.Keys
	KeepClaims time.Duration // as Config has it
	// Log gives what the delivery log's partition has been written since a time to handle.
	Log    func(ctx context.Context, partition int, since time.Time, handle func([]topology.Record) error) error
	Logger zerolog.Logger

	once       sync.Once
	keys       []string // of since when there are claims
	partitions sync.Map // int to *recalled
}

// recalled is what was looked up of a partition since Redis last lost claims: all that the
// log had from a time on. What was written later is in Redis anyway.
type recalled struct {
	sync.Mutex
	since, from time.Time
}

// start begins to ask since when Redis has claims, which is now if lost is 1, and returns
// what waits for it. Of the servers of a cluster, it is the one that knows least.
func (m *Memory) start(ctx context.Context, lost int) (wait func() (since time.Time, err error)) {
	m.once.Do(func() { m.keys = position.Spread(m.Redis, m.Keys.ClaimsSince) })
	var latest int64
	answered := recallScript.Start(ctx, m.Redis, &script.Batch{
		N: len(m.keys), Head: []any{lost}, Key: func(b []byte, i int) []byte { return append(b, m.keys[i]...) },
		Answer: func(_ int, answer any) {
			text, _ := answer.(string)
			at, _ := strconv.ParseInt(text, 10, 64)
			latest = max(latest, at)
		},
	})
	return func() (time.Time, error) {
		if err := answered(); err != nil {
			return time.Time{}, err
		}
		return time.UnixMilli(latest), nil
	}
}

// Lost notes that Redis has lost claims, but may not have lost all.
func (m *Memory) Lost(ctx context.Context) error {
	_, err := m.start(ctx, 1)()
	return err
}

// recall has Redis know again what the log tells of a partition's jobs that were wanted
// from a time on.
func (m *Memory) recall(ctx context.Context, partition int, since, wanted time.Time) error {
	of, _ := m.partitions.LoadOrStore(partition, new(recalled))
	r := of.(*recalled)
	for !r.TryLock() {
		if consumer.Alive(ctx); !retry.Sleep(ctx, minPoll) {
			return ctx.Err()
		}
	}
	defer r.Unlock()
	if r.since.Equal(since) && !r.from.After(wanted) {
		return nil
	}
	wanted = wanted.Add(-clocksApart) // so that other workers' jobs, a little older, want no reading of their own
	from, outcomes := wanted.Add(-clocksApart), 0
	if oldest := time.Now().Add(-m.KeepClaims); from.Before(oldest) {
		from = oldest
	}
	err := m.Log(ctx, partition, from, func(records []topology.Record) error {
		consumer.Alive(ctx)
		n, err := m.Restore(ctx, records)
		outcomes += n
		return err
	})
	if err != nil {
		return fmt.Errorf("what Redis lost of claims cannot be read from the delivery log: %w", err)
	}
	m.Logger.Info().Int("partition", partition).Time("from", from).Time("since", since).Int("outcomes", outcomes).
		Msg("Redis has claims only since then; earlier jobs' outcomes were read from the delivery log before any is sent")
	r.since, r.from = since, wanted
	return nil
}

// Restore records again the outcomes of jobs that entries of the delivery log tell of,
// where a Redis that lost something has none, and says how many that are.
func (m *Memory) Restore(ctx context.Context, log []topology.Record) (outcomes int, err error) {
	var deliveries []*delivery
	for i := range log {
		e, err := topology.DecodeEntry(log[i].Value)
		if err != nil || e.JobID == "" || !e.Status.Final() || time.Since(e.At) > m.KeepClaims {
			continue
		}
		d := &delivery{job: topology.Job{JobID: e.JobID, Attempt: e.Attempt}}
		d.outcome = newOutcome(&d.job, ending{e.Status, e.Reason, e.Detail}, e.At)
		d.outcome.template, d.outcome.provider = topology.TemplateRef(field(string(e.Template))), field(e.Provider)
		d.outcome.messageID = field(e.ProviderMessageID)
		deliveries = append(deliveries, d)
	}
	h := &Handler{config: Config{Redis: m.Redis, Keys: m.Keys, KeepClaims: m.KeepClaims}}
	return len(deliveries), h.record(ctx, deliveries)()
}

// claim is the second stage: it claims jobs. Where one is not answered, which on
// a cluster may be some, there is an error. A claim that its owner has already is
// granted again, so repeating is safe. Those that Redis may have lost are claimed
// once more when it knows what the log tells of them.
func (h *Handler) claim(ctx context.Context, owner string, deliveries []*delivery) error {
	claimed := h.startClaim(ctx, owner, deliveries)
	if h.config.Memory == nil {
		return claimed()
	}
	remembers := h.config.Memory.start(ctx, 0) // after the claims: what it answers is true of them
	unclaimed := claimed()
	since, err := remembers()
	list, wanted := doubtful(deliveries, since)
	if len(list) > 0 && err == nil {
		err = h.config.Memory.recall(ctx, list[0].record.Partition, since, wanted)
		if err == nil {
			err = h.startClaim(ctx, owner, list)()
		}
	}
	return cmp.Or(unclaimed, err)
}

// doubtful takes their answers from jobs that were claimed as if for the first time, or
// whose claim is lost, where Redis may have had claims, when they were wanted, that it has
// not now; or, where it is not known since when it has claims, from all of those. It
// returns when the first of them was wanted.
func doubtful(deliveries []*delivery, since time.Time) (list []*delivery, wanted time.Time) {
	for _, d := range deliveries {
		at := d.wantedAt()
		if d.claim != granted && d.claim != leaseExpired || !since.IsZero() && !at.Before(since.Add(clocksApart)) {
			continue
		}
		d.claim = unanswered
		if list = append(list, d); len(list) == 1 || at.Before(wanted) {
			wanted = at
		}
	}
	return list, wanted
}
