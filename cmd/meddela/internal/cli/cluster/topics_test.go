package cluster

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/clitest"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/producer/provision"
	"github.com/meddela/meddela/topology"
)

func TestPlanTable(t *testing.T) {
	var out bytes.Buffer
	env := &command.Env{Out: &out, Output: command.Table}
	env.Config.Topics.BatchQuota = 4000000
	drift := func(topic topology.Topic, kind provision.Kind, setting, have, want string) provision.Drift {
		return provision.Drift{Topic: topic, Kind: kind, Setting: setting, Have: have, Want: want}
	}
	plan := provision.Plan{
		Create: []topology.TopicSpec{{Name: "m.batch.jobs", Partitions: 12}, {Name: "m.control", Partitions: 1}},
		Ready:  []topology.Topic{"m.realtime.delivery-log"},
		Drift: []provision.Drift{
			drift("m.batch.events", provision.NarrowLane, "partitions", "6", "12"),
			drift("m.realtime.events", provision.WideLane, "partitions", "24", "12"),
			drift("m.realtime.dead-letters", provision.TooFewPartitions, "partitions", "1", "3"),
			drift("m.templates", provision.TooManyPartitions, "partitions", "12", "1"),
			drift("m.realtime.jobs", provision.FewerThanEvents, "partitions", "12", "24"),
			drift("m.realtime.delay.1h", provision.MoreThanEvents, "partitions", "30", "24"),
			drift("m.realtime.delay.1h", provision.OtherReplication, "replication", "1", "3"),
			drift("m.realtime.jobs", provision.OtherConfig, "retention.ms", "1000", "604800000"),
			drift("m.batch.events", provision.OtherConfig, "retention.ms", "2000", "604800000"),
			drift("m.control", provision.UnknownConfig, "settings", "", ""),
			drift("m.batch.delivery-log", provision.SmallMessages, "max.message.bytes", "1000", "1048588"),
		},
	}
	for _, dryRun := range []bool{true, false} {
		quotas := map[topology.Lane]string{topology.Batch: " consumer_byte_rate=4000000 producer_byte_rate=4000000"}
		if err := printPlan(env, plan, quotas, dryRun); err != nil {
			t.Fatal(err)
		}
		plan.Drift = nil
	}
	clitest.Golden(t, "plan.txt", out.String())
	env.Config.Topics.BatchQuota = -1
	for dryRun, want := range map[bool]bool{true: false, false: true} {
		out.Reset()
		if err := printPlan(env, plan, nil, dryRun); err != nil ||
			strings.Contains(out.String(), "quota of the batch lane removed\n") != want {
			t.Errorf("dry run %v: %v, %s", dryRun, err, out.String())
		}
	}
}

func TestTopicsApplyInJSON(t *testing.T) {
	environment := map[string]string{
		"MEDDELA_KAFKA_BROKERS": clitest.StartKafka(t).ListenAddrs()[0], "MEDDELA_TOPICS_PARTITIONS": "2",
		"MEDDELA_TOPIC_PREFIX": "shop.",
	}
	apply := func(args ...string) planView {
		t.Helper()
		got := meddela(t, environment, "", append([]string{"topics", "apply", "-o", "json"}, args...)...)
		got.Want(t, command.ExitOK)
		var view planView
		if err := json.Unmarshal([]byte(got.Out), &view); err != nil {
			t.Fatal(err)
		}
		return view
	}
	total := len(topology.Topics{}.Specs(topology.Sizing{}))
	if v := apply("--dry-run"); len(v.Created) != total || !v.DryRun {
		t.Errorf("dry run: %+v", v)
	}
	if v := apply(); len(v.Created) != total || v.Created[0] != (topicView{"shop.realtime.events", 2}) {
		t.Errorf("apply after a dry run: %+v", v)
	}
	if v := apply(); len(v.Created) != 0 || v.Ready != total || len(v.Differs) != 0 {
		t.Errorf("apply again: %+v", v)
	}
	for quota, want := range map[string]string{
		"200000": " consumer_byte_rate=200000 producer_byte_rate=200000", "-1": "",
	} {
		environment["MEDDELA_TOPICS_BATCH_QUOTA"] = quota
		if v := apply(); v.Quotas[topology.Batch] != want || v.Quotas[topology.Realtime] != "" {
			t.Errorf("with %s the quotas in force are %q", quota, v.Quotas)
		}
		environment["MEDDELA_TOPICS_BATCH_QUOTA"] = "0"
		if v := apply("--dry-run"); v.Quotas[topology.Batch] != want {
			t.Errorf("after %s the quotas in force are %q", quota, v.Quotas)
		}
	}
	environment["MEDDELA_TOPICS_PARTITIONS"] = "3"
	v := apply()
	if len(v.Differs) != 2 || !strings.Contains(v.Differs[0].Do, "--topic shop.realtime.events --partitions 3") {
		t.Errorf("apply with more partitions: %+v", v)
	}
}

func TestTopicsApplyWaitsForKafka(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	started := make(chan struct{})
	timer := time.AfterFunc(100*time.Millisecond, func() {
		defer close(started)
		cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(port))
		if err != nil {
			t.Error(err)
			return
		}
		t.Cleanup(cluster.Close)
	})
	defer func() { timer.Stop(); <-started }()
	environment := map[string]string{"MEDDELA_KAFKA_BROKERS": fmt.Sprintf("127.0.0.1:%d", port),
		"MEDDELA_TOPICS_PARTITIONS": "1"}
	got := meddela(t, environment, "", "topics", "apply", "--wait", "10s")
	got.Want(t, command.ExitOK)
	if !strings.Contains(got.Err, "Kafka does not answer yet") {
		t.Errorf("it did not have to wait: %q", got.Err)
	}
}
