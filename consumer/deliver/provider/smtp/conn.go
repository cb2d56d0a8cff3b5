package smtp

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/wneessen/go-mail/smtp"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/outbound"
	"github.com/meddela/meddela/topology"
)

// session is one connection to a mail server. The client's own methods hold a lock while they wait, so what bounds them
// is the deadline of the raw connection below.
type session struct {
	client   *smtp.Client
	raw      net.Conn
	messages int
	used     bool // a transaction was begun on it
	broken   bool
	idle     *time.Timer // ends it, while it is in the pool
}

// connect connects, encrypts and authenticates. Where the password is refused, and there is another by now, it does so
// again with that.
func (s *Provider) connect(ctx context.Context) (conn *session, failed *failure) {
	password, err := s.password(ctx, "")
	for again := false; err == nil; again = true {
		if conn, failed = s.login(ctx, password); failed == nil || failed.stage != stageAuth || again {
			return conn, failed
		}
		if code, _, _ := failed.answered(); code != "535" {
			return nil, failed
		}
		before := password
		if password, err = s.password(ctx, before); password == before {
			return nil, failed
		}
	}
	return nil, &failure{stage: stageAuth, err: &unsaid{provider.Down, "", err.Error()}}
}

// password is that of the moment, or a token other than one that was refused if there may be another.
func (s *Provider) password(ctx context.Context, refused string) (string, error) {
	switch {
	case s.tokens != nil:
		return s.tokens.Get(ctx, refused)
	case s.config.Password != nil:
		return s.config.Password(), nil
	}
	return "", nil
}

func (s *Provider) login(ctx context.Context, password string) (*session, *failure) {
	var dialer net.Dialer
	raw, err := dialer.DialContext(ctx, "tcp", s.config.Addr())
	if err != nil {
		return nil, &failure{stage: stageConnect, err: err}
	}
	conn := &session{raw: &bounded{Conn: raw}}
	defer conn.bound(ctx)()
	if failed := s.greet(ctx, conn, password); failed != nil {
		conn.drop()
		return nil, failed
	}
	return conn, nil
}

// mostSaid is how many bytes a server may send before it is asked again.
const mostSaid = 64 << 10

var errTalksOn = errors.New("the server's answer does not end")

// bounded is a connection to a server that must come to an end.
type bounded struct {
	net.Conn
	said int
}

func (b *bounded) Write(p []byte) (int, error) {
	b.said = 0
	return b.Conn.Write(p)
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.said >= mostSaid {
		return 0, errTalksOn
	}
	n, err := b.Conn.Read(p)
	b.said += n
	return n, err
}

func (s *Provider) greet(ctx context.Context, conn *session, password string) *failure {
	line := conn.raw
	if s.config.Security == ImplicitTLS {
		encrypted := tls.Client(conn.raw, s.tls())
		if err := encrypted.HandshakeContext(ctx); err != nil {
			return &failure{stage: stageTLS, err: err}
		}
		line = encrypted
	}
	client, err := smtp.NewClient(line, s.config.Host)
	if err != nil {
		return &failure{stage: stageGreeting, err: err}
	}
	conn.client = client
	if err := client.Hello(s.hello(conn.raw.LocalAddr())); err != nil {
		return &failure{stage: stageGreeting, err: err}
	}
	offered, _ := client.Extension("STARTTLS")
	switch {
	case s.config.Security == StartTLS && !offered:
		return &failure{stage: stageTLS, err: errNoTLSOffered}
	case s.config.Security == StartTLS, s.config.Security == StartTLSIfOffered && offered:
		if err := client.StartTLS(s.tls()); err != nil {
			return &failure{stage: stageTLS, err: err}
		}
	}
	return s.authenticate(client, password)
}

func (s *Provider) tls() *tls.Config {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.config.TLS != nil {
		config = s.config.TLS().Clone()
	}
	config.ServerName = cmp.Or(s.config.ServerName, config.ServerName, s.config.Host)
	return config
}

// hello is the name that this machine gives itself: in full, or else its address on the connection (RFC 5321, 4.1.3).
func (s *Provider) hello(local net.Addr) string {
	here, err := netip.ParseAddrPort(local.String())
	switch ip := here.Addr().Unmap().WithZone(""); {
	case s.config.Hello != "":
		return s.config.Hello
	case err != nil:
		return "[127.0.0.1]"
	case ip.Is4():
		return "[" + ip.String() + "]"
	default:
		return "[IPv6:" + ip.String() + "]"
	}
}

var (
	helloName = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.|$))+$|^\[[A-Za-z0-9:.]+\]$`)
	// hereOnly are names that mean nothing elsewhere.
	hereOnly = regexp.MustCompile(`^[^.]*$|(?i)\.(local|localdomain|localhost|internal|lan|home\.arpa)$`)
)

// fullName is a machine's name if others may know it, or else empty.
func fullName(name string) string {
	if name = strings.TrimSuffix(name, "."); !helloName.MatchString(name) || hereOnly.MatchString(name) {
		return ""
	}
	return name
}

var longAgo = time.Unix(1, 0)

// bound makes everything on the connection end with ctx, until the function that it returns is called.
func (c *session) bound(ctx context.Context) (release func()) {
	deadline, _ := ctx.Deadline()
	_ = c.raw.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { _ = c.raw.SetDeadline(longAgo) })
	return func() {
		if !stop() {
			c.broken = true // the deadline may still be set to the past
		}
	}
}

// answerTime is how long a server may take to answer for a message that it has (RFC 5321, 4.5.3.2.6).
const answerTime = 10 * time.Minute

// send hands over one message. Where the answer does not come before ctx ends, it is late.
func (c *session) send(ctx context.Context, from, to string, text []byte) *failure {
	if failed := c.transmit(ctx, from, to, text); failed != nil {
		return failed
	}
	_ = c.raw.SetDeadline(time.Now().Add(answerTime))
	answer := make(chan *failure, 1)
	go func() { answer <- c.acceptance() }()
	select {
	case failed := <-answer:
		return failed
	case <-ctx.Done():
		return &failure{stage: stageEnd, err: ctx.Err(), late: answer, conn: c}
	}
}

// transmit says everything up to the dot that ends the message.
func (c *session) transmit(ctx context.Context, from, to string, text []byte) *failure {
	defer c.bound(ctx)()
	if _, most := c.client.Extension("SIZE"); most != "" { // RFC 1870; 0 if it does not say
		if n, err := strconv.Atoi(most); err == nil && 0 < n && n < len(text) {
			return &failure{stage: stageMail, err: errTooLarge}
		}
	}
	if failed := c.open(from, to); failed != nil {
		return failed
	}
	body := c.client.Text.DotWriter()
	if _, err := body.Write(text); err != nil {
		return &failure{stage: stageContent, err: err}
	}
	// What is buffered goes out before the dot that ends the message, so that
	// a connection found broken here has certainly not ended it.
	if err := c.client.Text.W.Flush(); err != nil {
		return &failure{stage: stageContent, err: err}
	}
	c.messages++
	if err := body.Close(); err != nil {
		return &failure{stage: stageEnd, err: err}
	}
	return nil
}

// acceptance waits for the answer to a message.
func (c *session) acceptance() *failure {
	if err := readReply(&c.client.Text.Reader, "2"); err != nil { // it may be accepted in other words than usual
		return &failure{stage: stageEnd, err: err}
	}
	return nil
}

// drop closes the connection without a word.
func (c *session) drop() { _ = c.raw.Close() }

// quitTime is how long a server may take to answer the end of a connection.
const quitTime = time.Second

// quit ends the connection as the protocol wants it.
func (c *session) quit() {
	_ = c.raw.SetDeadline(time.Now().Add(quitTime))
	_ = c.client.Quit()
	_ = c.raw.Close()
}

const mechanismOAuth = "XOAUTH2"

type mechanism struct {
	name string
	auth func(user, password, host string) smtp.Auth
}

// mechanisms of authentication by preference. XOAUTH2 is used only when it is
// asked for. That the line is safe is looked at before.
var mechanisms = []mechanism{
	{"SCRAM-SHA-256", func(user, password, _ string) smtp.Auth { return smtp.ScramSHA256Auth(user, password) }},
	{"PLAIN", func(user, password, host string) smtp.Auth { return smtp.PlainAuth("", user, password, host, true) }},
	{"LOGIN", func(user, password, host string) smtp.Auth { return smtp.LoginAuth(user, password, host, true) }},
	{"CRAM-MD5", func(user, password, _ string) smtp.Auth { return smtp.CRAMMD5Auth(user, password) }},
	{mechanismOAuth, func(user, password, _ string) smtp.Auth { return smtp.XOAuth2Auth(user, password) }},
}

func knownMechanism(wanted string) bool {
	return wanted == "" || slices.ContainsFunc(mechanisms, func(m mechanism) bool { return m.name == wanted })
}

// unsaid is why a server is not told what it would refuse.
type unsaid struct {
	verdict provider.Verdict
	reason  topology.Reason
	text    string
}

func (u *unsaid) Error() string { return u.text }

var (
	errNoTLSOffered   = &unsaid{provider.Down, "", "the server does not offer STARTTLS"}
	errNoMechanism    = &unsaid{provider.Down, "", "the server does not offer the authentication that is wanted"}
	errOpenConnection = &unsaid{provider.Down, "",
		"the connection is not encrypted, so the credentials are kept back"}
	errNotInternational = &unsaid{provider.Skipped, topology.ReasonInvalidAddress,
		"the server does not take addresses with letters outside ASCII"}
	errSender = &unsaid{provider.Down, "",
		"the server does not take addresses with letters outside ASCII, which the sender's (from) has"}
	errTooLarge = &unsaid{provider.Rejected, "", "the message is larger than the server takes"}
)

// authenticate logs in, where there are credentials.
func (s *Provider) authenticate(client *smtp.Client, password string) *failure {
	if s.config.Username == "" {
		return nil
	}
	_, encrypted := client.TLSConnectionState()
	_, offer := client.Extension("AUTH")
	offered := strings.Fields(strings.ToUpper(offer))
	for _, m := range mechanisms {
		if m.name != cmp.Or(s.config.Mechanism, m.name) || s.config.Mechanism == "" && m.name == mechanismOAuth ||
			!slices.Contains(offered, m.name) {
			continue
		}
		if !encrypted && !outbound.IsLoopback(s.config.Host) {
			return &failure{stage: stageAuth, err: errOpenConnection}
		}
		if err := client.Auth(m.auth(s.config.Username, password, s.config.Host)); err != nil {
			return &failure{stage: stageAuth, err: err}
		}
		return nil
	}
	return &failure{stage: stageAuth, err: errNoMechanism}
}

// pool keeps connections that have no message to send. The last one that came
// back goes out first, so that those that are too many stay idle.
type pool struct {
	idle time.Duration // how long

	mu    sync.Mutex
	conns []*session
}

// take returns a connection, or nil when there is none.
func (p *pool) take() *session {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.conns)
	if n == 0 {
		return nil
	}
	last := p.conns[n-1]
	p.conns[n-1] = nil
	p.conns = p.conns[:n-1]
	last.idle.Stop()
	return last
}

// put keeps a connection until it is taken or has been idle for too long.
func (p *pool) put(conn *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	conn.idle = time.AfterFunc(p.idle, func() { p.closeIdle(conn) })
	p.conns = append(p.conns, conn)
}

// closeIdle ends a connection, unless it has been taken meanwhile.
func (p *pool) closeIdle(conn *session) {
	p.mu.Lock()
	at := slices.Index(p.conns, conn)
	if at >= 0 {
		p.conns = slices.Delete(p.conns, at, at+1)
	}
	p.mu.Unlock()
	if at >= 0 {
		conn.quit()
	}
}
