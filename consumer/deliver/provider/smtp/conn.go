package smtp

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"github.com/wneessen/go-mail/smtp"
)

// session is one connection to a mail server. The client's own methods hold a
// lock while they wait, so what bounds them is the deadline of the raw
// connection below.
type session struct {
	client   *smtp.Client
	raw      net.Conn
	messages int
	used     bool // a transaction was begun on it
	broken   bool
}

// connect connects, encrypts and authenticates.
func (s *Provider) connect(ctx context.Context) (*session, *failure) {
	var dialer net.Dialer
	raw, err := dialer.DialContext(ctx, "tcp", s.config.address())
	if err != nil {
		return nil, &failure{stage: stageConnect, err: err}
	}
	conn := &session{raw: raw}
	defer conn.bound(ctx)()
	if fault := s.greet(ctx, conn); fault != nil {
		conn.drop()
		return nil, fault
	}
	return conn, nil
}

func (s *Provider) greet(ctx context.Context, conn *session) *failure {
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
	if err := client.Hello(s.config.Hello); err != nil {
		return &failure{stage: stageGreeting, err: err}
	}
	if fault := s.encrypt(client); fault != nil {
		return fault
	}
	return s.authenticate(client)
}

func (s *Provider) encrypt(client *smtp.Client) *failure {
	offered, _ := client.Extension("STARTTLS")
	switch {
	case s.config.Security == StartTLS && !offered:
		return &failure{stage: stageTLS, err: errNoTLSOffered}
	case s.config.Security == StartTLS, s.config.Security == StartTLSIfOffered && offered:
		if err := client.StartTLS(s.tls()); err != nil {
			return &failure{stage: stageTLS, err: err}
		}
	}
	return nil
}

func (s *Provider) tls() *tls.Config {
	if s.config.TLS == nil {
		return &tls.Config{ServerName: s.config.Host, MinVersion: tls.VersionTLS12}
	}
	config := s.config.TLS.Clone()
	if config.ServerName == "" {
		config.ServerName = s.config.Host
	}
	return config
}

var longAgo = time.Unix(1, 0)

// bound makes everything on the connection end with ctx, until the function
// that it returns is called.
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

// send hands over one message.
func (c *session) send(ctx context.Context, from, to string, text []byte) *failure {
	defer c.bound(ctx)()
	e, fault := c.envelope(from, to)
	if fault != nil {
		return fault
	}
	fault = c.open(e)
	c.used = true
	if fault != nil {
		return fault
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
		return endFault(err)
	}
	if _, _, err := c.client.Text.ReadResponse(250); err != nil {
		return endFault(err)
	}
	return nil
}

func (c *session) usable() bool { return !c.broken }

// drop closes the connection without a word.
func (c *session) drop() { _ = c.raw.Close() }

// politeness is how long a server may take to answer the end of a connection.
const politeness = time.Second

// quit ends the connection as the protocol wants it.
func (c *session) quit() {
	_ = c.raw.SetDeadline(time.Now().Add(politeness))
	_ = c.client.Quit()
	_ = c.raw.Close()
}
