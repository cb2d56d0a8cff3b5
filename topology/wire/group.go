package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/findcoordinator"
	"github.com/segmentio/kafka-go/protocol/heartbeat"
	"github.com/segmentio/kafka-go/protocol/joingroup"
	"github.com/segmentio/kafka-go/protocol/offsetcommit"
	"github.com/segmentio/kafka-go/protocol/syncgroup"
)

// Group is a consumer group, as a member talks to its coordinator: the broker is looked
// up once, and again after it has said that it is not, or has not answered. It is safe
// for use by several goroutines.
type Group struct {
	Name string
	// Instance, if set, is the member's name beyond its process's life (group.instance.id):
	// who comes back under it within the session has its partitions at once.
	Instance  string
	Addr      net.Addr
	Transport kafka.RoundTripper

	coordinator atomic.Int64 // the broker's id and 1; 0 while it is not known
}

// Membership is the name that the coordinator has for a member, and the generation of
// the group.
type Membership struct {
	Member     string
	Generation int32
}

// Joined is the answer to a member that joins.
type Joined struct {
	Membership
	// Leads says that the member is to say who has what, of Members.
	Leads   bool
	Members map[string][]byte // what each has said when it joined, by its name
}

// protocolName is the one of earlier versions, which can be in one group with this.
const protocolName = "range"

// Join joins the group, and returns when all members have, which may take as long as
// rebalance. The metadata is for the member that leads. Its first answer may be a
// kafka.MemberIDRequired with the name to join by.
func (g *Group) Join(ctx context.Context, member string, session, rebalance time.Duration, metadata []byte) (
	Joined, error) {
	m, err := g.send(ctx, rebalance+answerTime, func(broker int32) protocol.Message {
		return &joinRequest{at: broker, Request: joingroup.Request{
			GroupID: g.Name, MemberID: member, GroupInstanceID: g.Instance,
			SessionTimeoutMS: int32(session.Milliseconds()), RebalanceTimeoutMS: int32(rebalance.Milliseconds()),
			ProtocolType: "consumer",
			Protocols:    []joingroup.RequestProtocol{{Name: protocolName, Metadata: metadata}},
		}}
	})
	if err != nil {
		return Joined{}, err
	}
	answer := m.(*joingroup.Response)
	joined := Joined{
		Membership: Membership{answer.MemberID, answer.GenerationID},
		Leads:      answer.LeaderID == answer.MemberID,
		Members:    make(map[string][]byte, len(answer.Members)),
	}
	for _, other := range answer.Members {
		joined.Members[other.MemberID] = other.Metadata
	}
	return joined, g.fault(answer.ErrorCode)
}

// Sync gives what the member that leads has made for each, and returns what is for this
// one.
func (g *Group) Sync(ctx context.Context, of Membership, made map[string][]byte) ([]byte, error) {
	m, err := g.send(ctx, answerTime, func(broker int32) protocol.Message {
		r := &syncRequest{at: broker, Request: syncgroup.Request{
			GroupID: g.Name, GenerationID: of.Generation, MemberID: of.Member, GroupInstanceID: g.Instance,
		}}
		for member, assignment := range made {
			r.Assignments = append(r.Assignments, syncgroup.RequestAssignment{MemberID: member, Assignment: assignment})
		}
		return r
	})
	if err != nil {
		return nil, err
	}
	answer := m.(*syncgroup.Response)
	return answer.Assignments, g.fault(answer.ErrorCode)
}

// Heartbeat says that the member is there. The answer may be that the group is to be
// joined anew (kafka.RebalanceInProgress).
func (g *Group) Heartbeat(ctx context.Context, of Membership) error {
	m, err := g.send(ctx, heartbeatTime, func(broker int32) protocol.Message {
		return &heartbeatRequest{at: broker, Request: heartbeat.Request{
			GroupID: g.Name, GenerationID: of.Generation, MemberID: of.Member, GroupInstanceID: g.Instance,
		}}
	})
	if err != nil {
		return err
	}
	return g.fault(m.(*heartbeatResponse).ErrorCode)
}

// Commit commits offsets, by topic and partition, each with its mark. After an error some may be committed.
func (g *Group) Commit(ctx context.Context, of Membership, offsets map[string]map[int]int64,
	mark func(topic string, partition int) Mark) error {
	m, err := g.send(ctx, answerTime, func(broker int32) protocol.Message {
		r := &commitRequest{
			at: broker, GroupID: g.Name, GenerationID: of.Generation, MemberID: of.Member, GroupInstanceID: g.Instance,
			RetentionTimeMs: -1,
		}
		for topic, partitions := range offsets {
			t := offsetcommit.RequestTopic{Name: topic}
			for partition, offset := range partitions {
				t.Partitions = append(t.Partitions, offsetcommit.RequestPartition{
					PartitionIndex: int32(partition), CommittedOffset: offset, CommittedLeaderEpoch: -1,
					CommittedMetadata: mark(topic, partition).String(),
				})
			}
			r.Topics = append(r.Topics, t)
		}
		return r
	})
	if err != nil {
		return err
	}
	for _, t := range m.(*offsetcommit.Response).Topics {
		for _, p := range t.Partitions {
			if err := g.fault(p.ErrorCode); err != nil {
				return fmt.Errorf("%s/%d: %w", t.Name, p.PartitionIndex, err)
			}
		}
	}
	return nil
}

// Place is what was committed of a partition: an offset, negative for none, and its mark.
type Place struct {
	Offset int64
	Mark
}

// Committed returns what is committed of each partition.
func (g *Group) Committed(ctx context.Context, partitions map[string][]int) (map[string]map[int]Place, error) {
	client := kafka.Client{Addr: g.Addr, Transport: g.Transport, Timeout: answerTime}
	answer, err := client.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: g.Name, Topics: partitions})
	if err == nil {
		err = answer.Error
	}
	if err != nil {
		return nil, err
	}
	committed := make(map[string]map[int]Place)
	for topic, of := range answer.Topics {
		committed[topic] = make(map[int]Place)
		for _, p := range of {
			if p.Error != nil {
				return nil, fmt.Errorf("%s/%d: %w", topic, p.Partition, p.Error)
			}
			committed[topic][p.Partition] = Place{Offset: p.CommittedOffset, Mark: MarkOf(p.Metadata)}
		}
	}
	return committed, nil
}

// Leave says that a member has gone: its partitions are others' at once. That it is not
// known is no error.
func (g *Group) Leave(ctx context.Context, member string) error {
	client := kafka.Client{Addr: g.Addr, Transport: g.Transport}
	answer, err := client.LeaveGroup(ctx, &kafka.LeaveGroupRequest{
		GroupID: g.Name,
		Members: []kafka.LeaveGroupRequestMember{{ID: member, GroupInstanceID: g.Instance}},
	})
	if err != nil {
		return err
	}
	errs := []error{answer.Error}
	for _, m := range answer.Members {
		errs = append(errs, m.Error)
	}
	for _, err := range errs {
		if err != nil && !errors.Is(err, kafka.UnknownMemberId) {
			return err
		}
	}
	return nil
}

// heartbeatTime is how long a heartbeat waits for its answer: there is time for another
// within a session.
const heartbeatTime = 3 * time.Second

func (g *Group) send(ctx context.Context, most time.Duration, message func(broker int32) protocol.Message) (
	protocol.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	at := g.coordinator.Load() - 1
	if at < 0 {
		m, err := g.Transport.RoundTrip(ctx, g.Addr, &findcoordinator.Request{Key: g.Name})
		if err != nil {
			return nil, err
		}
		found := m.(*findcoordinator.Response)
		if found.ErrorCode != 0 {
			return nil, kafka.Error(found.ErrorCode)
		}
		at = int64(found.NodeID)
		g.coordinator.Store(at + 1)
	}
	m, err := g.Transport.RoundTrip(ctx, g.Addr, message(int32(at)))
	if err != nil {
		g.coordinator.Store(0)
	}
	return m, err
}

// fault is what a code says; after some of them it is another broker that is to be asked.
func (g *Group) fault(code int16) error {
	if code == 0 {
		return nil
	}
	err := kafka.Error(code)
	if err == kafka.NotCoordinatorForGroup || err == kafka.GroupCoordinatorNotAvailable {
		g.coordinator.Store(0)
	}
	return err
}

// The client asks who the coordinator is before each request to it, has the fields of a
// heartbeat's answer in the wrong order, and encodes the latest version of SyncGroup
// wrongly. These requests know the broker that they go to,
// and have the last versions that are encoded in the old way. As there is one type for
// each kind, Heartbeat, JoinGroup and SyncGroup of kafka.Client do not work in a program
// that imports this package; the fields of commitRequest are those of the client's.
func init() {
	protocol.Register(new(joinRequest), new(joingroup.Response))
	protocol.Register(new(syncRequest), new(syncgroup.Response))
	protocol.Register(new(heartbeatRequest), new(heartbeatResponse))
	protocol.Register(new(commitRequest), new(offsetcommit.Response))
}

type (
	joinRequest struct {
		joingroup.Request `kafka:"min=v0,max=v5"`
		at                int32
	}
	syncRequest struct {
		syncgroup.Request `kafka:"min=v0,max=v3"`
		at                int32
	}
	heartbeatRequest struct {
		heartbeat.Request `kafka:"min=v0,max=v3"`
		at                int32
	}
	heartbeatResponse struct {
		ThrottleTimeMs int32 `kafka:"min=v1,max=v3"`
		ErrorCode      int16 `kafka:"min=v0,max=v3"`
	}
	commitRequest struct {
		GroupID         string                      `kafka:"min=v0,max=v7"`
		GenerationID    int32                       `kafka:"min=v1,max=v7"`
		MemberID        string                      `kafka:"min=v1,max=v7"`
		RetentionTimeMs int64                       `kafka:"min=v2,max=v4"`
		GroupInstanceID string                      `kafka:"min=v7,max=v7,nullable"`
		Topics          []offsetcommit.RequestTopic `kafka:"min=v0,max=v7"`
		at              int32
	}
)

func (*heartbeatResponse) ApiKey() protocol.ApiKey { return protocol.Heartbeat }

func (*commitRequest) ApiKey() protocol.ApiKey { return protocol.OffsetCommit }

func (r *joinRequest) Broker(c protocol.Cluster) (protocol.Broker, error) { return brokerOf(c, r.at) }
func (r *syncRequest) Broker(c protocol.Cluster) (protocol.Broker, error) { return brokerOf(c, r.at) }
func (r *heartbeatRequest) Broker(c protocol.Cluster) (protocol.Broker, error) {
	return brokerOf(c, r.at)
}
func (r *commitRequest) Broker(c protocol.Cluster) (protocol.Broker, error) { return brokerOf(c, r.at) }

func brokerOf(c protocol.Cluster, id int32) (protocol.Broker, error) {
	broker, known := c.Brokers[id]
	if !known {
		return broker, kafka.BrokerNotAvailable
	}
	return broker, nil
}
