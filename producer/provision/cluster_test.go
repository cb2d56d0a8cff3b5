package provision_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/producer/provision"
	"github.com/meddela/meddela/topology"
)

// cluster starts an in-process broker and returns a client for it.
func cluster(t *testing.T) (*kfake.Cluster, *kafka.Client) {
	t.Helper()
	fake, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	connection := producer.Connection{Brokers: fake.ListenAddrs()}
	transport := connection.Transport()
	t.Cleanup(transport.CloseIdleConnections)
	return fake, &kafka.Client{Addr: connection.Addr(), Transport: transport}
}

func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func survey(t *testing.T, client *kafka.Client, sizing topology.Sizing) provision.Plan {
	t.Helper()
	var topics []topology.Topic
	for _, spec := range names.Specs(sizing) {
		topics = append(topics, spec.Name)
	}
	existing, err := provision.Survey(deadline(t), client, topics)
	if err != nil {
		t.Fatal(err)
	}
	return provision.Compare(names, sizing, existing)
}

func TestCreateThenCompare(t *testing.T) {
	_, client := cluster(t)
	ctx := deadline(t)
	sizing := topology.Sizing{Partitions: 3, DeadLetterPartitions: 2, Replication: -1, RetainBytes: 8 << 20}

	plan := survey(t, client, sizing)
	if want := len(names.Specs(sizing)); len(plan.Create) != want || len(plan.Drift) != 0 {
		t.Fatalf("on an empty cluster: create %d, drift %v; want %d and none", len(plan.Create), plan.Drift, want)
	}
	for range 2 { // the second time, every topic exists by now
		if err := provision.Create(ctx, client, plan.Create); err != nil {
			t.Fatal(err)
		}
	}
	var created []topology.Topic
	for _, spec := range plan.Create {
		created = append(created, spec.Name)
	}
	if err := provision.AwaitLeaders(ctx, client, created); err != nil {
		t.Fatal(err)
	}
	if plan := survey(t, client, sizing); len(plan.Create) != 0 || len(plan.Drift) != 0 {
		t.Errorf("after apply: create %v, drift %v; want none", plan.Create, plan.Drift)
	}
	wider := sizing
	wider.Partitions, wider.RetainBytes = 5, 0
	plan = survey(t, client, wider)
	if len(plan.Create) != 0 || len(plan.Drift) != 2 || plan.Drift[0].Kind != provision.NarrowLane {
		t.Errorf("with more partitions configured: create %v, drift %v; want one finding a lane", plan.Create, plan.Drift)
	}
}

func TestCreateTriesAgainWhileTheControllerMoves(t *testing.T) {
	fake, client := cluster(t)
	tries := 0
	fake.ControlKey(int16(kmsg.CreateTopics), func(r kmsg.Request) (kmsg.Response, error, bool) {
		if tries++; tries > 2 {
			return nil, nil, false
		}
		fake.KeepControl()
		return refuse(r, kerr.NotController), nil, true
	})
	if err := provision.Create(deadline(t), client, names.Specs(sizingOfOne)); err != nil {
		t.Fatal(err)
	}
	if plan := survey(t, client, sizingOfOne); len(plan.Create) != 0 {
		t.Errorf("%d topics are missing after Create", len(plan.Create))
	}
	if tries != 3 {
		t.Errorf("%d tries, want 3", tries)
	}
}

func TestCreateNamesWhatIsRefused(t *testing.T) {
	fake, client := cluster(t)
	fake.ControlKey(int16(kmsg.CreateTopics), func(r kmsg.Request) (kmsg.Response, error, bool) {
		return refuse(r, kerr.PolicyViolation), nil, true
	})
	err := provision.Create(deadline(t), client, names.Specs(sizingOfOne)[:1])
	if !errors.Is(err, kafka.PolicyViolation) {
		t.Fatalf("error %v, want a policy violation", err)
	}
	if want := "topic t.realtime.events cannot be created: "; err.Error()[:len(want)] != want {
		t.Errorf("error %q, want it to start with %q", err, want)
	}
}

func TestAwaitLeadersEndsWithItsContext(t *testing.T) {
	_, client := cluster(t)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	err := provision.AwaitLeaders(ctx, client, []topology.Topic{"t.nowhere"})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want the deadline's", err)
	}
}

var sizingOfOne = topology.Sizing{Partitions: 1, DeadLetterPartitions: 1, Replication: -1}

// refuse answers a request to create topics with the same error for each.
func refuse(r kmsg.Request, why *kerr.Error) kmsg.Response {
	request := r.(*kmsg.CreateTopicsRequest)
	response := request.ResponseKind().(*kmsg.CreateTopicsResponse)
	for _, t := range request.Topics {
		answer := kmsg.NewCreateTopicsResponseTopic()
		answer.Topic, answer.ErrorCode = t.Topic, why.Code
		response.Topics = append(response.Topics, answer)
	}
	return response
}
