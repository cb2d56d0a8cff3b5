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
		c := comparisonOf(names, spec, existing)
		have, ok := existing[spec.Name]
		if !ok {
			plan.Create = append(plan.Create, c.spec)
			continue
		}
		drift := c.drift(have)
		plan.Drift = append(plan.Drift, drift...)
		if len(drift) == 0 {
			plan.Ready = append(plan.Ready, spec.Name)
		}
	}
	return plan
}

// comparison is of one topic.
type comparison struct {
	spec            topology.TopicSpec
	tooFew, tooMany Kind
}

// comparisonOf says what a topic has to be, given the others.
func comparisonOf(names topology.Topics, spec topology.TopicSpec, existing map[topology.Topic]Existing) comparison {
	lane, ok := names.LaneOf(spec.Name)
	if !ok || spec.Name == names.DeadLetters(lane) {
		return comparison{spec, TooFewPartitions, TooManyPartitions}
	}
	events, ok := existing[names.Events(lane)]
	if !ok || spec.Name == names.Events(lane) {
		return comparison{spec, NarrowLane, WideLane}
	}
	spec.Partitions = events.Partitions
	return comparison{spec, FewerThanEvents, MoreThanEvents}
}

func (c *comparison) drift(have Existing) []Drift {
	var drift []Drift
	switch {
	case have.Partitions < c.spec.Partitions:
		drift = append(drift, c.number(c.tooFew, "partitions", have.Partitions, c.spec.Partitions))
	case have.Partitions > c.spec.Partitions:
		drift = append(drift, c.number(c.tooMany, "partitions", have.Partitions, c.spec.Partitions))
	}
	if c.spec.Replication > 0 && have.Replication != c.spec.Replication {
		drift = append(drift, c.number(OtherReplication, "replication", have.Replication, c.spec.Replication))
	}
	if have.Config == nil {
		return append(drift, Drift{Topic: c.spec.Name, Kind: UnknownConfig, Setting: "settings"})
	}
	for _, key := range slices.Sorted(maps.Keys(c.spec.Config)) {
		if want := c.spec.Config[key]; have.Config[key] != want {
			drift = append(drift, Drift{
				Topic: c.spec.Name, Kind: OtherConfig, Setting: key, Have: have.Config[key], Want: want,
			})
		}
	}
	return drift
}

func (c *comparison) number(kind Kind, setting string, have, want int) Drift {
	return Drift{
		Topic: c.spec.Name, Kind: kind, Setting: setting,
		Have: strconv.Itoa(have), Want: strconv.Itoa(want),
	}
}
