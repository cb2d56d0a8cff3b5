package producer

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/saslauthenticate"
	"github.com/segmentio/kafka-go/protocol/saslhandshake"
	"github.com/segmentio/kafka-go/sasl"
)

// dial connects, encrypts and logs in, by the configuration of this moment.
func (c Connection) dial(ctx context.Context, network, address string) (net.Conn, error) {
	open := func(ctx context.Context) (conn net.Conn, lifetime time.Duration, err error) {
		ctx, cancel := context.WithTimeout(ctx, dialTimeout)
		defer cancel()
		dialer := &net.Dialer{KeepAlive: 30 * time.Second}
		switch {
		case c.DialContext != nil:
			conn, err = c.DialContext(ctx, network, address)
		case c.TLS == nil:
			conn, err = dialer.DialContext(ctx, network, address)
		default:
			conn, err = (&tls.Dialer{NetDialer: dialer, Config: c.TLS()}).DialContext(ctx, network, address)
		}
		if err != nil || c.SASL == nil {
			return conn, 0, err
		}
		if lifetime, err = c.login(ctx, conn, address); err != nil {
			_ = conn.Close()
		}
		return conn, lifetime, err
	}
	conn, lifetime, err := open(ctx)
	if err != nil || lifetime == 0 {
		return conn, err
	}
	s := &session{open: open}
	s.begin(conn, lifetime)
	return s, nil
}

// Ask makes a request that any broker can answer, of a version, on a connection of its own.
func (c Connection) Ask(ctx context.Context, request protocol.Message, version int16) (protocol.Message, error) {
	err := error(net.UnknownNetworkError("no brokers"))
	for _, address := range c.Brokers {
		var conn net.Conn
		if conn, err = c.dial(ctx, "tcp", address); err != nil {
			continue
		}
		_ = conn.SetDeadline(time.Now().Add(dialTimeout))
		requests := protocol.NewConn(conn, c.clientID())
		requests.SetVersions(map[protocol.ApiKey]int16{request.ApiKey(): version})
		var answer protocol.Message
		answer, err = requests.RoundTrip(request)
		_ = conn.Close()
		if err == nil {
			return answer, nil
		}
	}
	return nil, err
}

// login says who we are, and returns how long brokers believe it; 0 is for ever.
func (c Connection) login(ctx context.Context, conn net.Conn, address string) (time.Duration, error) {
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return 0, err
	}
	host, port, _ := net.SplitHostPort(address)
	number, _ := strconv.Atoi(port)
	requests := protocol.NewConn(conn, c.clientID())
	requests.SetVersions(map[protocol.ApiKey]int16{protocol.SaslHandshake: 1, protocol.SaslAuthenticate: 1})
	agreed, err := requests.RoundTrip(&saslhandshake.Request{Mechanism: c.SASL.Name()})
	if err != nil {
		return 0, err
	}
	if code := agreed.(*saslhandshake.Response).ErrorCode; code != 0 {
		return 0, kafka.Error(code)
	}
	var answer *saslauthenticate.Response
	steps, state, err := c.SASL.Start(sasl.WithMetadata(ctx, &sasl.Metadata{Host: host, Port: number}))
	for done := false; err == nil && !done; {
		if answer, err = authenticate(requests, state); err == nil {
			done, state, err = steps.Next(ctx, answer.AuthBytes)
		}
	}
	if err != nil {
		return 0, err
	}
	return time.Duration(answer.SessionLifetimeMs) * time.Millisecond, conn.SetDeadline(time.Time{})
}

func authenticate(requests *protocol.Conn, state []byte) (*saslauthenticate.Response, error) {
	answer, err := requests.RoundTrip(&saslauthenticate.Request{AuthBytes: state})
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, kafka.SASLAuthenticationFailed // which some brokers say by hanging up
	}
	if err != nil {
		return nil, err
	}
	got := answer.(*saslauthenticate.Response)
	if got.ErrorCode != 0 {
		return nil, kafka.Error(got.ErrorCode)
	}
	return got, nil
}

// session is a connection to a broker that believes a login for a while only
// (connections.max.reauth.ms), and hangs up on what is asked later. Before that, and
// when no answer is awaited, it goes on over a new connection: the client would take
// the loss of one for the loss of the broker, and leave its consumer group.
type session struct {
	open func(context.Context) (net.Conn, time.Duration, error)

	mu              sync.Mutex
	conn            net.Conn
	renew, end      time.Time
	closed          bool
	asked, answered messages
	reads, writes   time.Time // deadlines
}

// begin goes on over a connection, which a broker may believe without end.
func (s *session) begin(conn net.Conn, lifetime time.Duration) {
	if lifetime <= 0 {
		lifetime = 100 * 365 * 24 * time.Hour
	}
	now := time.Now()
	s.conn, s.renew, s.end = conn, now.Add(lifetime*2/3), now.Add(lifetime)
}

// renewed tries to replace the connection. The one that is there serves as long as it can.
func (s *session) renewed() {
	conn, lifetime, err := s.open(context.Background())
	if err != nil {
		s.renew = time.Now().Add(max(time.Until(s.end)/2, time.Second))
		return
	}
	_ = s.conn.Close()
	s.begin(conn, lifetime)
	_, _ = conn.SetReadDeadline(s.reads), conn.SetWriteDeadline(s.writes)
}

func (s *session) Write(b []byte) (int, error) {
	s.mu.Lock()
	if !s.closed && s.asked.begun == s.answered.ended && time.Now().After(s.renew) {
		s.renewed()
	}
	s.asked.pass(b)
	conn := s.conn
	s.mu.Unlock()
	return conn.Write(b)
}

func (s *session) Read(b []byte) (int, error) {
	n, err := s.now().Read(b)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answered.pass(b[:n])
	return n, err
}

func (s *session) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return s.conn.Close()
}

func (s *session) now() net.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conn
}

func (s *session) LocalAddr() net.Addr  { return s.now().LocalAddr() }
func (s *session) RemoteAddr() net.Addr { return s.now().RemoteAddr() }

func (s *session) SetDeadline(t time.Time) error {
	return errors.Join(s.SetReadDeadline(t), s.SetWriteDeadline(t))
}

func (s *session) SetReadDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads = t
	return s.conn.SetReadDeadline(t)
}

func (s *session) SetWriteDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes = t
	return s.conn.SetWriteDeadline(t)
}

// messages counts those of a stream, each of which has its size in four bytes before it.
type messages struct {
	begun, ended int
	head, size   int // bytes of the size that came, and what they say
	left         int // bytes of the message that are still to come
}

func (m *messages) pass(b []byte) {
	for len(b) > 0 {
		if m.left > 0 {
			n := min(m.left, len(b))
			m.left, b = m.left-n, b[n:]
		} else {
			if m.head == 0 {
				m.begun++
			}
			m.head, m.size, b = m.head+1, m.size<<8|int(b[0]), b[1:]
			if m.head < 4 {
				continue
			}
			m.left, m.head, m.size = m.size, 0, 0
		}
		if m.left == 0 {
			m.ended++
		}
	}
}
