package providerfile

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/rs/zerolog"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

// lockedServer lets in who has the password of the moment.
type lockedServer struct {
	password      atomic.Value
	logins, mails atomic.Int64
	smtp.Session
}

func (m *lockedServer) AuthMechanisms() []string           { return []string{sasl.Plain} }
func (*lockedServer) Reset()                               {}
func (*lockedServer) Logout() error                        { return nil }
func (*lockedServer) Mail(string, *smtp.MailOptions) error { return nil }
func (*lockedServer) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (m *lockedServer) Data(r io.Reader) error {
	m.mails.Add(1)
	_, err := io.Copy(io.Discard, r)
	return err
}
func (m *lockedServer) NewSession(*smtp.Conn) (smtp.Session, error) { return m, nil }

func (m *lockedServer) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, _, password string) error {
		if m.logins.Add(1); password != m.password.Load() {
			return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "no"}
		}
		return nil
	}), nil
}

// TestReplacedPassword: while a mail server refuses the login, messages fail without an end, it is asked only so often,
// and the log says so in one line and in one for the circuit; the file's new password is used without a restart.
func TestReplacedPassword(t *testing.T) {
	m := &lockedServer{}
	m.password.Store("new-secret")
	server := smtp.NewServer(m)
	server.AllowInsecureAuth, server.Domain = true, "mx.example.test"
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(listener) }()
	defer func() { _ = server.Close(); <-done }()
	secret := filepath.Join(t.TempDir(), "password")
	write := func(text string) {
		if err := os.WriteFile(secret, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("old-secret")
	file, err := Parse("providers.yaml", fmt.Sprintf(`
providers:
  - {name: relay, kind: smtp, channels: [email], breaker: {failures: 3, open: 100ms},
     smtp: {addr: %q, tls: none, from: shop@example.com, username: shop, password: {file: %s}}}
`, listener.Addr(), secret), os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	routes, closeAll, err := file.Build(Site{Lane: topology.Realtime, Log: zerolog.New(&log)})
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll()
	send := func() provider.Response {
		job := &topology.Job{JobID: "j-1", Channel: topology.Email, To: "kim@example.com"}
		return routes[topology.Email].Send(t.Context(), job, &template.Message{To: job.To, Subject: "s", Text: "t"})
	}
	for range 10 {
		if r := send(); r.Verdict != provider.Down || !strings.Contains(r.Detail, "535 5.7.8 while authenticating") {
			t.Fatalf("%+v", r)
		}
	}
	asked := m.logins.Load()
	write("new-secret")
	for end := time.Now().Add(10 * time.Second); send().Verdict != provider.Accepted; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the new password is not used")
		}
	}
	if asked > 6 || m.mails.Load() != 1 {
		t.Errorf("%d logins were tried for 10 messages; %d were sent", asked, m.mails.Load())
	}
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	for i, want := range []string{`"provider: failing"`, `"provider: circuit open"`, `"provider: circuit closed"`} {
		if len(lines) <= i || !strings.Contains(lines[i], want) ||
			!strings.Contains(lines[i], "535 5.7.8 while authenticating") {
			t.Fatalf("the log has %q", lines)
		}
	}
	if len(lines) > 3 || strings.Contains(log.String(), "secret") {
		t.Errorf("the log has %q", lines)
	}
}
