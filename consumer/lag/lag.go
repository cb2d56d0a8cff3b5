// Package lag measures from outside how far each role is behind. What it says is
// right also of roles that do not run.
package lag

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/describegroups"
	"golang.org/x/sync/errgroup"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/retry"
	"github.com/meddela/meddela/topology/wire"
)

// Gauge measures the groups of an installation.
type Gauge struct {
	Addr      net.Addr
	Transport kafka.RoundTripper
	Names     topology.Topics
	Lanes     []topology.Lane
	Roles     []topology.Role
	Channels  []topology.Channel // whose deliverers are measured
	Timeless  bool               // for how long records have waited is not measured
}

// Report is how everything was at one moment.
type Report struct {
	At     time.Time
	Groups []Group
	// Brokers are those that are there. UnderReplicated partitions have fewer replicas in
	// sync than they should, Offline ones no leader: they cannot be read or
	// written.
	Brokers, UnderReplicated, Offline int
}

// Group is one role's consumer group on one lane.
type Group struct {
	Name    string
	Lane    topology.Lane
	Role    topology.Role
	Channel topology.Channel // of a deliverer; else empty

	Members    int // the processes that share the work
	Partitions []Partition
	Err        error // why the group could not be measured
}

// Partition is one that a group reads.
type Partition struct {
	Topic topology.Topic
	ID    int
	// First is that of the first record there is, asked for before the commits.
	First int64
	// Committed is the offset up to which the group is done; End is that after
	// the last record. Committed is -1 before the first commit.
	Committed, End int64
	// Lag is how many records are not done with: those that wait as they are to,
	// on delay topics, included.
	Lag int64
	// Oldest is since when the oldest of them has waited: since it was written,
	// or since it was due. Zero if none waits for the role, or that is not known.
	Oldest time.Time

	id string // of the topic
}

// Lag is how many records the group has not done with.
func (g *Group) Lag() (records int64) {
	for i := range g.Partitions {
		records += g.Partitions[i].Lag
	}
	return records
}

// Runs reports whether the group has ever done anything: no process may deliver a channel that is not used.
func (g *Group) Runs() bool {
	return g.Members > 0 || slices.ContainsFunc(g.Partitions, func(p Partition) bool { return p.Committed >= 0 })
}

// Committed are the offsets that the group has committed.
func (g *Group) Committed() map[string][]kafka.PartitionAssignment {
	all := make(map[string][]kafka.PartitionAssignment)
	for i := range g.Partitions {
		p := &g.Partitions[i]
		of := kafka.PartitionAssignment{ID: p.ID, Offset: p.Committed}
		all[string(p.Topic)] = append(all[string(p.Topic)], of)
	}
	return all
}

// Oldest is since when the oldest record of all has waited; zero if none does.
func (g *Group) Oldest() (oldest time.Time) {
	for i := range g.Partitions {
		if at := g.Partitions[i].Oldest; !at.IsZero() && (oldest.IsZero() || at.Before(oldest)) {
			oldest = at
		}
	}
	return oldest
}

// requestTime bounds one request; atOnce is how many there are at a time.
const (
	requestTime = 10 * time.Second
	atOnce      = 8
)

// Measure measures all groups. Its error is of the cluster; what is wrong with a
// single group is in the Report.
func (g *Gauge) Measure(ctx context.Context) (*Report, error) {
	report := &Report{At: time.Now(), Groups: g.groups()}
	bounds, err := g.bounds(ctx, report)
	if err != nil {
		return nil, err
	}
	var all errgroup.Group
	all.SetLimit(atOnce)
	for i := range report.Groups {
		all.Go(func() error {
			group := &report.Groups[i]
			group.Err = g.retry(ctx, group, bounds)
			return nil
		})
	}
	_ = all.Wait()
	if !g.Timeless {
		g.readOldest(ctx, report)
	}
	return report, nil
}

// groups are those to measure.
func (g *Gauge) groups() (groups []Group) {
	for _, lane := range g.Lanes {
		for _, role := range g.Roles {
			if role != topology.RoleDeliver {
				groups = append(groups, Group{Name: g.Names.Group(role, lane), Lane: lane, Role: role})
				continue
			}
			for _, c := range g.Channels {
				groups = append(groups, Group{Name: g.Names.DeliverGroup(lane, c), Lane: lane, Role: role, Channel: c})
			}
		}
	}
	return groups
}

// bounds are the first offset of each partition, and that after its last; by topic, of which topics knows the ids.
type bounds struct {
	of     map[topology.Topic][]kafka.PartitionOffsets
	topics wire.Leaders
}

// bounds asks for those of every topic that a group of the report reads, and
// notes how the cluster is.
func (g *Gauge) bounds(ctx context.Context, report *Report) (*bounds, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	var names []string
	for i := range report.Groups {
		for _, topic := range g.Names.Reads(report.Groups[i].Role, report.Groups[i].Lane) {
			if !slices.Contains(names, string(topic)) {
				names = append(names, string(topic))
			}
		}
	}
	metadata, err := g.client().Metadata(ctx, &kafka.MetadataRequest{Topics: names})
	if err != nil {
		return nil, fmt.Errorf("the cluster's metadata: %w", err)
	}
	report.Brokers = len(metadata.Brokers)
	asked := make(map[string][]kafka.OffsetRequest)
	for _, topic := range metadata.Topics {
		for _, p := range topic.Partitions {
			switch {
			case errors.Is(p.Error, kafka.LeaderNotAvailable):
				report.Offline++
				continue
			case len(p.Isr) < len(p.Replicas):
				report.UnderReplicated++
			}
			asked[topic.Name] = append(asked[topic.Name], kafka.FirstOffsetOf(p.ID), kafka.LastOffsetOf(p.ID))
		}
	}
	answer, err := g.client().ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: asked,
		IsolationLevel: kafka.ReadCommitted})
	if err != nil {
		return nil, fmt.Errorf("the topics' offsets: %w", err)
	}
	all := &bounds{make(map[topology.Topic][]kafka.PartitionOffsets), wire.Leaders{Addr: g.Addr, Transport: g.Transport}}
	for name, partitions := range answer.Topics {
		slices.SortFunc(partitions, func(a, b kafka.PartitionOffsets) int { return a.Partition - b.Partition })
		all.of[topology.Topic(name)] = partitions
	}
	return all, nil
}

const (
	// settleTime is how long the cluster may take to say who coordinates a group,
	// which it does not know while it starts.
	settleTime = 5 * time.Second
	settleWait = 250 * time.Millisecond
)

// retry measures a group, again while the cluster is settling.
func (g *Gauge) retry(ctx context.Context, group *Group, all *bounds) error {
	for end := time.Now().Add(settleTime); ; {
		err := g.measure(ctx, group, all)
		answer, _ := errors.AsType[kafka.Error](err) // else one that is not temporary
		if !answer.Temporary() || time.Now().After(end) || !retry.Sleep(ctx, settleWait) {
			return err
		}
	}
}

// measure asks for a group's members and commits.
func (g *Gauge) measure(ctx context.Context, group *Group, all *bounds) error {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	// The client's own call does not take members that say what it cannot read.
	described, err := g.Transport.RoundTrip(ctx, g.Addr, &describegroups.Request{Groups: []string{group.Name}})
	if err != nil {
		return fmt.Errorf("members of group %s: %w", group.Name, err)
	}
	group.Members, group.Partitions = 0, nil
	for _, d := range described.(*describegroups.Response).Groups {
		// One that does not exist has no members, whatever the broker calls that.
		if err := kafka.Error(d.ErrorCode); err != 0 && err != kafka.GroupIdNotFound {
			return fmt.Errorf("members of group %s: %w", group.Name, err)
		}
		group.Members += len(d.Members)
	}
	topics, asked := g.Names.Reads(group.Role, group.Lane), make(map[string][]int)
	for _, topic := range topics {
		for _, b := range all.of[topic] {
			asked[string(topic)] = append(asked[string(topic)], b.Partition)
		}
	}
	commits, err := g.Committed(ctx, group.Name, asked)
	if err != nil {
		return err
	}
	for _, topic := range topics {
		if len(all.of[topic]) == 0 {
			continue
		}
		id, err := all.topics.ID(ctx, topic)
		if err != nil { // so that it is not known which commits are of it
			return fmt.Errorf("the id of topic %s: %w", topic, err)
		}
		for _, b := range all.of[topic] {
			if b.Error != nil {
				continue // a new leader is being chosen
			}
			p := Partition{Topic: topic, ID: b.Partition, First: b.FirstOffset, Committed: -1, End: b.LastOffset, id: id}
			for _, c := range commits[string(topic)] {
				of := wire.MarkOf(c.Metadata).ID
				if c.Partition == b.Partition && c.Error == nil && (of == id || of == "" || id == "") {
					p.Committed = max(c.CommittedOffset, -1)
				}
			}
			p.Lag = max(p.End-max(p.Committed, b.FirstOffset), 0)
			group.Partitions = append(group.Partitions, p)
		}
	}
	return nil
}

// Committed is what a group has committed of partitions by topic: -1 where it has not.
func (g *Gauge) Committed(ctx context.Context, group string, asked map[string][]int) (
	map[string][]kafka.OffsetFetchPartition, error) {
	commits, err := g.client().OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: group, Topics: asked})
	if err == nil && !errors.Is(commits.Error, kafka.GroupIdNotFound) { // which has committed nothing
		err = commits.Error
	}
	if err != nil {
		return nil, fmt.Errorf("commits of group %s: %w", group, err)
	}
	for _, partitions := range commits.Topics {
		slices.SortFunc(partitions, func(a, b kafka.OffsetFetchPartition) int { return a.Partition - b.Partition })
	}
	return commits.Topics, nil
}

func (g *Gauge) client() *kafka.Client { return &kafka.Client{Addr: g.Addr, Transport: g.Transport} }

const (
	// oneFetchBytes is enough for a batch of records; a larger one comes whole.
	oneFetchBytes = 16 << 10
	// mostFetches bounds how much is read where no record has a time that can be true.
	mostFetches = 16
	// mostUnpacked bounds what is unpacked to know when its records were written.
	mostUnpacked = 1 << 20
	// shortWait is how long a broker waits for a record that is there.
	shortWait = 100 * time.Millisecond
)

// readOldest reads the first record that is not done with wherever there is
// one, for its time. Those that cannot be read are left without.
func (g *Gauge) readOldest(ctx context.Context, report *Report) {
	var all errgroup.Group
	all.SetLimit(atOnce)
	for i := range report.Groups {
		group := &report.Groups[i]
		for j := range group.Partitions {
			p := &group.Partitions[j]
			if p.Lag > 0 && p.Topic != g.Names.Paused(group.Lane) { // which wait for an operator
				wait := time.Duration(0)
				for _, tier := range topology.Tiers() {
					if p.Topic == g.Names.Delay(group.Lane, tier) {
						wait = tier.Wait
					}
				}
				all.Go(func() error { p.Oldest = g.oldest(ctx, p, wait, report.At); return nil })
			}
		}
	}
	_ = all.Wait()
}

// oldest is since when the first record that is not done with, or one of the next of which that can be told, has waited
// in its topic, where it is to wait so long at most.
func (g *Gauge) oldest(ctx context.Context, p *Partition, wait time.Duration, now time.Time) time.Time {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	offset := p.End - p.Lag
	for n, from := 0, int64(-1); n < mostFetches && from < offset && offset < p.End; n++ {
		from = offset
		request := wire.NewFetch(wire.AnyLeader, shortWait, 1, oneFetchBytes)
		request.Add(p.Topic, p.id, p.ID, offset, oneFetchBytes)
		topics, err := request.Await(ctx, g.Transport, g.Addr)
		if err != nil || len(topics) == 0 || len(topics[0].Partitions) == 0 {
			return time.Time{}
		}
		aborts := consumer.AbortsOf(&topics[0].Partitions[0])
		for set := topics[0].Partitions[0].RecordSet.Bytes; ; {
			batch, rest, err := wire.NextBatch(set)
			if errors.Is(err, io.EOF) {
				break
			}
			if err == nil && aborts.Keeps(&batch) {
				if since, told := sinceOf(&batch, offset, wait, now); told {
					return since
				}
			}
			offset, set = max(offset, batch.LastOffset+1), rest
		}
	}
	return time.Time{}
}

// sinceOf is since when the first record of a batch from an offset on has waited, or the next whose time can be true:
// zero if it waits as it is to, on a delay topic. What cannot be read, or unpacks to much, is as old as its batch, and
// due when that has waited as long as it is to at most.
func sinceOf(batch *wire.Batch, offset int64, wait time.Duration, now time.Time) (since time.Time, told bool) {
	records, err := batch.Records(mostUnpacked)
	for r := (topology.Record{}); err == nil; {
		if err = records.Next(&r); err != nil || r.Offset < offset {
			continue
		}
		text, _ := r.Header(topology.HeaderDue)
		if due, err := time.Parse(time.RFC3339Nano, string(text)); err == nil && wait > 0 {
			return passed(due, now), true
		} else if consumer.Plausible(r.Time, now) {
			return r.Time, true
		}
	}
	written := batch.Time()
	return passed(written.Add(wait), now), !errors.Is(err, io.EOF) && consumer.Plausible(written, now)
}

// passed is a time that has come, or zero.
func passed(at, now time.Time) time.Time {
	if at.After(now) {
		return time.Time{}
	}
	return at
}
