package consumer

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	group  wire.Group
	is     atomic.Pointer[wire.Membership]
	seen   time.Time      // when the coordinator last said that we are a member
	counts map[string]int // of partitions, when the group was joined
	since  int32          // the generation in which partitions were last given
	work   []*assignment
}

func newMember(l *Loop) *member {
	m := &member{Loop: l, group: wire.Group{
		Name: l.config.Group, Instance: l.config.Instance,
		Addr: kafka.TCP(l.config.Brokers...), Transport: l.config.Transport,
	}}
	m.is.Store(new(wire.Membership))
	return m
}

// run is a member until ctx ends and what is fetched is finished.
func (m *member) run(ctx context.Context) error {
	var wait retry.Backoff
	var failures retry.Warner
	defer m.leave()
	for ctx.Err() == nil {
		assigned, err := m.join(ctx)
		if err == nil {
			m.seen = time.Now()
			err = m.change(ctx, assigned)
		}
		if errors.Is(err, kafka.FencedInstanceID) {
			m.lose()
			return fmt.Errorf("consumer group %s: another process has the name %q: give each its own: %w",
				m.config.Group, m.config.Instance, err)
		}
		if err == nil {
			wait.Reset()
			failures = retry.Warner{}
			continue
		}
		if m.isLost(err) {
			m.lose()
		}
		if ctx.Err() == nil && !errors.Is(err, kafka.RebalanceInProgress) {
			m.stats.joinFaults.Add(1)
			failures.Warn(func(n int) {
				m.log.Warn().Err(err).Int("times", n).Msg("cannot join the consumer group yet; trying on")
			})
			wait.Wait(ctx)
		}
	}
	return m.stay(ctx, nil)
}

// join joins the group and returns the partitions that are for this member.
func (m *member) join(ctx context.Context) (partitionsOf, error) {
	ctx, stop := after(ctx, context.Background(), joinTime) // only then is it known who is to leave
	defer stop()
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
	joined, err := m.group.Join(ctx, m.is.Load().Member, m.config.SessionTimeout, rebalanceTimeout, metadata)
	if errors.Is(err, kafka.MemberIDRequired) {
		m.is.Store(&wire.Membership{Member: joined.Member})
		joined, err = m.group.Join(ctx, joined.Member, m.config.SessionTimeout, rebalanceTimeout, metadata)
	}
	if err != nil {
		return nil, err
	}
	m.is.Store(&joined.Membership)
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
	return decodeAssigned(encoded)
}

// lead says who has what.
func (m *member) lead(others map[string][]byte) (map[string][]byte, error) {
	members := make(map[string]*said, len(others))
	for id, metadata := range others {
		s, err := decodeSaid(metadata)
		if err != nil {
			return nil, fmt.Errorf("member %s says what is not understood: %w", id, err)
		}
		members[id] = s
	}
	return encodeAll(assign(members, m.counts))
}

// change begins work on what is new, and gives up what is others'; then it stays until
// the group is to be joined anew.
func (m *member) change(ctx context.Context, assigned partitionsOf) error {
	owned := m.owned()
	gone := m.giveUp(drainTime, func(p *pipeline) bool { return !slices.Contains(assigned[string(p.topic)], p.partition) })
	fresh := make(partitionsOf)
	for topic, numbers := range assigned {
		for _, n := range numbers {
			if !slices.Contains(owned[topic], n) {
				fresh[topic] = append(fresh[topic], n)
			}
		}
	}
	if len(fresh) > 0 {
		committed, err := m.group.Committed(ctx, fresh)
		if err != nil {
			return err
		}
		m.since = m.is.Load().Generation
		m.work = append(m.work, m.begin(committed))
	}
	event := m.log.Info().Int32("generation", m.is.Load().Generation)
	for topic, numbers := range assigned {
		event = event.Int(topic, len(numbers))
	}
	event.Msg("partitions assigned")
	m.stats.joined.Store(true)
	return m.stay(ctx, gone)
}

// stay keeps the member's place, until what it gives up is given up, or the group is to be
// joined anew. When ctx ends it gives up everything, and returns when that is done.
func (m *member) stay(ctx context.Context, given <-chan struct{}) error {
	beats, looks := time.NewTicker(heartbeatInterval), time.NewTicker(watchInterval)
	defer beats.Stop()
	defer looks.Stop()
	stopping := ctx.Done()
	for {
		select {
		case <-stopping:
			m.stats.joined.Store(false)
			stopping, given = nil, m.giveUp(m.config.Grace, func(*pipeline) bool { return true })
			if given == nil {
				return nil
			}
		case <-given:
			m.work = slices.DeleteFunc(m.work, (*assignment).finished)
			return nil
		case <-looks.C:
			if given == nil && m.countsChanged(ctx) {
				return nil
			}
		case <-beats.C:
			err := m.group.Heartbeat(context.WithoutCancel(ctx), *m.is.Load())
			switch {
			case err == nil:
				m.seen = time.Now()
			case errors.Is(err, kafka.RebalanceInProgress):
				m.seen = time.Now()
				if given == nil {
					return nil
				}
			case m.isLost(err):
				return err
			}
		}
	}
}

// isLost reports whether others may have the partitions: after what the coordinator said, or
// where it has said nothing for the time of a session.
func (m *member) isLost(err error) bool {
	if errors.Is(err, kafka.UnknownMemberId) {
		m.is.Store(new(wire.Membership))
	}
	return isOver(err) || time.Since(m.seen) > m.config.SessionTimeout
}

// isOver reports whether the coordinator said that the membership has ended.
func isOver(err error) bool {
	return errors.Is(err, kafka.UnknownMemberId) || errors.Is(err, kafka.IllegalGeneration) ||
		errors.Is(err, kafka.FencedInstanceID)
}

// lose stops all work, of which nothing more is published or committed.
func (m *member) lose() {
	m.stats.joined.Store(false)
	if len(m.work) > 0 {
		m.log.Warn().Msg("the place in the consumer group is lost, and with it the partitions")
	}
	m.is.Store(&wire.Membership{Member: m.is.Load().Member})
	for _, a := range m.work {
		for _, p := range a.pipelines {
			p.stopWorking()
		}
	}
	for _, a := range m.work {
		<-a.done
	}
	m.work = nil
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
// fetched. What it returns is closed when that is done and committed; it is nil if there
// is nothing to give up.
func (m *member) giveUp(within time.Duration, which func(*pipeline) bool) <-chan struct{} {
	var of []*assignment
	var gone []*pipeline
	for _, a := range m.work {
		before := len(gone)
		for _, p := range a.pipelines {
			if !p.over() && which(p) {
				gone = append(gone, p)
				p.finish(within)
			}
		}
		if len(gone) > before {
			of = append(of, a)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	given := make(chan struct{})
	go func() {
		defer close(given)
		for _, p := range gone {
			<-p.ended
		}
		for _, a := range of {
			if a.finished() {
				<-a.done
				continue
			}
			a.commitNow()
			a.forget(gone)
		}
	}()
	return given
}

// countAll returns how many partitions each topic has.
func (m *member) countAll(ctx context.Context) (map[string]int, error) {
	counts := make(map[string]int)
	for _, topic := range m.config.Topics {
		ids, err := wire.LeadersOf(ctx, m.group.Addr, m.config.Transport, topic)
		if errors.As(err, new(*topology.NoTopicError)) && m.counts[string(topic)] > 0 {
			ids, err = make([]int, m.counts[string(topic)]), nil // deleted: nothing is gained by giving up the others
		}
		if err != nil {
			return nil, err
		}
		counts[string(topic)] = len(ids)
	}
	return counts, nil
}

// countsChanged reports whether a topic has other partitions than when the group was
// joined. One that is gone, or about which nobody answers, has not.
func (m *member) countsChanged(ctx context.Context) bool {
	for _, topic := range m.config.Topics {
		ids, err := wire.LeadersOf(ctx, m.group.Addr, m.config.Transport, topic)
		if err == nil && len(ids) != m.counts[string(topic)] {
			return true
		}
	}
	return false
}

// commit commits offsets of partitions that are ours.
func (m *member) commit(offsets map[string]map[int]int64) error {
	is := *m.is.Load()
	switch {
	case len(offsets) == 0:
		return nil
	case is.Generation == 0: // lost
		return kafka.IllegalGeneration
	}
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	err := m.group.Commit(ctx, is, offsets)
	if err != nil {
		m.stats.commitFaults.Add(1)
	}
	return err
}

// leave tells the coordinator that this member is gone, so that others have its
// partitions at once.
func (m *member) leave() {
	id := m.is.Load().Member
	if id == "" {
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
