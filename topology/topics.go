package topology

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Topic is the full name of a Kafka topic, prefix included.
type Topic string

// NoTopicError says that a topic does not exist.
type NoTopicError struct{ Topic Topic }

func (e *NoTopicError) Error() string {
	return "the topic " + string(e.Topic) + " does not exist: create it with `meddela topics apply`"
}

// DefaultPrefix starts the name of every topic unless configured otherwise.
const DefaultPrefix = "meddela."

// MaxEventBytes is the largest event value that the pipeline accepts. It is
// Kafka's own default limit of a record batch, so whatever a broker with
// default settings lets upstream publish fits.
const MaxEventBytes = 1 << 20

// Topics names the topics of one installation, and says which of their events are the same.
type Topics struct {
	Prefix string // starts every topic name, its separator included; empty for none
	// IDWithOrigin makes the id of an event in plain JSON that has an origin a QualifiedID.
	IDWithOrigin bool
	Build        string // of this program, for dead letters
}

// Events is where upstream systems publish.
func (t Topics) Events(l Lane) Topic { return t.lane(l, "events") }

// Redrive is where operators' commands publish events again. Nobody else may write
// there: what its records' headers say is believed.
func (t Topics) Redrive(l Lane) Topic { return t.lane(l, redrive) }

const redrive = "redrive"

// Jobs is where match asks for deliveries.
func (t Topics) Jobs(l Lane) Topic { return t.lane(l, "jobs") }

// DeliveryLog is where the outcome of every event is written.
func (t Topics) DeliveryLog(l Lane) Topic { return t.lane(l, "delivery-log") }

// DeadLetters is where records go that cannot be handled.
func (t Topics) DeadLetters(l Lane) Topic { return t.lane(l, "dead-letters") }

// Delay is where records wait that are not due yet.
func (t Topics) Delay(l Lane, tier Tier) Topic { return t.lane(l, "delay."+tier.Name) }

// Paused is where jobs wait for an operator to resume what they are stopped by.
func (t Topics) Paused(l Lane) Topic { return t.lane(l, "delay.paused") }

// Notices is where notices wait for a receiver that was away.
func (t Topics) Notices(l Lane) Topic { return t.lane(l, "notices") }

// Templates is the compacted topic of published templates.
func (t Topics) Templates() Topic { return Topic(t.Prefix + "templates") }

// Control is the compacted topic of operators' orders.
func (t Topics) Control() Topic { return Topic(t.Prefix + "control") }

// Suppressions is the compacted topic of addresses that are not written to.
func (t Topics) Suppressions() Topic { return Topic(t.Prefix + "suppressions") }

// Tasks is the compacted topic of operators' tasks.
func (t Topics) Tasks() Topic { return Topic(t.Prefix + "tasks") }

func (t Topics) lane(l Lane, name string) Topic {
	return Topic(t.Prefix + string(l) + "." + name)
}

// Tier is one length of waiting: every record of a tier's topic waits at most
// this long there.
type Tier struct {
	Name string
	Wait time.Duration
}

// Tiers lists the delay tiers, shortest first. The shortest bounds how late a
// record may be: one that is due sooner than its tier's wait stands behind
// others that are not.
func Tiers() []Tier {
	return []Tier{
		{"400ms", 400 * time.Millisecond},
		{"2s", 2 * time.Second},
		{"10s", 10 * time.Second},
		{"1m", time.Minute},
		{"10m", 10 * time.Minute},
		{"1h", time.Hour},
		{"6h", 6 * time.Hour},
	}
}

// TierFor returns the longest tier that is no longer than wait, or the
// shortest tier when all are longer.
func TierFor(wait time.Duration) Tier {
	best := Tiers()[0]
	for _, t := range Tiers() {
		if t.Wait <= wait {
			best = t
		}
	}
	return best
}

// Group is the consumer group of a role on a lane, other than deliver.
func (t Topics) Group(role Role, l Lane) string {
	return t.Prefix + string(l) + "." + string(role)
}

// DeliverGroup is the consumer group that delivers a channel of a lane: one
// for each channel, so that none waits for another's provider.
func (t Topics) DeliverGroup(l Lane, c Channel) string {
	return t.Group(RoleDeliver, l) + "." + string(c)
}

// Groups lists the consumer groups of a role on a lane.
func (t Topics) Groups(role Role, l Lane) []string {
	if role != RoleDeliver {
		return []string{t.Group(role, l)}
	}
	var groups []string
	for _, c := range Channels() {
		groups = append(groups, t.DeliverGroup(l, c))
	}
	return groups
}

// Reads lists the topics that a role of a lane reads.
func (t Topics) Reads(role Role, l Lane) []Topic {
	switch role {
	case RoleMatch:
		return []Topic{t.Events(l), t.Redrive(l)}
	case RoleDeliver:
		return []Topic{t.Jobs(l)}
	case RoleStatus:
		return []Topic{t.Events(l), t.Redrive(l), t.DeliveryLog(l)}
	case RoleNotify:
		return []Topic{t.DeliveryLog(l), t.Notices(l)}
	case RoleDelay:
		topics := []Topic{t.Paused(l)}
		for _, tier := range Tiers() {
			topics = append(topics, t.Delay(l, tier))
		}
		return topics
	}
	return nil
}

// Role names what a process does.
type Role string

const (
	RoleMatch   Role = "match"
	RoleDeliver Role = "deliver"
	RoleStatus  Role = "status"
	RoleDelay   Role = "delay"
	RoleNotify  Role = "notify"  // where webhooks are configured
	RoleReceive Role = "receive" // where providers send receipts; of both lanes
	RoleAudit   Role = "audit"   // of both lanes; only reads
)

// Roles lists every role that an installation needs, in the order in which an
// event meets them.
func Roles() []Role { return []Role{RoleMatch, RoleDeliver, RoleStatus, RoleDelay} }

// Sizing is what an operator may choose about topics.
type Sizing struct {
	Partitions           int   // of every topic of a lane but the dead letters
	DeadLetterPartitions int   // of each lane's dead letters
	Replication          int   // factor; -1 is the broker's own default
	MinInSync            int   // replicas; 0 leaves it to the broker
	RetainBytes          int64 // of each partition of a lane topic; 0 is no bound
}

// TopicSpec says how a topic must be.
type TopicSpec struct {
	Name        Topic
	Partitions  int
	Replication int
	Config      map[string]string // Kafka topic settings by their Kafka names
}

// Room for what the pipeline wraps around an event: a job carries the event
// and its own fields, a dead letter the record and its headers.
const wrappedEventBytes = 2 * MaxEventBytes

// entryBytes is what a topic of entries takes at once at least: what Kafka's topics do by default.
const entryBytes = 1_048_588

const day = 24 * time.Hour

// segmentTime is by how much records may outlive their retention, which removes
// whole segments only. Claims are kept longer than both together.
const segmentTime = 6 * time.Hour

// Specs lists every topic of an installation with its settings.
func (t Topics) Specs(s Sizing) []TopicSpec {
	var specs []TopicSpec
	for _, l := range Lanes() {
		specs = append(specs,
			s.retained(t.Events(l), s.Partitions, 7*day, 0),
			s.retained(t.Redrive(l), s.Partitions, 7*day, wrappedEventBytes),
			s.retained(t.Jobs(l), s.Partitions, 7*day, wrappedEventBytes),
			s.retained(t.DeliveryLog(l), s.Partitions, 30*day, entryBytes),
			s.retained(t.DeadLetters(l), s.DeadLetterPartitions, 30*day, wrappedEventBytes),
		)
		for _, tier := range Tiers() {
			specs = append(specs, s.retained(t.Delay(l, tier), s.Partitions, 7*day, wrappedEventBytes))
		}
		specs = append(specs,
			s.retained(t.Paused(l), s.Partitions, 7*day, wrappedEventBytes),
			s.retained(t.Notices(l), s.Partitions, 7*day, entryBytes),
		)
		// Validity and what waits go by when records came, and not by their writers' clocks.
		byBroker := slices.Concat(t.Reads(RoleMatch, l), t.Reads(RoleDelay, l))
		for i := range specs {
			if slices.Contains(byBroker, specs[i].Name) {
				specs[i].Config["message.timestamp.type"] = "LogAppendTime"
			}
		}
	}
	return append(specs, s.compacted(t.Templates()), s.compacted(t.Control()), s.compacted(t.Suppressions()),
		s.compacted(t.Tasks()))
}

// All lists every topic of an installation.
func (t Topics) All() []Topic {
	specs := t.Specs(Sizing{})
	all := make([]Topic, len(specs))
	for i := range specs {
		all[i] = specs[i].Name
	}
	return all
}

func (s Sizing) retained(name Topic, partitions int, keep time.Duration, maxBytes int) TopicSpec {
	spec := s.spec(name, partitions, "delete")
	spec.Config["retention.ms"] = strconv.FormatInt(keep.Milliseconds(), 10)
	spec.Config["segment.ms"] = strconv.FormatInt(segmentTime.Milliseconds(), 10)
	if maxBytes > 0 {
		spec.Config["max.message.bytes"] = strconv.Itoa(maxBytes)
	}
	if s.RetainBytes > 0 {
		spec.Config["retention.bytes"] = strconv.FormatInt(s.RetainBytes, 10)
		spec.Config["segment.bytes"] = strconv.FormatInt(max(s.RetainBytes/4, 1<<20), 10)
	}
	return spec
}

func (s Sizing) compacted(name Topic) TopicSpec {
	spec := s.spec(name, 1, "compact")
	spec.Config["max.message.bytes"] = strconv.Itoa(wrappedEventBytes)
	return spec
}

func (s Sizing) spec(name Topic, partitions int, cleanup string) TopicSpec {
	spec := TopicSpec{
		Name:        name,
		Partitions:  partitions,
		Replication: s.Replication,
		Config:      map[string]string{"cleanup.policy": cleanup},
	}
	if s.MinInSync > 0 {
		spec.Config["min.insync.replicas"] = strconv.Itoa(s.MinInSync)
	}
	return spec
}

// LaneOf returns the lane of a lane topic, and whether it is one.
func (t Topics) LaneOf(topic Topic) (Lane, bool) {
	rest, ok := strings.CutPrefix(string(topic), t.Prefix)
	if !ok {
		return "", false
	}
	name, _, ok := strings.Cut(rest, ".")
	lane, err := ParseLane(name)
	return lane, ok && err == nil
}
