package consumer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/retry"
	"github.com/meddela/meddela/topology/wire"
)

// member is a loop's place in its consumer group. What stays with it when the group
// is shared out anew is worked on all the while; what goes to others is finished,
// committed and given up before they have it. A coordinator that moves, or is away for less
// than a session, is waited for, with the work going on.
type member struct {
	*Loop
	group wire.Group
	is    atomic.Pointer[standing]
	// joining tells beat that the generation may change any moment; again is told that
	// the group is to be joined anew.
	joining atomic.Bool
	again   chan struct{}

	// Of the goroutine of run.
	tried  bool           // to join
	counts map[string]int // of partitions, when the group was joined
	since  int32          // the generation in which partitions were last given; 0 for none
	work   []*assignment
	given  chan struct{} // closed when what is being given up is given up; nil if there is nothing
}

// standing is what the coordinator knows a member as. It is lost when held ends, with the
// cause.
type standing struct {
	wire.Membership
	seen *atomic.Int64 // when the coordinator last said so, in ns since 1970
	held context.Context
	lose context.CancelCauseFunc
}

var errSilent = errors.New("the coordinator has not answered for the time of a session")

func newMember(l *Loop) *member {
	m := &member{Loop: l, again: make(chan struct{}, 1), group: wire.Group{
		Name: l.config.Group, Instance: l.config.Instance,
		Addr: kafka.TCP(l.config.Brokers...), Transport: l.config.Transport,
	}}
	m.outside("")
	return m
}

// outside makes m no member, with the name that the coordinator may know.
func (m *member) outside(name string) {
	held, lose := context.WithCancelCause(context.Background())
	m.is.Store(&standing{wire.Membership{Member: name}, new(atomic.Int64), held, lose})
}

// run is a member until ctx ends and what is fetched is finished.
func (m *member) run(ctx context.Context) error {
	beating, stop := context.WithCancel(context.Background())
	var beats sync.WaitGroup
	beats.Go(func() { m.beat(beating) })
	defer beats.Wait()
	defer stop()
	defer m.leave()
	var wait retry.Backoff
	var failures retry.Warner
	for ctx.Err() == nil {
		assigned, err := m.join(ctx)
		if err == nil {
			err = m.change(ctx, assigned)
		}
		if err == nil {
			err = m.stay(ctx)
			wait.Reset()
			failures = retry.Warner{}
		}
		if cause := context.Cause(m.is.Load().held); cause != nil {
			m.lose(cause)
			err = cause
		}
		switch {
		case errors.Is(err, kafka.FencedInstanceID):
			m.lose(err)
			return fmt.Errorf("consumer group %s: another process has the name %q: give each its own: %w",
				m.config.Group, m.config.Instance, err)
		case errors.Is(err, kafka.UnknownMemberId):
			m.lose(err)
		case err == nil, errors.Is(err, kafka.RebalanceInProgress), ctx.Err() != nil:
			continue
		}
		m.stats.joinFaults.Add(1)
		failures.Warn(func(n int) {
			m.log.Warn().Err(err).Int("times", n).Msg("cannot join the consumer group yet; trying on")
		})
		wait.Wait(ctx)
	}
	m.stats.joined.Store(false)
	m.giveUp(m.config.Grace, func(*pipeline) bool { return true })
	for _, a := range m.work { // also what ended by itself commits what it did
		select {
		case <-a.done:
		case <-m.is.Load().held.Done():
			m.lose(context.Cause(m.is.Load().held)) // which waits for all
			return nil
		}
	}
	return nil
}

// beat tells the coordinator, until ctx ends, that the member is there. It sees to it that
// the group is joined anew when the coordinator says so, and that the place is lost when that
// says so, or has said nothing for the time of a session.
func (m *member) beat(ctx context.Context) {
	for retry.Sleep(ctx, heartbeatInterval) {
		is, at := m.is.Load(), time.Now()
		if is.Generation == 0 {
			continue
		}
		err := m.group.Heartbeat(ctx, is.Membership)
		joining := m.joining.Load() // first: a join that is over has changed m.is before
		switch {
		case m.is.Load() != is: // that was about another generation
		case err == nil, errors.Is(err, kafka.IllegalGeneration) && joining:
			is.seen.Store(at.UnixNano())
		case errors.Is(err, kafka.RebalanceInProgress):
			is.seen.Store(at.UnixNano())
			if !joining {
				m.joinAgain()
			}
		case errors.Is(err, kafka.UnknownMemberId), errors.Is(err, kafka.IllegalGeneration),
			errors.Is(err, kafka.FencedInstanceID):
			is.lose(err)
		case time.Since(time.Unix(0, is.seen.Load())) > m.config.SessionTimeout:
			is.lose(errSilent)
		}
	}
}

// join joins the group and returns the partitions that are for this member.
func (m *member) join(ctx context.Context) (partitionsOf, error) {
	m.joining.Store(true) // until one succeeds: of one that fails the coordinator may have heard
	within := joinTime    // for it to be known who is to leave
	if len(m.work) > 0 {
		within = m.config.Grace // and which generation is to commit what is finished meanwhile
	}
	ctx, stop := retry.After(ctx, context.Background(), within)
	defer stop()
	defer context.AfterFunc(m.is.Load().held, stop)()
	counts, err := m.countAll(ctx)
	if err != nil {
		return nil, err
	}
	m.counts = counts
	mine := said{Owned: m.owned(), Since: m.since, Counts: counts}
	for _, topic := range m.config.Topics {
		mine.Topics = append(mine.Topics, string(topic))
	}
	metadata, err := mine.encode()
	if err != nil {
		return nil, err
	}
	m.tried = true
	rebalance := max(rebalanceTimeout, m.config.Grace+requestTimeout)
	joined, err := m.group.Join(ctx, m.is.Load().Member, m.config.SessionTimeout, rebalance, metadata)
	if errors.Is(err, kafka.MemberIDRequired) {
		m.outside(joined.Member)
		joined, err = m.group.Join(ctx, joined.Member, m.config.SessionTimeout, rebalance, metadata)
	}
	if err != nil {
		return nil, err
	}
	now := *m.is.Load()
	now.Membership = joined.Membership
	now.seen.Store(time.Now().UnixNano())
	m.is.Store(&now)
	var made map[string][]byte
	if joined.Leads {
		if made, err = m.lead(joined.Members); err != nil {
			return nil, err
		}
	}
	encoded, err := m.group.Sync(ctx, joined.Membership, made)
	if err != nil {
		return nil, err
	}
	select { // what was said before is done
	case <-m.again:
	default:
	}
	m.joining.Store(false)
	assigned, err := decodeAssigned(encoded)
	maps.DeleteFunc(assigned, func(topic string, _ []int) bool { return counts[topic] == 0 }) // no topic of ours
	return assigned, err
}

// lead says who has what. Who says what is not understood gets nothing.
func (m *member) lead(others map[string][]byte) (map[string][]byte, error) {
	members, counts := make(map[string]*said, len(others)), maps.Clone(m.counts)
	for id, metadata := range others {
		var err error
		if members[id], err = decodeSaid(metadata); err != nil {
			m.log.Warn().Err(err).Str("member", id).Msg("a member of the consumer group cannot be understood; it gets nothing")
		}
		for topic, n := range members[id].Counts {
			counts[topic] = max(counts[topic], n)
		}
	}
	return encodeAll(assign(members, counts))
}

// change begins work on what is new, and begins to give up what is others'.
func (m *member) change(ctx context.Context, assigned partitionsOf) error {
	owned, fresh := m.owned(), make(partitionsOf)
	for topic, numbers := range assigned {
		for _, n := range numbers {
			if !slices.Contains(owned[topic], n) {
				fresh[topic] = append(fresh[topic], n)
			}
		}
	}
	first, is := m.since == 0, m.is.Load()
	if len(fresh) > 0 {
		committed, err := m.group.Committed(ctx, fresh)
		if err != nil {
			return err
		}
		m.work = append(m.work, m.begin(ctx, is.held, committed))
	}
	if first || len(fresh) > 0 {
		m.since = is.Generation
	}
	m.giveUp(drainTime, func(p *pipeline) bool { return !slices.Contains(assigned[string(p.topic)], p.partition) })
	event := m.log.Info().Int32("generation", is.Generation)
	for topic, numbers := range assigned {
		event = event.Int(topic, len(numbers))
	}
	event.Msg("partitions assigned")
	m.stats.joined.Store(true)
	if first && m.config.Instance != "" {
		// Who comes back under a name is answered without the group being shared out: what
		// its predecessor was giving up would be nobody's.
		m.joinAgain()
	}
	return nil
}

func (m *member) joinAgain() {
	select {
	case m.again <- struct{}{}:
	default: // it is known
	}
}

// stay returns when the group is to be joined anew, which is after what is to be given up is
// given up, or when ctx ends or the place is lost.
func (m *member) stay(ctx context.Context) error {
	looks := time.NewTicker(watchInterval)
	defer looks.Stop()
	again := m.again
	if m.given != nil {
		again = nil
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-m.is.Load().held.Done():
			return nil
		case <-again:
			return nil
		case <-m.given:
			m.given = nil
			m.work = slices.DeleteFunc(m.work, func(a *assignment) bool { return isClosed(a.done) })
			return nil
		case <-looks.C:
			if m.given == nil && m.countsChanged(ctx) {
				return nil
			}
		}
	}
}

// lose stops all work, of which nothing more is published or committed.
func (m *member) lose(cause error) {
	m.stats.joined.Store(false)
	if len(m.work) > 0 {
		m.log.Warn().Err(cause).Msg("the place in the consumer group is lost, and with it the partitions")
	}
	is := m.is.Load()
	is.lose(cause)
	for _, a := range m.work {
		for _, p := range a.pipelines {
			p.stopWorking()
		}
	}
	for _, a := range m.work {
		<-a.done
	}
	m.work, m.given, m.since = nil, nil, 0
	if errors.Is(cause, kafka.UnknownMemberId) || errors.Is(cause, kafka.FencedInstanceID) {
		is, m.tried = new(standing), false
	}
	m.outside(is.Member)
}

// owned are the partitions that are worked on.
func (m *member) owned() partitionsOf {
	owned := make(partitionsOf)
	for _, a := range m.work {
		for _, p := range a.pipelines {
			if !p.over() {
				owned[string(p.topic)] = append(owned[string(p.topic)], p.partition)
			}
		}
	}
	return owned
}

// giveUp ends the work on some partitions, which has so much time to finish what was
// fetched. m.given is closed when that, and what was being given up before, is done and
// committed.
func (m *member) giveUp(within time.Duration, which func(*pipeline) bool) {
	gone := make(map[*assignment][]*pipeline)
	for _, a := range m.work {
		for _, p := range a.pipelines {
			if !p.over() && which(p) {
				gone[a] = append(gone[a], p)
				p.finish(within)
			}
		}
	}
	if len(gone) == 0 {
		return
	}
	before, given := m.given, make(chan struct{})
	m.given = given
	go func() {
		defer close(given)
		var all sync.WaitGroup
		for a, pipelines := range gone {
			all.Go(func() { a.giveUp(pipelines) })
		}
		all.Wait()
		if before != nil {
			<-before
		}
	}()
}

// countAll returns how many partitions each topic has.
func (m *member) countAll(ctx context.Context) (map[string]int, error) {
	counts := make(map[string]int)
	for _, topic := range m.config.Topics {
		ids, err := wire.LeadersOf(ctx, m.group.Addr, m.config.Transport, topic)
		if before := m.counts[string(topic)]; before > 0 && errors.As(err, new(*topology.NoTopicError)) {
			ids, err = make([]int, before), nil // deleted: nothing is gained by giving up the others
		}
		if err != nil {
			return nil, err
		}
		counts[string(topic)] = len(ids)
	}
	return counts, nil
}

// countsChanged reports whether a topic has other partitions than when the group was
// joined. One that is gone, or about which nobody answers soon, has not.
func (m *member) countsChanged(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, joinTime)
	defer cancel()
	counts, err := m.countAll(ctx)
	return err == nil && !maps.Equal(counts, m.counts)
}

// leave tells the coordinator that this member is gone, so that others have its
// partitions at once: by its name, where a join was not answered.
func (m *member) leave() {
	id := m.is.Load().Member
	if id == "" && (m.config.Instance == "" || !m.tried) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
	defer cancel()
	err := m.group.Leave(ctx, id)
	for wait := (retry.Backoff{}); err != nil && wait.Wait(ctx); err = m.group.Leave(ctx, id) {
		retry.Reconnect(m.config.Transport)
	}
	if err != nil {
		m.log.Warn().Err(err).Msg("leaving the consumer group failed; its session will run out")
	}
}
