package provision_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/meddela/meddela/producer/provision"
	"github.com/meddela/meddela/topology"
)

var (
	names  = topology.Topics{Prefix: "t."}
	sizing = topology.Sizing{Partitions: 4, DeadLetterPartitions: 2, Replication: 3, MinInSync: 2}
)

// asWanted is a cluster that has every topic as it must be.
func asWanted() map[topology.Topic]provision.Existing {
	existing := make(map[topology.Topic]provision.Existing)
	for _, spec := range names.Specs(sizing) {
		existing[spec.Name] = provision.Existing{
			Partitions: spec.Partitions, Replication: spec.Replication, Config: maps.Clone(spec.Config),
		}
	}
	return existing
}

func TestCompare(t *testing.T) {
	all := len(names.Specs(sizing))
	with := func(topic topology.Topic, change func(*provision.Existing)) func(map[topology.Topic]provision.Existing) {
		return func(cluster map[topology.Topic]provision.Existing) {
			e := cluster[topic]
			change(&e)
			cluster[topic] = e
		}
	}
	tests := []struct {
		name   string
		change func(map[topology.Topic]provision.Existing)
		create int
		ready  int
		drift  []provision.Drift
	}{
		{
			name:   "an empty cluster",
			change: func(c map[topology.Topic]provision.Existing) { clear(c) },
			create: all,
		}, {
			name:   "all there",
			change: func(map[topology.Topic]provision.Existing) {},
			ready:  all,
		}, {
			name:   "one missing",
			change: func(c map[topology.Topic]provision.Existing) { delete(c, "t.templates") },
			create: 1, ready: all - 1,
		}, {
			name: "a setting of another value, and one unset",
			change: with("t.batch.events", func(e *provision.Existing) {
				e.Config["retention.ms"] = "1000"
				delete(e.Config, "min.insync.replicas")
			}),
			ready: all - 1,
			drift: []provision.Drift{
				{Topic: "t.batch.events", Kind: provision.OtherConfig, Setting: "min.insync.replicas", Have: "", Want: "2"},
				{Topic: "t.batch.events", Kind: provision.OtherConfig, Setting: "retention.ms", Have: "1000", Want: "604800000"},
			},
		}, {
			name:   "settings that we do not know of are no drift",
			change: with("t.control", func(e *provision.Existing) { e.Config["segment.ms"] = "1" }),
			ready:  all,
		}, {
			name:   "a topic that does not take all that comes",
			change: with("t.batch.delivery-log", func(e *provision.Existing) { e.Config["max.message.bytes"] = "1000" }),
			ready:  all - 1,
			drift: []provision.Drift{{Topic: "t.batch.delivery-log", Kind: provision.SmallMessages,
				Setting: "max.message.bytes", Have: "1000", Want: "1048588"}},
		}, {
			name:   "one that takes more",
			change: with("t.batch.jobs", func(e *provision.Existing) { e.Config["max.message.bytes"] = "9000000" }),
			ready:  all,
		}, {
			name:   "settings kept from us",
			change: with("t.control", func(e *provision.Existing) { e.Config = nil }),
			ready:  all - 1,
			drift:  []provision.Drift{{Topic: "t.control", Kind: provision.UnknownConfig, Setting: "settings"}},
		}, {
			name:   "fewer replicas",
			change: with("t.templates", func(e *provision.Existing) { e.Replication = 1 }),
			ready:  all - 1,
			drift: []provision.Drift{{Topic: "t.templates", Kind: provision.OtherReplication, Setting: "replication", Have: "1",
				Want: "3"}},
		}, {
			name:   "a lane topic narrower than its events topic",
			change: with("t.realtime.jobs", func(e *provision.Existing) { e.Partitions = 3 }),
			ready:  all - 1,
			drift: []provision.Drift{{Topic: "t.realtime.jobs", Kind: provision.FewerThanEvents, Setting: "partitions",
				Have: "3", Want: "4"}},
		}, {
			name:   "a lane topic wider than its events topic",
			change: with("t.realtime.delay.1h", func(e *provision.Existing) { e.Partitions = 5 }),
			ready:  all - 1,
			drift: []provision.Drift{{Topic: "t.realtime.delay.1h", Kind: provision.MoreThanEvents, Setting: "partitions",
				Have: "5", Want: "4"}},
		}, {
			name:   "dead letters do not follow the events",
			change: with("t.realtime.dead-letters", func(e *provision.Existing) { e.Partitions = 1 }),
			ready:  all - 1,
			drift: []provision.Drift{{Topic: "t.realtime.dead-letters", Kind: provision.TooFewPartitions, Setting: "partitions",
				Have: "1", Want: "2"}},
		}, {
			name:   "templates are of one partition",
			change: with("t.templates", func(e *provision.Existing) { e.Partitions = 2 }),
			ready:  all - 1,
			drift: []provision.Drift{{Topic: "t.templates", Kind: provision.TooManyPartitions, Setting: "partitions", Have: "2",
				Want: "1"}},
		}, {
			name: "a lane whose events topic is missing",
			change: func(c map[topology.Topic]provision.Existing) {
				delete(c, "t.batch.events")
				with("t.batch.jobs", func(e *provision.Existing) { e.Partitions = 2 })(c)
			},
			create: 1, ready: all - 2,
			drift: []provision.Drift{{Topic: "t.batch.jobs", Kind: provision.NarrowLane, Setting: "partitions", Have: "2",
				Want: "4"}},
		}, {
			name: "a whole lane wider than configured is one finding",
			change: func(c map[topology.Topic]provision.Existing) {
				for topic, e := range c {
					if lane, ok := names.LaneOf(topic); ok && lane == topology.Batch && topic != names.DeadLetters(lane) {
						e.Partitions = 8
						c[topic] = e
					}
				}
			},
			ready: all - 1,
			drift: []provision.Drift{{Topic: "t.batch.events", Kind: provision.WideLane, Setting: "partitions", Have: "8",
				Want: "4"}},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cluster := asWanted()
			test.change(cluster)
			plan := provision.Compare(names, sizing, cluster)
			if len(plan.Create) != test.create || len(plan.Ready) != test.ready {
				t.Errorf("create %d, ready %d; want %d, %d", len(plan.Create), len(plan.Ready), test.create, test.ready)
			}
			if !slices.Equal(plan.Drift, test.drift) {
				t.Errorf("drift\n%+v\nwant\n%+v", plan.Drift, test.drift)
			}
		})
	}
}

// A missing topic of a lane is created as wide as the events topic is.
func TestCompareFollowsTheEventsTopic(t *testing.T) {
	cluster := map[topology.Topic]provision.Existing{
		names.Events(topology.Realtime): {Partitions: 7, Replication: 3},
	}
	plan := provision.Compare(names, sizing, cluster)
	want := map[topology.Topic]int{
		"t.realtime.jobs": 7, "t.realtime.delivery-log": 7, "t.realtime.delay.10s": 7,
		"t.realtime.dead-letters": 2, "t.batch.jobs": 4, "t.templates": 1,
	}
	for _, spec := range plan.Create {
		if n, ok := want[spec.Name]; ok && spec.Partitions != n {
			t.Errorf("%s would have %d partitions, want %d", spec.Name, spec.Partitions, n)
		}
		delete(want, spec.Name)
	}
	if len(want) > 0 {
		t.Errorf("not created: %v", want)
	}
}

// The broker's own replication factor is nothing to compare with.
func TestCompareWithTheBrokersReplication(t *testing.T) {
	sizing := sizing
	sizing.Replication = -1
	if plan := provision.Compare(names, sizing, asWanted()); len(plan.Drift) > 0 {
		t.Errorf("drift %+v, want none", plan.Drift)
	}
}
