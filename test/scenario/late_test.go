package scenario

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/redis/go-redis/v9"

	"github.com/meddela/meddela/topology"
)

// slowRelay is a mail server that keeps messages, and answers for them when the test says so.
type slowRelay struct {
	mu     sync.Mutex
	copies map[string]int           // by the label of the recipient's domain
	gates  map[string]chan struct{} // that messages to a label wait for
}

// slowMail is a connection of its.
type slowMail struct {
	*slowRelay
	label string
}

func (*slowMail) Mail(string, *smtp.MailOptions) error { return nil }
func (*slowMail) Reset()                               {}
func (*slowMail) Logout() error                        { return nil }

func (m *slowMail) Rcpt(to string, _ *smtp.RcptOptions) error {
	_, domain, _ := strings.Cut(to, "@")
	m.label, _, _ = strings.Cut(domain, ".")
	return nil
}

func (m *slowMail) Data(text io.Reader) error {
	_, err := io.Copy(io.Discard, text)
	m.mu.Lock()
	m.copies[m.label]++
	gate := m.gates[m.label]
	m.mu.Unlock()
	if gate != nil {
		<-gate
	}
	return err
}

// keep makes messages to a label wait, until open is called.
func (r *slowRelay) keep(label string) (open func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	gate := make(chan struct{})
	r.gates[label] = gate
	return sync.OnceFunc(func() { close(gate) })
}

func (r *slowRelay) has(label string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.copies[label]
}

// TestALateAnswer: a message that a mail server has, and for which it answers late, is there once, however often its
// job is looked at meanwhile, and by whom. Where the process that waits is stopped, or killed, nobody sends it again
// before the ten minutes of RFC 5321 are over; then it counts as one that may have been accepted.
func TestALateAnswer(t *testing.T) {
	everywhere(t, func(t *testing.T, s *site) {
		const lane = topology.Realtime
		relay := &slowRelay{copies: map[string]int{}, gates: map[string]chan struct{}{}}
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) {
			return &slowMail{slowRelay: relay}, nil
		}))
		go func() { _ = server.Serve(listener) }()
		t.Cleanup(func() { _ = server.Close() })
		file := filepath.Join(s.dir, "providers.yaml")
		if err := os.WriteFile(file, fmt.Appendf(nil, `providers:
  - name: relay
    channels: [email]
    kind: smtp
    timeout: 1s
    smtp: {addr: "%s", tls: none, from: shop@example.com}
`, listener.Addr()), 0o600); err != nil {
			t.Fatal(err)
		}
		s.settings = []string{"MEDDELA_PROVIDERS_FILE=" + file, "MEDDELA_SANDBOX_CHANNELS=sms,push,webhook"}
		s.startRoles(lane)
		looks := func(id string) (n int) {
			log, err := s.cluster.read(string(s.topics.DeliveryLog(lane)))
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range log {
				if bytes.Contains(r.Value, fmt.Appendf(nil, "%q", id)) {
					n++
				}
			}
			return n
		}
		lookedAt := func(id string, times int) {
			s.eventually(40*time.Second, fmt.Sprintf("%s is looked at %d times", id, times), func() error {
				if n := looks(id); n < times {
					return fmt.Errorf("%d times", n)
				}
				return nil
			})
			if n := relay.has(id); n != 1 {
				t.Errorf("%d copies of %s", n, id)
			}
		}
		const pending = "pending_delivery/transient"

		open := relay.keep("slow")
		t.Cleanup(open)
		s.publish(lane, order("slow", "slow"), order("neighbour", "neighbour"))
		s.awaitOutcomes(20*time.Second, map[string]string{"slow": pending, "neighbour": "sent"})
		lookedAt("slow", 4)
		open()
		s.awaitOutcomes(20*time.Second, map[string]string{"slow": "sent"})
		if relay.has("slow") != 1 || s.hash("slow")[topology.FieldProvider] != "relay" {
			t.Errorf("%d copies, %v", relay.has("slow"), s.hash("slow"))
		}

		store := redis.NewClient(&redis.Options{Addr: s.redis})
		t.Cleanup(func() { _ = store.Close() })
		for how, end := range map[string]func(*process){
			"stopped": func(p *process) { s.stop(p) }, "killed": s.kill9,
		} {
			held := how + "-held"
			open, openHeld := relay.keep(how), relay.keep(held)
			t.Cleanup(open)
			t.Cleanup(openHeld)
			s.publish(lane, order(how, how), event(held, `{"id":%q,"type":"invoice","email":"kim@%s.%s","ctx":{"firstName":"Kim",`+
				`"invoice":{"number":"F-1","total":"10.00","currency":"SEK","due":"2026-12-31T00:00:00Z",`+
				`"link":"https://shop.test/f1","lines":[]}}}`, held, held, recipientDomain))
			s.awaitOutcomes(20*time.Second, map[string]string{how: pending, held: pending})
			lookedAt(held, 1)
			end(s.running(topology.RoleDeliver))
			next := s.start(topology.RoleDeliver, lane)
			s.awaitGroups(lane)
			lookedAt(how, looks(how)+2)
			lookedAt(held, looks(held)+2)
			open()
			openHeld()
			s.endClaims(store)
			s.awaitOutcomes(90*time.Second, map[string]string{how: "sent", held: "delivery_error/ambiguous"})
			if relay.has(how) != 2 || relay.has(held) != 1 {
				t.Errorf("%s: %d copies, and %d of what is held", how, relay.has(how), relay.has(held))
			}
			s.eventually(10*time.Second, "both are counted", func() error {
				_, text, err := next.ask("/metrics")
				for line := range strings.Lines(text) {
					if strings.HasPrefix(line, "meddela_ambiguous_sends_total{") && strings.Contains(line, `"email"`) &&
						strings.HasSuffix(line, " 2\n") {
						return nil
					}
				}
				return fmt.Errorf("no such line: %w", err)
			})
		}
	})
}

// endClaims makes the leases of late answers end as if their ten minutes were over.
func (s *site) endClaims(store *redis.Client) {
	s.t.Helper()
	ctx := s.t.Context()
	keys, err := s.reader.keys(s.redisKeys.Claim(""))
	if err != nil {
		s.t.Fatal(err)
	}
	ended := 0
	for _, key := range keys {
		claim := strings.Split(store.Get(ctx, key).Val(), "\t") // claimed, attempt, end, owner
		if len(claim) != 4 || !strings.HasSuffix(claim[3], "/late") {
			continue
		}
		claim[2] = "1"
		if err := store.Set(ctx, key, strings.Join(claim, "\t"), redis.KeepTTL).Err(); err != nil {
			s.t.Fatal(err)
		}
		ended++
	}
	if ended != 2 {
		s.t.Errorf("%d claims of late answers", ended)
	}
}
