package status

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/clitest"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/show"
	"github.com/meddela/meddela/consumer/status"
	"github.com/meddela/meddela/topology"
)

var noon = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

// sentState is an event that went all the way.
func sentState() topology.State {
	return topology.State{
		EventID: "e1", Source: "meddela.realtime.events/3/42", Lane: topology.Realtime,
		Type: "order_confirmation", Channel: topology.Email, Rank: "3", Attempt: 1,
		Status: topology.Sent, Template: "order@ab12", Provider: "smtp", ProviderMessageID: "<m@example.com>",
		PendingAt: noon, PendingDeliveryAt: noon.Add(12 * time.Millisecond), UpdatedAt: noon.Add(350 * time.Millisecond),
	}
}

func TestCard(t *testing.T) {
	failed := sentState()
	failed.Status, failed.Reason, failed.Detail = topology.DeliveryError, topology.ReasonProviderRejected,
		"550 mailbox\x1b[2J full"
	failed.Redrives, failed.Attempt = 1, 3
	failed.PendingDeliveryAt = noon.Add(-2 * time.Millisecond) // clocks differ
	waiting := topology.State{
		EventID: "e2", Status: topology.PendingDelivery, Reason: topology.ReasonScheduled, Lane: topology.Batch,
		PendingAt: noon, PendingDeliveryAt: noon.Add(time.Second), UpdatedAt: noon.Add(time.Second),
		Scheduled: noon.Add(time.Hour),
	}
	sent := sentState()
	var out bytes.Buffer
	env := &command.Env{Out: &out}
	for _, s := range []*topology.State{&sent, &failed, &waiting, {EventID: "e3", Status: topology.Pending}} {
		if err := show.Print(env, s); err != nil {
			t.Fatal(err)
		}
	}
	clitest.Golden(t, "cards.txt", out.String())
}

func TestStatusInJSON(t *testing.T) {
	sent := sentState()
	var out bytes.Buffer
	env := &command.Env{Out: &out, Output: command.JSON}
	if err := show.Print(env, &sent); err != nil {
		t.Fatal(err)
	}
	clitest.Golden(t, "status.json", out.String())
}

// script gives each event's next state at each call,
// and its last one for ever.
type script map[topology.EventID][]topology.State

func (s script) GetMany(_ context.Context, ids []topology.EventID) ([]status.Answer, error) {
	var answers []status.Answer
	for _, id := range ids {
		states := s[id]
		if len(states) == 0 {
			return nil, errors.New("away")
		}
		if len(states) > 1 {
			s[id] = states[1:]
		}
		answers = append(answers, status.Answer{State: states[0], Found: states[0].Status != ""})
	}
	return answers, nil
}

func state(id topology.EventID, rank topology.Rank, s topology.Status) topology.State {
	return topology.State{EventID: id, Rank: rank, Status: s}
}

func TestWatchPrintsEachChangeOnce(t *testing.T) {
	states := script{
		"a": {{}, state("a", "1", topology.Pending), state("a", "1", topology.Pending),
			state("a", "2", topology.PendingDelivery), state("a", "3", topology.Sent)},
		"b": {state("b", "3", topology.Expired)},
	}
	var out, errOut bytes.Buffer
	env := &command.Env{Out: &out, ErrOut: &errOut}
	if err := watchStatus(t.Context(), env, states.GetMany, []topology.EventID{"a", "b"}); err != nil {
		t.Fatal(err)
	}
	want := "● Event expired  b\n● Pending  a\n● Pending delivery  a\n● Sent  a\n"
	if out.String() != want {
		t.Errorf("printed\n%swant\n%s", out.String(), want)
	}
	if errOut.String() != "nothing is known of a yet; waiting for it\n" {
		t.Errorf("stderr %q", errOut.String())
	}
}

func TestWatchEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	env := &command.Env{Out: writerFunc(cancel), ErrOut: io.Discard}
	if err := watchStatus(ctx, env, script{"a": {state("a", "1", topology.Pending)}}.GetMany,
		[]topology.EventID{"a"}); err != nil {
		t.Errorf("error %v, want none: a signal is how one leaves", err)
	}
}

// writerFunc calls a function at each write.
type writerFunc func()

func (f writerFunc) Write(b []byte) (int, error) { f(); return len(b), nil }

func TestWatchFailsWithRedis(t *testing.T) {
	env := &command.Env{Out: io.Discard, ErrOut: io.Discard}
	if err := watchStatus(t.Context(), env, script{}.GetMany, []topology.EventID{"a"}); err == nil {
		t.Error("no error, though Redis is away")
	}
}

func TestStatusReadsRedis(t *testing.T) {
	server := clitest.StartRedis(t, nil)
	server.HSet("shop:event:e1", "status", "sent", "lane", "batch", "rank", "1", "updated_at", "1764590400000")
	server.HSet("shop:event:bad", "status", "nonsense")
	environment := map[string]string{"MEDDELA_REDIS_ADDRS": server.Addr(), "MEDDELA_KEY_PREFIX": "shop:"}

	got := meddela(t, environment, "", "status", "e1", "-o", "json")
	got.Want(t, command.ExitOK)
	if !strings.Contains(got.Out, `"status":"sent"`) || !strings.Contains(got.Out,
		`"final_at":"2025-12-01T12:00:00.000Z"`) {
		t.Errorf("printed %s", got.Out)
	}
	got = meddela(t, environment, "", "status", "e1", "e2", "e3")
	got.Want(t, command.ExitFailed)
	if !strings.Contains(got.Out, "● Sent  e1") || !strings.Contains(got.Err, "nothing is known of e2, e3: ") {
		t.Errorf("printed %s and %s", got.Out, got.Err)
	}
	server.HSet("shop:event:butik%20%C3%A5re#1", "status", "sent", "lane", "batch", "rank", "1")
	for _, typed := range []string{"butik åre#1", "butik%20%C3%A5re#1"} {
		got = meddela(t, environment, "", "status", typed)
		got.Want(t, command.ExitOK)
		if !strings.Contains(got.Out, "● Sent  butik%20%C3%A5re#1") {
			t.Errorf("%s: printed %s", typed, got.Out)
		}
	}
	got = meddela(t, environment, "", "status", "bad")
	got.Want(t, command.ExitFailed)
	if got.Err != "meddela: event bad: unknown status \"nonsense\"\n" {
		t.Errorf("stderr %s", got.Err)
	}
}

// TestVerifyTells: differences are exit status 1; what cannot be found out, or misuse, is 2.
func TestVerifyTells(t *testing.T) {
	kafka, redis := clitest.StartKafka(t), clitest.StartRedis(t, nil)
	environment := map[string]string{"MEDDELA_REDIS_ADDRS": redis.Addr(), "MEDDELA_KAFKA_BROKERS": kafka.ListenAddrs()[0],
		"MEDDELA_LOG_LEVEL": "error"}
	got := meddela(t, environment, "", "status", "verify")
	got.Want(t, command.ExitMisused)
	if !strings.Contains(got.Err, "meddela topics apply") {
		t.Errorf("stderr %s", got.Err)
	}
	for _, topic := range (topology.Topics{Prefix: topology.DefaultPrefix}).All() {
		if err := kafka.CreateTopic(string(topic), 1, nil); err != nil {
			t.Fatal(err)
		}
	}
	got = meddela(t, environment, "", "status", "verify")
	got.WantOut(t, "0 events of 0 differ; 0 records read in 1 pass\n")
	redis.HSet("meddela:event:e1", "status", "sent", "lane", "batch", "rank", "1", "updated_at", "1764590400000")
	got = meddela(t, environment, "", "status", "verify")
	got.Want(t, command.ExitFailed)
	if !strings.Contains(got.Out, "different: e1\n  Redis   sent") {
		t.Errorf("printed %s", got.Out)
	}
	got = meddela(t, environment, "", "status", "rebuild", "--replace")
	got.Want(t, command.ExitFailed)
	if !strings.Contains(got.Out, "statuses written: 0") || !strings.Contains(got.Out, "1  different") ||
		!strings.Contains(got.Err, "of 1 event Redis still does not have what it should") {
		t.Errorf("printed %s and %s", got.Out, got.Err)
	}
	meddela(t, environment, "", "status", "verify").Want(t, command.ExitFailed)
	if !redis.Exists("meddela:event:e1") {
		t.Error("a status is gone of which the topics cannot know anything")
	}
	meddela(t, environment, "", "status", "rebuild", "e1").Want(t, command.ExitFailed)
	for _, misuse := range [][]string{
		{"--since", "yesterday"}, {"--memory", "0"}, {"--lane", "slow"}, {"a b"}, {"--partitions", "x"},
		{"--partitions", "1"},
	} {
		meddela(t, environment, "", append([]string{"status", "verify"}, misuse...)...).Want(t, command.ExitMisused)
	}
	meddela(t, environment, "", "status", "e1", "--watch", "--history").Want(t, command.ExitMisused)
	got = meddela(t, environment, "", "status", "e1", "--history")
	got.Want(t, command.ExitFailed)
	if !strings.Contains(got.Err, "the topics have nothing of e1 by then: read: offsets") {
		t.Errorf("stderr %s", got.Err)
	}
}

// TestOverdueIsTold by an exit status of its own, unless something is wrong or not known.
func TestOverdueIsTold(t *testing.T) {
	names := topology.Topics{Prefix: topology.DefaultPrefix}
	broker, redis := clitest.StartKafka(t), clitest.StartRedis(t, nil)
	for _, topic := range names.All() {
		if err := broker.CreateTopic(string(topic), 1, nil); err != nil {
			t.Fatal(err)
		}
	}
	client := &kafka.Client{Addr: kafka.TCP(broker.ListenAddrs()...)}
	_, err := client.Produce(t.Context(), &kafka.ProduceRequest{Topic: string(names.Events(topology.Batch)),
		RequiredAcks: kafka.RequireAll, Records: kafka.NewRecordReader(kafka.Record{Time: time.Now().Add(-time.Hour),
			Value: kafka.NewBytes([]byte(`{"id":"e1","type":"order","ctx":{}}`))})})
	if err != nil {
		t.Fatal(err)
	}
	environment := map[string]string{"MEDDELA_REDIS_ADDRS": redis.Addr(), "MEDDELA_KAFKA_BROKERS": broker.ListenAddrs()[0],
		"MEDDELA_LOG_LEVEL": "error"}
	verify := func(want int, says string) {
		t.Helper()
		got := meddela(t, environment, "", "status", "verify", "--wait", "0s", "--overdue", "1ns")
		if got.Want(t, want); !strings.Contains(got.Err, says) {
			t.Errorf("stderr %s, want %q", got.Err, says)
		}
	}
	verify(command.ExitMisused, "1 records were not compared")
	_, err = client.OffsetCommit(t.Context(), &kafka.OffsetCommitRequest{
		GroupID: names.Group(topology.RoleStatus, topology.Batch), GenerationID: -1,
		Topics: map[string][]kafka.OffsetCommit{string(names.Events(topology.Batch)): {{Offset: 1}}}})
	if err != nil {
		t.Fatal(err)
	}
	verify(command.ExitFailed, "of 1 event Redis does not have what it should")
	meddela(t, environment, "", "status", "rebuild", "e1").Says(t, "1  missing", "statuses written: 1")
	verify(command.ExitOverdue, "nothing has happened for longer than --overdue to 1 event: see by meddela lag")
}
