// Package outbound makes HTTP requests to targets outside: each once, to
// addresses that may be dialled, and with an error that says whether the target
// can have had the request.
//
// Who may be dialled is decided by the address that is about to be connected
// to, after its name was resolved, so that no name service can lead a request
// inside. Redirects are not followed.
//
// net/http repeats requests by itself when a connection breaks: those with the
// methods GET and HEAD, and those with a header Idempotency-Key. Here it repeats
// a request only if nothing of it has been written or, over HTTP/2, if the target
// said that it has not handled it. Whoever may repeat more does so, and knows it.
package outbound

import (
	"cmp"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"
)

// Config is how a Client connects. Its zero value is a safe default.
type Config struct {
	// MaxConns to one host at once. Default 32. Requests beyond it wait.
	MaxConns int
	// ConnectTimeout of the connection, TCP and TLS each. Default 5 s.
	ConnectTimeout time.Duration
	// IdleTimeout closes a connection that is not used. Default 4 s: common
	// servers close theirs after 5 s, and a request that crosses with that may
	// have been handled or not.
	IdleTimeout time.Duration
	// MaxBody is how many bytes of an answer's body are kept. Default 64 KiB.
	MaxBody int

	// TLS settings: authorities, a certificate of one's own. Default: at least
	// TLS 1.2, and the system's authorities.
	TLS *tls.Config
	// HTTP1 keeps to HTTP/1.1. Default: HTTP/2 with targets that offer it over
	// TLS.
	HTTP1 bool
	// Proxy that all requests go through: http, https or socks5. The default
	// is none, whatever the environment says. A proxy resolves names, so it
	// has to guard the addresses that they lead to.
	Proxy *url.URL

	// AllowPrivate lets this machine and private networks be dialled. Link-local
	// addresses, and with them those of cloud metadata, need Allow.
	AllowPrivate bool
	// Allow lets addresses in these networks be dialled, whatever they are.
	Allow []netip.Prefix
}

const (
	defaultMaxConns       = 32
	defaultConnectTimeout = 5 * time.Second
	defaultIdleTimeout    = 4 * time.Second
	defaultMaxBody        = 64 << 10
	maxHeaderBytes        = 64 << 10
	maxIdleConns          = 512

	// A connection of HTTP/2 that is silent for the one is asked for a sign of
	// life, and given up after the other.
	silence, lifeSign = 10 * time.Second, 5 * time.Second
)

// Client makes requests. It is used by several goroutines at once.
type Client struct {
	transport *http.Transport
	guard     *guard
	proxied   bool
	maxBody   int
}

// New returns a Client, or what is wrong with the configuration.
func New(c Config) (*Client, error) {
	c.MaxConns = cmp.Or(c.MaxConns, defaultMaxConns)
	c.ConnectTimeout = cmp.Or(c.ConnectTimeout, defaultConnectTimeout)
	c.IdleTimeout = cmp.Or(c.IdleTimeout, defaultIdleTimeout)
	c.MaxBody = cmp.Or(c.MaxBody, defaultMaxBody)
	switch {
	case c.MaxConns < 0 || c.ConnectTimeout < 0 || c.IdleTimeout < 0 || c.MaxBody < 0:
		return nil, errors.New("outbound: numbers must be greater than 0")
	case c.Proxy != nil && !isProxy(c.Proxy):
		return nil, errors.New("outbound: the proxy must be http://, https:// or socks5:// with a host")
	}
	g := newGuard(c.AllowPrivate, c.Allow)
	return &Client{transport: transport(c, g), guard: g, proxied: c.Proxy != nil, maxBody: c.MaxBody}, nil
}

func isProxy(u *url.URL) bool {
	return u.Host != "" && (u.Scheme == "http" || u.Scheme == "https" || u.Scheme == "socks5")
}

func transport(c Config, g *guard) *http.Transport {
	t := &http.Transport{
		DialContext:            dialer(c, g).DialContext,
		TLSClientConfig:        TLS(c.TLS),
		TLSHandshakeTimeout:    c.ConnectTimeout,
		DisableCompression:     true,
		MaxConnsPerHost:        c.MaxConns,
		MaxIdleConnsPerHost:    c.MaxConns,
		MaxIdleConns:           max(maxIdleConns, c.MaxConns),
		IdleConnTimeout:        c.IdleTimeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: silence, PingTimeout: lifeSign},
		Protocols:              new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true)
	t.Protocols.SetHTTP2(!c.HTTP1)
	if c.Proxy != nil {
		t.Proxy = http.ProxyURL(c.Proxy)
	}
	return t
}

// TLS returns a copy of settings that demands at least TLS 1.2, where they do
// not say otherwise. Without settings it is the default.
func TLS(settings *tls.Config) *tls.Config {
	if settings == nil {
		settings = new(tls.Config)
	}
	settings = settings.Clone()
	settings.MinVersion = cmp.Or(settings.MinVersion, tls.VersionTLS12)
	return settings
}

// dialer makes connections that count what is written to them. Where there is
// a proxy, nothing else is dialled, and it may be anywhere.
func dialer(c Config, g *guard) *wireDialer {
	d := net.Dialer{Timeout: c.ConnectTimeout}
	if c.Proxy == nil {
		d.ControlContext = g.control
	}
	return &wireDialer{d}
}

// Close closes the connections that wait for requests. The Client goes on to
// work.
func (c *Client) Close() { c.transport.CloseIdleConnections() }
