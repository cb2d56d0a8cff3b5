// Package smtp is a provider that hands e-mail to a mail server.
package smtp

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/deliver/recipient/address"
	"github.com/meddela/meddela/consumer/outbound"
	"github.com/meddela/meddela/consumer/outbound/token"
	"github.com/meddela/meddela/consumer/receipt"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

// Security is how connections to a mail server are encrypted.
type Security string

const (
	// StartTLS demands encryption after connecting: port 587.
	StartTLS Security = "starttls"
	// StartTLSIfOffered encrypts when the server offers it. Whoever stands between can prevent that.
	StartTLSIfOffered Security = "starttls-if-offered"
	// ImplicitTLS encrypts from the first byte: port 465.
	ImplicitTLS Security = "tls"
	// NoTLS does not encrypt: port 25.
	NoTLS Security = "none"
)

// Config says which mail server to hand messages to, and how.
type Config struct {
	// Name in the delivery log. Default "smtp".
	Name string
	Host string
	// Port. Default by Security.
	Port int
	// Security. Default StartTLS.
	Security Security
	// TLS settings for the next connection. Default: at least TLS 1.2, and Host must be in the server's certificate.
	TLS func() *tls.Config

	// Username and Password, if the server wants them. They are not sent
	// over connections that are not encrypted, except to this machine.
	Username string
	Password outbound.Secret
	// Token gets the tokens of XOAUTH2, instead of a Password.
	Token token.Kind
	// Mechanism of authentication: PLAIN, LOGIN, CRAM-MD5, SCRAM-SHA-256 or XOAUTH2, of which Password is the token.
	// Default: the best that the server offers, other than XOAUTH2.
	Mechanism string

	// From is the sender's address, FromName the name beside it.
	From, FromName string
	// ReplyTo is where answers go, if not to From.
	ReplyTo string

	// Concurrency of messages, thus of connections. Default 8.
	Concurrency int
	// Timeout of one try. Default 8 s.
	Timeout time.Duration
	// IdleTimeout closes a connection that is not used. Default 20 s.
	IdleTimeout time.Duration
	// MaxMessages of one connection. Default 100.
	MaxMessages int
	// Hello is the name that this machine gives itself. Default its own where that is a full one, such as
	// mail.example.com, and else its address.
	Hello string
	// ServerName is the name in the server's certificate. Default Host.
	ServerName string
	// Answers say what refusals mean, the first that fits, before what is known of them anyway.
	Answers []Rule

	// Bounces is the domain that messages are sent from, at an address that is the
	// message's reference, so that role receive knows what comes back (VERP). Messages
	// whose reference is too long for that are sent from From. Default: all are.
	Bounces string
	// Ref makes the references.
	Ref func(job *topology.Job, to string) string

	// DKIM signs messages, if it has a domain.
	DKIM DKIM
	// Attachments says where files may be fetched from. Default nowhere.
	Attachments Attachments
}

// Provider hands e-mail to a mail server. It keeps connections for further messages.
type Provider struct {
	config Config
	from   mail.Address
	domain string // of the sender, and of message ids
	idle   pool
	dkim   *DKIM            // nil for no signature
	files  *outbound.Client // of attachments
	tokens *token.Source    // nil for a password
	asks   *outbound.Client // for tokens

	closed context.Context // ends when no answer is waited for any longer
	close  func()
}

// New returns a Provider, or what is wrong with the configuration. It does not connect.
func New(c Config) (*Provider, error) {
	c.Security = cmp.Or(c.Security, StartTLS)
	port, known := map[Security]int{StartTLS: 587, StartTLSIfOffered: 25, ImplicitTLS: 465, NoTLS: 25}[c.Security]
	c.Name = cmp.Or(c.Name, "smtp")
	c.Port = cmp.Or(c.Port, port)
	c.Concurrency = cmp.Or(c.Concurrency, 8)
	c.Timeout = cmp.Or(c.Timeout, 8*time.Second)
	c.IdleTimeout = cmp.Or(c.IdleTimeout, 20*time.Second)
	c.MaxMessages = cmp.Or(c.MaxMessages, 100)
	c.Attachments.MaxBytes = cmp.Or(c.Attachments.MaxBytes, 10<<20)
	c.From, c.ReplyTo = address.Wire(c.From), address.Wire(c.ReplyTo)
	for _, name := range []*string{&c.Host, &c.ServerName, &c.Hello, &c.Bounces, &c.DKIM.Domain} {
		*name = asciiHost(*name)
	}
	if c.Token != nil {
		c.Mechanism = cmp.Or(c.Mechanism, mechanismOAuth)
	}
	_, domain := address.Split(c.From)
	if c.Hello == "" {
		name, _ := os.Hostname()
		c.Hello = fullName(name)
	}
	switch {
	case c.Host == "":
		return nil, errors.New("smtp: no host")
	case !known:
		return nil, fmt.Errorf("smtp: unknown security %q: use %s, %s, %s or %s",
			c.Security, StartTLS, StartTLSIfOffered, ImplicitTLS, NoTLS)
	case c.Port < 1 || c.Port > 65535:
		return nil, fmt.Errorf("smtp: %d is no port", c.Port)
	case c.Concurrency < 1 || c.MaxMessages < 1 || c.Timeout < 0 || c.IdleTimeout < 0:
		return nil, errors.New("smtp: numbers must be greater than 0")
	case !address.ValidEmail(c.From):
		return nil, errors.New("smtp: the sender (from) must be a plain address such as shop@example.com")
	case c.ReplyTo != "" && !address.ValidEmail(c.ReplyTo):
		return nil, errors.New("smtp: reply-to must be a plain address such as help@example.com")
	case c.Bounces != "" && !address.ValidEmail("a@"+c.Bounces):
		return nil, errors.New("smtp: bounces must be a domain such as bounces.example.com")
	case hasControl(c.FromName):
		return nil, errors.New("smtp: the sender's name must not have control characters")
	case c.Hello != "" && !helloName.MatchString(c.Hello):
		return nil, errors.New("smtp: hello must be a full name such as mail.example.com, or an address such as [192.0.2.1]")
	case c.Username != "" && c.Security == NoTLS && !outbound.IsLoopback(c.Host):
		return nil, errors.New("smtp: credentials need encryption: set security to starttls or tls")
	case c.Username != "" && (c.Password == nil) == (c.Token == nil):
		return nil, errors.New("smtp: a username needs a password or tokens, and not both")
	case c.Token != nil && (c.Username == "" || c.Mechanism != mechanismOAuth):
		return nil, errors.New("smtp: tokens need a username, and no mechanism but XOAUTH2")
	case !knownMechanism(c.Mechanism):
		return nil, fmt.Errorf("smtp: unknown mechanism %q: use PLAIN, LOGIN, CRAM-MD5, SCRAM-SHA-256 or XOAUTH2",
			c.Mechanism)
	}
	c.Answers = slices.Clone(c.Answers)
	for i := range c.Answers {
		if err := c.Answers[i].read(); err != nil {
			return nil, fmt.Errorf("smtp: answer %d: %w", i+1, err)
		}
	}
	signing, err := c.DKIM.signing()
	if err != nil {
		return nil, fmt.Errorf("smtp: dkim: %w", err)
	}
	closed, stop := context.WithCancel(context.Background())
	s := &Provider{
		closed: closed, close: stop,
		config: c,
		dkim:   signing,
		files: outbound.New(outbound.Config{
			MaxBody: c.Attachments.MaxBytes + 1, AllowPrivate: c.Attachments.AllowPrivate,
		}),
		from:   mail.Address{Name: c.FromName, Address: c.From},
		domain: asciiHost(domain),
		idle:   pool{idle: c.IdleTimeout},
	}
	if c.Token != nil {
		s.asks = outbound.New(outbound.Config{AllowPrivate: true, ClearInside: true}) // its target is the operator's
		if s.tokens, err = c.Token.Source(s.asks); err != nil {
			return nil, fmt.Errorf("smtp: %w", err)
		}
	}
	if _, err := s.compose(messageID("test", s.domain), c.From, &template.Message{Text: "test"}, nil); err != nil {
		return nil, errors.New("smtp: " + unwritable(err))
	}
	return s, nil
}

// Addr is the server's host and port.
func (c *Config) Addr() string { return net.JoinHostPort(c.Host, strconv.Itoa(c.Port)) }

// Name implements Provider.
func (s *Provider) Name() string { return s.config.Name }

// Concurrency implements Provider.
func (s *Provider) Concurrency() int { return s.config.Concurrency }

// Close closes the connections that wait for messages, or for late answers. Sending goes on to work.
func (s *Provider) Close() {
	s.close()
	for conn := s.idle.take(); conn != nil; conn = s.idle.take() {
		conn.quit()
	}
	s.files.Close()
	if s.asks != nil {
		s.asks.Close()
	}
}

// Send implements Provider.
func (s *Provider) Send(ctx context.Context, job *topology.Job, m *template.Message) provider.Response {
	to := address.Wire(m.To)
	if !address.ValidEmail(to) {
		return provider.Response{
			Verdict: provider.Skipped, Reason: topology.ReasonInvalidAddress,
			Detail: "the address is not of the form local@domain",
		}
	}
	id := messageID(job.JobID, s.domain)
	ctx, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	held := int64(0)
	if len(m.Attachments) > 0 { // one without any needs no room: Acquire would have it wait behind those that do
		held = int64(min(s.config.Attachments.MaxBytes, mostFiles)) // how large they are is not known yet
		end, _ := ctx.Deadline()
		waiting, stop := context.WithTimeout(ctx, time.Until(end)/waitShare)
		defer stop()
		if room.Acquire(waiting, held) != nil {
			return provider.Response{Verdict: provider.Throttled, Detail: "there was no room for its attachments in time"}
		}
	}
	defer func() { room.Release(held) }()
	files, missing := s.fetch(ctx, m.Attachments)
	if missing != nil {
		return *missing
	}
	text, err := s.compose(id, to, m, files)
	if err != nil {
		return provider.Response{Verdict: provider.Rejected, Detail: unwritable(err)}
	}
	rest := min(held, int64(len(text)))
	room.Release(held - rest)
	held = rest
	failed := s.hand(ctx, job, to, text)
	response := s.meaning(id, failed)
	if failed != nil && failed.late != nil {
		response.Late = &late{provider: s, id: id, failure: failed}
	}
	return response
}

func (s *Provider) meaning(id string, failed *failure) provider.Response {
	switch failed {
	case nil:
		return provider.Response{Verdict: provider.Accepted, MessageID: id}
	case errExpired:
		return provider.Response{Verdict: provider.Expired}
	}
	return failed.response(s.config.Answers)
}

// late is the answer for a message that the server has.
type late struct {
	*failure
	provider *Provider
	id       string
}

// Wait implements provider.Late.
func (l *late) Wait(ctx context.Context) provider.Response {
	unknown := l.provider.meaning(l.id, l.failure)
	select {
	case failed := <-l.late:
		l.provider.done(l.conn, failed)
		return l.provider.meaning(l.id, failed)
	case <-ctx.Done():
	case <-l.provider.closed.Done():
		unknown.Late = l
	}
	l.conn.drop()
	return unknown
}

// sender is the address that bounces of a message go to.
func (s *Provider) sender(job *topology.Job, to string) string {
	if s.config.Bounces != "" && s.config.Ref != nil {
		if ref := s.config.Ref(job, to); len(ref) <= receipt.MaxLength {
			return ref + "@" + s.config.Bounces
		}
	}
	return s.config.From
}

// errExpired is that the job's validity has ended.
var errExpired = new(failure)

// hand hands a message to the server. A kept connection over which the server takes no more says so before the message
// is there, and another is taken.
func (s *Provider) hand(ctx context.Context, job *topology.Job, to string, text []byte) *failure {
	for {
		conn := s.idle.take()
		kept := conn != nil
		if !kept {
			var failed *failure
			if conn, failed = s.connect(ctx); failed != nil {
				return failed
			}
		}
		if job.Expired(time.Now()) {
			s.idle.put(conn)
			return errExpired
		}
		failed := conn.send(ctx, s.sender(job, to), to, text)
		if failed != nil && failed.late != nil {
			return failed
		}
		s.done(conn, failed)
		if failed == nil || !failed.endsSession() || !kept || ctx.Err() != nil {
			return failed
		}
	}
}

// done keeps a connection for the next message, or ends it.
func (s *Provider) done(conn *session, failed *failure) {
	switch {
	case failed == nil && (conn.broken || conn.messages >= s.config.MaxMessages):
		conn.quit()
	case failed == nil, !failed.endsSession() && failed.keepsConnection() && !conn.broken:
		s.idle.put(conn)
	default:
		conn.drop()
	}
}
