// Package provision compares a cluster's topics with those that an
// installation needs, and creates the missing ones. It never changes or
// deletes a topic that is there.
package provision

import (
	"maps"
	"slices"
	"strconv"

	"github.com/meddela/meddela/topology"
)

// Existing is a topic as the cluster has it.
type Existing struct {
	Partitions int
	// Replication is the least number of replicas of any partition.
	Replication int
	// Config holds the settings in force by their Kafka names; nil when the
	// cluster does not tell us.
	Config map[string]string
}

// Plan says what apply would do, and what it leaves to the operator.
type Plan struct {
	// Create lists the missing topics as they would be created.
	Create []topology.TopicSpec
	// Ready lists the topics that are as they must be.
	Ready []topology.Topic
	// Drift lists, topic by topic, what differs.
	Drift []Drift
}

// Kind says how a topic differs, and thereby what can be done about it.
type Kind string

const (
	// NarrowLane: the events topic, which the lane's other topics follow, has
	// fewer partitions than configured.
	NarrowLane Kind = "narrow_lane"
	// WideLane: the events topic has more partitions than configured. Kafka
	// cannot take them away.
	WideLane Kind = "wide_lane"
	// TooFewPartitions: a topic that follows no other has fewer than wanted.
	TooFewPartitions Kind = "too_few_partitions"
	// TooManyPartitions: a topic that follows no other has more than wanted.
	TooManyPartitions Kind = "too_many_partitions"
	// FewerThanEvents: fewer partitions than the events topic of the lane,
	// so that several of its partitions share one.
	FewerThanEvents Kind = "fewer_than_events"
	// MoreThanEvents: more partitions than the events topic of the lane, of
	// which the last stay empty.
	MoreThanEvents Kind = "more_than_events"
	// OtherReplication: another replication factor than configured.
	OtherReplication Kind = "other_replication"
	// OtherConfig: a topic setting has another value.
	OtherConfig Kind = "other_config"
	// SmallMessages: the topic does not take all records that come to it.
	SmallMessages Kind = "small_messages"
	// UnknownConfig: the cluster does not tell us the topic's settings.
	UnknownConfig Kind = "unknown_config"
)

// Drift is one way in which an existing topic differs.
type Drift struct {
	Topic topology.Topic `json:"topic"`
	Kind  Kind           `json:"kind"`
	// Setting is "partitions", "replication", or a Kafka topic setting.
	Setting string `json:"setting"`
	Have    string `json:"have"`
	Want    string `json:"want"`
}

// Compare makes the plan for a cluster that has the existing topics.
//
// A record keeps its partition number on its way through a lane, and upstream
// chooses it on the events topic. So a lane's other topics are compared with
// its events topic where that is there, and created to match it.
func Compare(names topology.Topics, sizing topology.Sizing, existing map[topology.Topic]Existing) Plan {
	var plan Plan
	for _, spec := range names.Specs(sizing) {
		wanted, tooFew, tooMany := wantedOf(names, spec, existing)
		have, ok := existing[spec.Name]
		if !ok {
			plan.Create = append(plan.Create, wanted)
			continue
		}
		drift := driftOf(&wanted, have, tooFew, tooMany)
		plan.Drift = append(plan.Drift, drift...)
		if len(drift) == 0 {
			plan.Ready = append(plan.Ready, spec.Name)
		}
	}
	return plan
}

// wantedOf says what a topic has to be, given the others, and what it is called
// when it has too few or too many partitions.
func wantedOf(names topology.Topics, spec topology.TopicSpec, existing map[topology.Topic]Existing) (
	wanted topology.TopicSpec, tooFew, tooMany Kind) {
	lane, ok := names.LaneOf(spec.Name)
	if !ok || spec.Name == names.DeadLetters(lane) {
		return spec, TooFewPartitions, TooManyPartitions
	}
	events, ok := existing[names.Events(lane)]
	if !ok || spec.Name == names.Events(lane) {
		return spec, NarrowLane, WideLane
	}
	spec.Partitions = events.Partitions
	return spec, FewerThanEvents, MoreThanEvents
}

func driftOf(wanted *topology.TopicSpec, have Existing, tooFew, tooMany Kind) (drift []Drift) {
	differs := func(kind Kind, setting, has, want string) {
		drift = append(drift, Drift{Topic: wanted.Name, Kind: kind, Setting: setting, Have: has, Want: want})
	}
	switch {
	case have.Partitions < wanted.Partitions:
		differs(tooFew, "partitions", strconv.Itoa(have.Partitions), strconv.Itoa(wanted.Partitions))
	case have.Partitions > wanted.Partitions:
		differs(tooMany, "partitions", strconv.Itoa(have.Partitions), strconv.Itoa(wanted.Partitions))
	}
	if wanted.Replication > 0 && have.Replication != wanted.Replication {
		differs(OtherReplication, "replication", strconv.Itoa(have.Replication), strconv.Itoa(wanted.Replication))
	}
	if have.Config == nil {
		differs(UnknownConfig, "settings", "", "")
		return drift
	}
	for _, key := range slices.Sorted(maps.Keys(wanted.Config)) {
		want, has := wanted.Config[key], have.Config[key]
		takes, _ := strconv.Atoi(has)
		switch least, _ := strconv.Atoi(want); {
		case key == "max.message.bytes" && takes >= least || has == want:
		case key == "max.message.bytes":
			differs(SmallMessages, key, has, want)
		default:
			differs(OtherConfig, key, has, want)
		}
	}
	return drift
}
