// Package outbound makes HTTP requests to targets outside: each once, to
// addresses that may be dialled, and with an error that says whether the target
// can have had the request.
//
// Who may be dialled is decided by the address that is about to be connected
// to, after its name was resolved, so that no name service can lead a request
// inside. Redirects are not followed, and no proxy is used.
//
// net/http repeats requests by itself when a connection breaks: those with the
// methods GET and HEAD, and those with a header Idempotency-Key. Here it repeats
// a request only if nothing of it has been written or, over HTTP/2, if the target
// said that it has not handled it. Whoever may repeat more does so, and knows it.
package outbound

import (
	"cmp"
	"net"
	"net/http"
	"time"
)

// Config is how a Client connects. Its zero value is a safe default.
type Config struct {
	// MaxConns to one host at once. Default 32. Requests beyond it wait.
	MaxConns int
	// MaxBody is how many bytes of an answer's body are kept. Default 64 KiB.
	MaxBody int
	// AllowPrivate lets this machine and private networks be dialled; link-local
	// addresses, and those of cloud metadata, never are.
	AllowPrivate bool
}

const (
	connectTimeout = 5 * time.Second // of TCP and TLS each
	// Common servers close an idle connection after 5 s, and a request that crosses
	// with that may have been handled or not.
	idleTimeout    = 4 * time.Second
	maxHeaderBytes = 64 << 10
	maxIdleConns   = 512

	// A connection of HTTP/2 that is silent for the one is asked for a sign of
	// life, and given up after the other.
	silence, lifeSign = 10 * time.Second, 5 * time.Second
)

// Client makes requests. It is used by several goroutines at once.
type Client struct {
	transport *http.Transport
	maxBody   int
}

// New returns a Client.
func New(c Config) *Client {
	conns := cmp.Or(c.MaxConns, 32)
	return &Client{maxBody: cmp.Or(c.MaxBody, 64<<10), transport: &http.Transport{
		DialContext:            wired(&net.Dialer{Timeout: connectTimeout, ControlContext: guard(c.AllowPrivate)}),
		TLSHandshakeTimeout:    connectTimeout,
		DisableCompression:     true,
		MaxConnsPerHost:        conns,
		MaxIdleConnsPerHost:    conns,
		MaxIdleConns:           max(maxIdleConns, conns),
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: silence, PingTimeout: lifeSign},
	}}
}

// Close closes the connections that wait for requests. The Client goes on to
// work.
func (c *Client) Close() { c.transport.CloseIdleConnections() }
