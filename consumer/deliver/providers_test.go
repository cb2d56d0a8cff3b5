package deliver

import (
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/emersion/go-smtp"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/deliver/provider/failover"
	"github.com/meddela/meddela/consumer/deliver/provider/sandbox"
	smtpprovider "github.com/meddela/meddela/consumer/deliver/provider/smtp"
	"github.com/meddela/meddela/topology"
)

// TestSandboxInTheRole: fates become outcomes, and the slow hold up no others
// of their provider.
func TestSandboxInTheRole(t *testing.T) {
	w := newWorld(t)
	s, err := sandbox.New(sandbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	h := w.handler(t, func(c *Config) { c.Providers = map[topology.Channel]provider.Provider{topology.Email: s} })
	var jobs []topology.Job
	for _, name := range []string{"fine", "fail", "skip", "down", "slow"} {
		jobs = append(jobs, aJob(name, to(topology.Email, "kim@"+name+".example.test")))
	}
	for i, entry := range entriesOf(t, handleAll(t.Context(), t, h, batchOf(jobs...))) {
		want := []topology.Reason{
			"", topology.ReasonProviderRejected, topology.ReasonSuppressed, topology.ReasonProviderDown, "",
		}[i]
		if entry.Reason != want || entry.Provider != "sandbox" {
			t.Errorf("%s: %+v", entry.EventID, entry)
		}
	}
	if accepted := s.Messages(); len(accepted) != 2 {
		t.Errorf("%d accepted", len(accepted))
	}
}

// mailbox is a mail server that counts what it takes, for all but nobody.
type mailbox struct {
	taken   atomic.Int64
	refusal *smtp.SMTPError // of all others, at the end of a message
}

type mailSession struct{ *mailbox }

func (mailSession) Reset()                               {}
func (mailSession) Logout() error                        { return nil }
func (mailSession) Mail(string, *smtp.MailOptions) error { return nil }
func (mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	if strings.HasPrefix(to, "nobody@") {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
	}
	return nil
}

func (s mailSession) Data(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	if s.refusal != nil {
		return s.refusal
	}
	s.taken.Add(1)
	return err
}

// provider starts the server, and returns a provider that uses it.
func (m *mailbox) provider(t *testing.T) provider.Provider {
	t.Helper()
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return mailSession{m}, nil }))
	server.Domain = "mx.example.test"
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close(); <-done })
	p, err := smtpprovider.New(smtpprovider.Config{
		Host: "127.0.0.1", Port: listener.Addr().(*net.TCPAddr).Port, Security: smtpprovider.NoTLS, From: "shop@example.com",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// TestSMTPDelivery goes through the whole role.
func TestSMTPDelivery(t *testing.T) {
	mails := &mailbox{}
	w := newWorld(t)
	h := w.handler(t, func(c *Config) { c.Providers[topology.Email] = mails.provider(t) })
	jobs := manyJobs(40)
	jobs[7].To = "nobody@example.com"
	b := batchOf(jobs...)
	first := handleAll(t.Context(), t, h, b)
	for i, entry := range entriesOf(t, first) {
		switch {
		case i == 7 && entry.Reason != topology.ReasonInvalidAddress:
			t.Errorf("nobody: %s %s", entry.Status, entry.Reason)
		case i != 7 && (entry.Status != topology.Sent || entry.Provider != "smtp"):
			t.Errorf("%d: %+v", i, entry)
		}
	}
	handleAll(t.Context(), t, h, b)
	if n := mails.taken.Load(); n != 39 {
		t.Errorf("%d messages, want 39", n)
	}
}

// TestQuotaThatLooksFinal: a provider that says in a 5xx that it takes no more today costs no message and makes none
// twice: the next one has each, once, also where the job is read again.
func TestQuotaThatLooksFinal(t *testing.T) {
	for _, refusal := range []smtp.SMTPError{
		{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 4, 5}, Message: "Daily user sending limit exceeded"},
		{Code: 552, EnhancedCode: smtp.EnhancedCode{5, 2, 2}, Message: "Submission quota exceeded"},
		{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 2, 0}, Message: "SubmissionQuotaExceededException; permanent"},
		{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "Tageslimit erreicht"},
	} {
		full, other := &mailbox{refusal: &refusal}, &mailbox{}
		w := newWorld(t)
		h := w.handler(t, func(c *Config) {
			route, err := failover.New(failover.Config{Name: "email", Backends: []failover.Backend{
				{Provider: full.provider(t), Breaker: failover.Breaker{Failures: 5}}, {Provider: other.provider(t)},
			}})
			if err != nil {
				t.Fatal(err)
			}
			c.Providers[topology.Email] = route
		})
		b := batchOf(manyJobs(20)...)
		for i, entry := range entriesOf(t, handleAll(t.Context(), t, h, b)) {
			if entry.Status != topology.Sent {
				t.Errorf("%s: %d: %+v", refusal.Message, i, entry)
			}
		}
		handleAll(t.Context(), t, h, b)
		if full.taken.Load() != 0 || other.taken.Load() != 20 {
			t.Errorf("%s: %d copies of 20, and %d", refusal.Message, other.taken.Load(), full.taken.Load())
		}
	}
}
