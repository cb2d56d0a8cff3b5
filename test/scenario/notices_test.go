package scenario

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/meddela/meddela/topology"
)

// TestNotices: a receiver in another language is told of every end, each signed;
// what it was away for, it is told when it is back; a role that is killed loses
// nothing.
func TestNotices(t *testing.T) {
	everywhere(t, func(t *testing.T, s *site) {
		const lane = topology.Realtime
		port := freePort(t)
		file := filepath.Join(s.dir, "notices.yaml")
		told := filepath.Join(s.dir, "told.jsonl")
		config := fmt.Sprintf("webhooks:\n  - {name: crm, url: \"http://127.0.0.1:%d/\", types: [order_confirmation], secrets: [{env: NOTICES_SECRET}], allow_private: true}\n", port)
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		s.settings = []string{"MEDDELA_NOTICES_FILE=" + file, "NOTICES_SECRET=" + receiverSecret}
		s.startRoles(lane)
		notifier := s.start(topology.RoleNotify, lane)
		want := map[string]string{}
		tell := func(id, label, outcome string) {
			s.publish(lane, order(id, label))
			want[id] = outcome
		}
		stop := startReceiver(t, port, told)
		for i := range 20 {
			tell(fmt.Sprintf("first-%d", i), "mail", "sent")
		}
		tell("refused", "fail", "delivery_error/provider_rejected")
		s.publish(lane, event("other", `{"id":"other","type":"unheard_of","email":"kim@mail.%s","ctx":{}}`, recipientDomain))
		s.eventually(20*time.Second, "the receiver is told of all that it asked for",
			func() error { return toldOf(told, want) })

		stop()
		tell("while-away", "mail", "sent")
		s.awaitOutcomes(20*time.Second, want)
		s.eventually(10*time.Second, "the notice waits", func() error {
			records, err := s.cluster.read(string(s.topics.Delay(lane, topology.TierFor(10*time.Second))))
			if err == nil && len(records) == 0 {
				err = errors.New("there is none")
			}
			return err
		})
		startReceiver(t, port, told)
		s.kill9(notifier)
		tell("while-dead", "mail", "sent")
		s.start(topology.RoleNotify, lane)
		s.eventually(60*time.Second, "the receiver is told of the rest", func() error { return toldOf(told, want) })
	})
}

var (
	portsMu sync.Mutex
	ports   = make(map[int]bool)
)

// freePort returns a port that nobody listens on, and each port once: the kernel
// offers one again as soon as it is closed, perhaps to a scenario beside this one.
func freePort(t *testing.T) int {
	t.Helper()
	portsMu.Lock()
	defer portsMu.Unlock()
	for range 100 {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := listener.Addr().(*net.TCPAddr).Port
		_ = listener.Close()
		if !ports[port] {
			ports[port] = true
			return port
		}
	}
	t.Fatal("every port that the kernel offers is another scenario's")
	return 0
}

const receiverSecret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

// startReceiver starts the receiver and returns when it listens.
func startReceiver(t *testing.T, port int, file string) (stop func()) {
	t.Helper()
	command := exec.Command("python3", "receiver.py", strconv.Itoa(port), receiverSecret, file)
	command.Stderr = os.Stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	stop = func() { _ = command.Process.Kill(); _ = command.Wait() }
	t.Cleanup(stop)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(pollInterval) {
		connection, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			_ = connection.Close()
			return stop
		}
		if time.Now().After(end) {
			t.Fatal("the receiver does not listen")
		}
	}
}

// toldOf checks that a receiver was told how each event has ended, and of no
// other. It may be told twice, under one id.
func toldOf(file string, want map[string]string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	told := make(map[string]string)
	ids := make(map[string]string)
	for line := range bytes.Lines(text) {
		var notice struct{ ID, Event, Status string }
		if err := json.Unmarshal(line, &notice); err != nil {
			return err
		}
		if other, ok := ids[notice.Event]; ok && other != notice.ID {
			return fmt.Errorf("%s was told under two ids", notice.Event)
		}
		told[notice.Event], ids[notice.Event] = notice.Status, notice.ID
	}
	for id, outcome := range want {
		if status, _, _ := strings.Cut(outcome, "/"); told[id] != status {
			return fmt.Errorf("of %s it was told %q, not %q", id, told[id], status)
		}
		delete(told, id)
	}
	if len(told) > 0 {
		return fmt.Errorf("it was told of others: %v", told)
	}
	return nil
}
