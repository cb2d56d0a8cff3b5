package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

func newTestSandbox(t *testing.T, config Config) *Provider {
	t.Helper()
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func aJob(id topology.EventID, channel topology.Channel, to string) topology.Job {
	return topology.Job{JobID: topology.JobIDOf(id, 0), EventID: id, Lane: topology.Realtime, Attempt: 1, Channel: channel,
		To: to}
}

func (s *Provider) try(ctx context.Context, id string, channel topology.Channel, address string) provider.Response {
	job := aJob(topology.EventID(id), channel, address)
	return s.Send(ctx, &job, &template.Message{Channel: channel, To: address, Text: "text of " + id})
}

// TestFates: what an address asks a sandbox for.
func TestFates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestSandbox(t, Config{})
		for _, test := range []struct {
			channel topology.Channel
			to      string
			want    provider.Verdict
			takes   time.Duration
		}{
			{topology.Email, "kim@example.test", provider.Accepted, 0},
			{topology.Email, "fail@example.test", provider.Accepted, 0},
			{topology.Email, "kim@failure.example.test", provider.Accepted, 0},
			{topology.Email, "kim@fail.example.test", provider.Rejected, 0},
			{topology.Email, "kim@mx.skip.test", provider.Skipped, 0},
			{topology.Email, "kim@slow", provider.Accepted, time.Second},
			{topology.Email, "kim@down.test", provider.Down, 0},
			{topology.Webhook, "https://hooks.fail.example.test:8443/slow", provider.Rejected, 0},
			{topology.Webhook, "https://example.test/fail", provider.Accepted, 0},
			{topology.Webhook, "::", provider.Accepted, 0},
			{topology.SMS, "+46700000000", provider.Rejected, 0},
			{topology.SMS, "+46700000001", provider.Accepted, 0},
			{topology.Push, "fail-1", provider.Rejected, 0},
			{topology.Push, "skip-1", provider.Skipped, 0},
			{topology.Push, "slow-1", provider.Accepted, time.Second},
			{topology.Push, "down-1", provider.Down, 0},
			{topology.Push, "failing-1", provider.Accepted, 0},
			{topology.Push, "fail", provider.Accepted, 0},
		} {
			began := time.Now()
			r := s.try(t.Context(), "event", test.channel, test.to)
			if r.Verdict != test.want || time.Since(began) != test.takes {
				t.Errorf("%s: %v after %v", test.to, r, time.Since(began))
			}
			if r.Verdict == provider.Skipped && r.Reason != topology.ReasonSuppressed {
				t.Errorf("%s: skipped for %s", test.to, r.Reason)
			}
			job := aJob("event", test.channel, test.to)
			if s.Instant(&job) && (test.takes > 0 || test.want == provider.Down) {
				t.Errorf("%s is no instant answer", test.to)
			}
		}
	})
}

func TestSandboxLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestSandbox(t, Config{Latency: 50 * time.Millisecond})
		began := time.Now()
		if r := s.try(t.Context(), "event", topology.Email, "kim@example.test"); r.Verdict != provider.Accepted ||
			time.Since(began) != 50*time.Millisecond {
			t.Errorf("%v after %v", r, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if r := s.try(ctx, "hurried", topology.Email, "kim@example.test"); r.Verdict != provider.Failed || s.accepted != 1 {
			t.Errorf("%v, %d accepted", r, s.accepted)
		}
		job := aJob("event", topology.Email, "kim@example.test")
		if s.Instant(&job) {
			t.Error("it says that it is instant")
		}
	})
}

// TestRates: about the wished share of jobs, and always the same ones.
func TestRates(t *testing.T) {
	s := newTestSandbox(t, Config{FailRate: 0.1})
	verdicts := make(map[provider.Verdict]int)
	for i := range 10_000 {
		id := fmt.Sprintf("mail-%d", i)
		r := s.try(t.Context(), id, topology.Email, "kim@example.test")
		if again := s.try(t.Context(), id, topology.Email, "kim@example.test"); again.Verdict != r.Verdict {
			t.Fatalf("%s: %v, then %v", id, r, again)
		}
		verdicts[r.Verdict]++
	}
	for verdict, want := range map[provider.Verdict]int{provider.Rejected: 1000, provider.Accepted: 9000} {
		if got := verdicts[verdict]; got < want-250 || got > want+250 {
			t.Errorf("verdict %v: %d, want about %d", verdict, got, want)
		}
	}
}

func TestSandboxKeepsTheLast(t *testing.T) {
	s := newTestSandbox(t, Config{})
	for sent, kept := range map[int]int{3: 3, keep: keep, keep + 2: keep, 2*keep + 1: keep} {
		s.ring, s.accepted = nil, 0
		for i := range sent {
			s.try(t.Context(), fmt.Sprintf("e-%d", i), topology.Email, "kim@example.test")
		}
		messages := s.Messages()
		if len(messages) != kept || s.accepted != sent {
			t.Fatalf("kept %d of %d", len(messages), s.accepted)
		}
		for i, m := range messages {
			id := fmt.Sprintf("e-%d", sent-kept+i)
			if string(m.EventID) != id || m.Text != "text of "+id || m.To != "kim@example.test" ||
				m.JobID != topology.JobIDOf(m.EventID, 0) {
				t.Fatalf("of %s: %+v", id, m)
			}
		}
	}
}

func TestSandboxShows(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "sent")
	var lines bytes.Buffer
	s := newTestSandbox(t, Config{Dir: dir, Writer: &lines})
	s.try(t.Context(), "event", topology.Email, "kim@example.test")
	s.try(t.Context(), "other", topology.Email, "kim@example.test")
	s.try(t.Context(), "refused", topology.Email, "kim@fail.test")
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 2 || bytes.Count(lines.Bytes(), []byte("\n")) != 2 {
		t.Fatalf("%v, %v, %s", files, err, lines.Bytes())
	}
	text, err := os.ReadFile(filepath.Join(dir, files[0].Name()))
	var m Message
	if err != nil || json.Unmarshal(text, &m) != nil || m.EventID != "event" || m.Text != "text of event" {
		t.Errorf("%v: %s", err, text)
	}
	if info, _ := files[0].Info(); info.Mode().Perm()&0o077 != 0 {
		t.Errorf("others may read it: %v", info.Mode())
	}
}

// TestFilesStayInTheirFolder, whatever an event's id is.
func TestFilesStayInTheirFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "sent")
	s := newTestSandbox(t, Config{Dir: dir})
	ids := []string{"/../../shop#1", "/shop#1", "a:b.c", "https://shop/" + strings.Repeat("/..", 500) + "#1"}
	for _, id := range ids {
		if got := s.try(t.Context(), id, topology.Email, "kim@example.test"); got.Verdict != provider.Accepted {
			t.Errorf("%.40s: %+v", id, got)
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != len(ids) {
		t.Errorf("%d files, %v", len(files), err)
	}
	if name := "a:b.c." + string(topology.JobIDOf("a:b.c", 0)) + ".json"; files[len(files)-1].Name() != name {
		t.Errorf("%v, want %s among them", files, name)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space for kim@example.test") }

// TestSandboxCannotShow: what was asked to be written and cannot be is not
// accepted.
func TestSandboxCannotShow(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "sent")
	inDir := newTestSandbox(t, Config{Dir: dir})
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Provider{newTestSandbox(t, Config{Writer: fullDisk{}}), inDir} {
		r := s.try(t.Context(), "event", topology.Email, "kim@example.test")
		if r.Verdict != provider.Down || strings.Contains(r.Detail, "kim@") || s.accepted != 0 {
			t.Errorf("%v, %d accepted", r, s.accepted)
		}
	}
}

func TestBadSandbox(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, config := range []Config{
		{FailRate: -0.1}, {FailRate: 1.1}, {Latency: -1}, {Dir: file},
	} {
		if _, err := New(config); err == nil {
			t.Errorf("%+v: no error", config)
		}
	}
}
