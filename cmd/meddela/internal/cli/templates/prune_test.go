package templates

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/topology"
)

// pruneSite has versions published long ago.
type pruneSite struct {
	t           *testing.T
	environment map[string]string
	names       topology.Topics
	writer      *producer.Publisher
	folder      string
}

func newPruneSite(t *testing.T) *pruneSite {
	environment := templatesSite(t)
	transport := &kafka.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &pruneSite{
		t: t, environment: environment, names: topology.Topics{Prefix: topology.DefaultPrefix},
		writer: &producer.Publisher{Addr: kafka.TCP(environment["MEDDELA_KAFKA_BROKERS"]), Transport: transport},
		folder: t.TempDir(),
	}
}

// published is a version of a template that was published so long ago.
func (s *pruneSite) published(name, text string, ago time.Duration, retired bool) topology.TemplateRef {
	s.t.Helper()
	writeTemplate(s.t, s.folder, name, "types: ["+name+"]", text)
	records, err := authoring.Load(os.DirFS(s.folder))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, r := range records {
		if r.Name != name {
			continue
		}
		r.PublishedAt, r.Retired = time.Now().Add(-ago), retired
		s.write(s.names.Templates(), string(r.Ref()), r.Append(nil))
		return r.Ref()
	}
	return ""
}

func (s *pruneSite) write(topic topology.Topic, key string, value []byte) {
	s.t.Helper()
	if _, err := s.writer.Publish(s.t.Context(), 0,
		[]topology.Record{{Topic: topic, Key: []byte(key), Value: value}}); err != nil {
		s.t.Fatal(err)
	}
}

// job writes a job for a version to a topic.
func (s *pruneSite) job(topic topology.Topic, ref topology.TemplateRef) {
	s.t.Helper()
	job := topology.Job{JobID: "j", EventID: "e", Template: ref, Channel: topology.SMS,
		Event: []byte(`{"type":"code","ctx":{"template":"x"}}`)}
	s.write(topic, "e", job.Append(nil))
}

func (s *pruneSite) prune(flags ...string) (pruned, kept string) {
	s.t.Helper()
	got := meddela(s.t, s.environment, "", append([]string{"templates", "prune", "-o", "json"}, flags...)...)
	got.Want(s.t, command.ExitOK)
	var view pruneView
	if err := json.Unmarshal([]byte(got.Out), &view); err != nil {
		s.t.Fatal(err)
	}
	for _, v := range view.Pruned {
		pruned += string(v.Ref) + " "
	}
	for _, v := range view.Kept {
		kept += fmt.Sprintf("%s %d ", v.Ref, v.Jobs)
	}
	return pruned, kept
}

// commit lets a group have worked off a topic up to an offset.
func (s *pruneSite) commit(group string, topic topology.Topic, offset int64) {
	s.t.Helper()
	client := &kafka.Client{Addr: s.writer.Addr, Transport: s.writer.Transport}
	response, err := client.OffsetCommit(s.t.Context(), &kafka.OffsetCommitRequest{
		GroupID: group, GenerationID: -1,
		Topics: map[string][]kafka.OffsetCommit{string(topic): {{Partition: 0, Offset: offset}}},
	})
	if err == nil {
		err = response.Topics[string(topic)][0].Error
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func TestTemplatesPrune(t *testing.T) {
	const day = 24 * time.Hour
	s := newPruneSite(t)
	one := s.published("code", "one", 90*day, false)
	two := s.published("code", "two", 60*day, false)
	three := s.published("code", "three", 30*day, false)
	s.published("code", "four", time.Hour/2, false) // live; three was, until half an hour ago
	if got, kept := s.prune("--dry-run"); got != string(one+" "+two+" ") || kept != "" {
		t.Errorf("pruned %s kept %s", got, kept)
	}
	// Jobs need them: one that waits for later, and one among dead letters.
	delay := s.names.Delay(topology.Batch, topology.Tiers()[2])
	s.job(delay, one)
	s.job(s.names.DeadLetters(topology.Realtime), two)
	if got, kept := s.prune(); got != "" || kept != string(one)+" 1 "+string(two)+" 1 " {
		t.Errorf("pruned %s kept %s", got, kept)
	}
	// The delay role has passed the first on, and deliver has sent it.
	s.job(s.names.Jobs(topology.Batch), one)
	s.commit(s.names.Group(topology.RoleDelay, topology.Batch), delay, 1)
	if got, kept := s.prune(); got != "" || kept != string(one)+" 1 "+string(two)+" 1 " {
		t.Errorf("on its way: pruned %s kept %s", got, kept)
	}
	s.commit(s.names.DeliverGroup(topology.Batch, topology.SMS), s.names.Jobs(topology.Batch), 1)
	got := meddela(t, s.environment, "", "templates", "prune")
	got.Want(t, command.ExitOK)
	want := "taken away  " + string(one) + ", not live since "
	if !strings.HasPrefix(got.Out, want) || !strings.HasSuffix(got.Out,
		"kept  "+string(two)+": 1 job refers to it\n1 version taken away, 1 kept, of those not live for 168h\n") {
		t.Errorf("%s", got.Out)
	}
	wantSame(t, "after", states(t, s.environment, "--all"), "code live, code superseded, code superseded")
	if got, _ := s.prune("--older-than", "1h"); got != "" {
		t.Errorf("pruned %s, which was live half an hour ago: %s", got, three)
	}
}

// An older version must not be live again because the one was taken away that
// kept its template retired.
func TestTemplatesPruneOfRetired(t *testing.T) {
	const day = 24 * time.Hour
	s := newPruneSite(t)
	one := s.published("code", "one", 90*day, false)
	two := s.published("code", "two", 60*day, true)
	s.job(s.names.Jobs(topology.Realtime), one)
	if got, kept := s.prune(); got != "" || kept != string(one)+" 1 "+string(two)+" 0 " {
		t.Errorf("pruned %s kept %s", got, kept)
	}
	wantSame(t, "while a job needs it", states(t, s.environment, "--retired"), "code retired")
	s.commit(s.names.DeliverGroup(topology.Realtime, topology.SMS), s.names.Jobs(topology.Realtime), 1)
	if got, kept := s.prune(); got != string(one+" "+two+" ") || kept != "" {
		t.Errorf("pruned %s kept %s", got, kept)
	}
	wantSame(t, "in the end", states(t, s.environment, "--all"), "")
}

func TestTemplatesPruneIsNotHasty(t *testing.T) {
	got := meddela(t, nil, "", "templates", "prune", "--older-than", "59m")
	if got.Want(t, command.ExitMisused); !strings.Contains(got.Err, `--older-than is "59m": it must be at least 1h0m0s`) {
		t.Errorf("%s", got.Err)
	}
}
