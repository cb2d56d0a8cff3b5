package egress

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// Config says how to reach servers. The zero value is the default.
type Config struct {
	// AllowPrivate lets connections go to addresses that are not of the public
	// Internet: this machine's, private networks', link-local ones.
	AllowPrivate bool
	// TLS settings. Default: at least TLS 1.2, and the system's authorities.
	TLS *tls.Config
	// Connections to one server at most. Default 32.
	Connections int
	// DialTimeout bounds connecting, and TLS on top of it. Default 5 s.
	DialTimeout time.Duration
	// IdleTimeout closes a connection that is not used. Default 60 s.
	IdleTimeout time.Duration
}

// Client sends requests. It is safe for use by several goroutines.
type Client struct {
	http      http.Client
	transport *http.Transport
}

// New makes a Client. It connects to nothing yet.
func New(c Config) *Client {
	if c.Connections < 1 {
		c.Connections = 32
	}
	if c.DialTimeout <= 0 {
		c.DialTimeout = 5 * time.Second
	}
	if c.IdleTimeout <= 0 {
		c.IdleTimeout = time.Minute
	}
	if c.TLS == nil {
		c.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	dialer := &net.Dialer{Timeout: c.DialTimeout}
	if !c.AllowPrivate {
		dialer.ControlContext = onlyPublic
	}
	transport := &http.Transport{
		// No proxy: who is connected to is looked at by its address.
		DialContext:         dialer.DialContext,
		TLSClientConfig:     c.TLS,
		TLSHandshakeTimeout: c.DialTimeout,
		MaxConnsPerHost:     c.Connections,
		MaxIdleConnsPerHost: c.Connections,
		IdleConnTimeout:     c.IdleTimeout,
		ForceAttemptHTTP2:   true,
	}
	return &Client{transport: transport, http: http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Close closes the connections that are not in use.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// ErrPrivate is the error of a connection to an address that is not public.
var ErrPrivate = errors.New("the address is not of the public Internet")

// onlyPublic looks at the address that is really dialled, whatever name it had:
// a name that resolves otherwise the second time gains nothing.
func onlyPublic(_ context.Context, _, address string, _ syscall.RawConn) error {
	target, err := netip.ParseAddrPort(address)
	if err != nil || !isPublic(target.Addr()) {
		return ErrPrivate
	}
	return nil
}

// Ranges that netip does not know by name.
var reserved = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"),  // shared by carriers' customers
	netip.MustParsePrefix("192.0.0.0/24"),   // protocol assignments
	netip.MustParsePrefix("198.18.0.0/15"),  // measuring of networks
	netip.MustParsePrefix("240.0.0.0/4"),    // broadcast included
	netip.MustParsePrefix("64:ff9b::/96"),   // IPv4 behind a translator
	netip.MustParsePrefix("64:ff9b:1::/48"), // likewise
	netip.MustParsePrefix("2002::/16"),      // IPv4 in IPv6
}

func isPublic(a netip.Addr) bool {
	a = a.Unmap()
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	for _, r := range reserved {
		if r.Contains(a) {
			return false
		}
	}
	return true
}

// Answer is a server's response.
type Answer struct {
	Status int
	Header http.Header
	// Body is its beginning, MaxAnswerBytes at most.
	Body []byte
}

const (
	// MaxAnswerBytes is how much of an answer is read.
	MaxAnswerBytes = 64 << 10
	// drained is how much more is read, and forgotten, so that the connection
	// can be used again.
	drained = 256 << 10
)

// Do sends a request once, and reads the answer. An answer of any status is no
// error; an answer whose body breaks off has its status all the same.
//
// The client library repeats a request by itself when a connection that it had
// kept turns out to be closed and nothing was answered, if it deems that safe:
// a request with GetBody set to nil and a body is never repeated.
func (c *Client) Do(r *http.Request) (*Answer, error) {
	r.GetBody = nil
	response, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	answer := &Answer{Status: response.StatusCode, Header: response.Header}
	if answer.Body, err = io.ReadAll(io.LimitReader(response.Body, MaxAnswerBytes)); err == nil {
		_, _ = io.CopyN(io.Discard, response.Body, drained)
	}
	return answer, nil
}
