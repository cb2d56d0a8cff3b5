// Package outbound makes HTTP requests to targets outside: each once, to addresses that may be dialled, and with an
// error that says whether the target can have had the request.
//
// Who may be dialled is decided by the address that is about to be connected to, after its name was resolved, so that
// no name service can lead a request inside. Redirects are not followed, and no proxy is used.
//
// net/http repeats requests by itself when a connection breaks: those with the methods GET and HEAD, and those with a
// header Idempotency-Key. Here it repeats a request only if nothing of it has been written or, over HTTP/2, if the
// target said that it has not handled it. Whoever may repeat more does so, and knows it.
package outbound

import (
	"bytes"
	"cmp"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/meddela/meddela/consumer/tracing"
)

// Config is how a Client connects. Its zero value is a safe default.
type Config struct {
	MaxConns int // to one host at once; default 32; requests beyond it wait
	MaxBody  int // bytes that are kept of an answer's body; default 64 KiB
	// AllowPrivate lets this machine and private networks be dialled; link-local
	// addresses, and those of cloud metadata, never are.
	AllowPrivate bool
	// ClearInside lets no request that is not encrypted go to a public address.
	ClearInside bool
	// TLS is asked at each connection, so that authorities can be replaced; nil trusts the system's.
	TLS func() *tls.Config
}

const (
	connectTimeout = 5 * time.Second // of TCP and TLS each
	// Common servers close an idle connection after 5 s, and a request that crosses
	// with that may have been handled or not.
	idleTimeout    = 4 * time.Second
	maxHeaderBytes = 64 << 10
	maxIdleConns   = 512

	// A connection of HTTP/2 that is silent for the one is asked for a sign of life, and given up after the other.
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
	dialer := &net.Dialer{Timeout: connectTimeout, ControlContext: guard(c.AllowPrivate, c.ClearInside)}
	client := &Client{maxBody: cmp.Or(c.MaxBody, 64<<10), transport: &http.Transport{
		DialContext:            wired(dialer),
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
	if c.TLS != nil {
		client.transport.DialTLSContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			return (&tls.Dialer{NetDialer: dialer, Config: c.TLS()}).DialContext(ctx, network, address)
		}
	}
	return client
}

// Close closes the connections that wait for requests. The Client goes on to work.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Request is one to be made.
type Request struct {
	Method string   // default POST
	URL    *url.URL // as ParseURL returns it
	// Header names are in canonical form. Do keeps it until the answer is read, and may do so longer when it fails.
	Header http.Header
	// Body; nil for none, which fits GET and DELETE. It is not to be changed afterwards.
	Body []byte
	// NotAfter is when the request is not begun any more; the zero time for
	// never. It is looked at when there is a connection to write to.
	NotAfter time.Time
}

// Response is what a target has answered.
type Response struct {
	Status int
	Header http.Header
	Body   []byte // decoded
	// Fault is why Body is not all of it, in words; empty if it is.
	Fault string
}

// ParseURL reads a target's address: http or https, with a host, without
// credentials or a fragment. Its error does not repeat the address.
func ParseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, errors.New("is no URL")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("must begin with https:// or http://")
	case u.Hostname() == "" || u.Opaque != "":
		return nil, errors.New("has no host")
	case u.User != nil:
		return nil, errors.New("must not have credentials")
	case u.Fragment != "" || u.RawFragment != "":
		return nil, errors.New("must not have a fragment (#)")
	}
	return u, nil
}

// Do makes a request and reads the answer, whatever its status is. It waits
// until ctx ends at most. The error is a *Error.
func (c *Client) Do(ctx context.Context, r *Request) (Response, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f := &flight{notAfter: r.NotAfter, cancel: cancel}
	got, err := c.transport.RoundTrip(f.request(ctx, r))
	if err != nil {
		return Response{}, &Error{Kind: f.kind(err), Host: r.URL.Host, Err: err}
	}
	defer got.Body.Close()
	response := Response{Status: got.StatusCode, Header: got.Header}
	if got.StatusCode != http.StatusSwitchingProtocols {
		response.Body, response.Fault = readBody(got, c.maxBody)
	}
	return response, nil
}

// RoundTrip implements http.RoundTripper for libraries that make requests, which are guarded as others are. Its error
// is a *Error.
func (c *Client) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, f := r.Context(), &flight{}
	if r.URL.Scheme == "http" {
		ctx = context.WithValue(ctx, inClear{}, true)
	}
	got, err := c.transport.RoundTrip(r.WithContext(httptrace.WithClientTrace(ctx, f.trace())))
	if err != nil {
		return nil, &Error{Kind: f.kind(err), Host: r.URL.Host, Err: err}
	}
	return got, nil
}

// request makes net/http's form of a request. Its body is a reader that net/http knows to be in memory, so that header
// and body are written at once. Every request has one, also a GET: net/http asks GetBody before it repeats a request
// with a body, and nobody otherwise.
func (f *flight) request(ctx context.Context, r *Request) *http.Request {
	if r.URL.Scheme == "http" {
		ctx = context.WithValue(ctx, inClear{}, true)
	}
	header := r.Header
	if header == nil {
		header = http.Header{}
	}
	tracing.Inject(ctx, func(key, value string) {
		header = header.Clone() // which is the caller's
		header.Set(key, value)
	})
	return (&http.Request{
		Method:        cmp.Or(r.Method, http.MethodPost),
		URL:           r.URL,
		Host:          r.URL.Host,
		Header:        header,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		ContentLength: int64(len(r.Body)),
		Body:          io.NopCloser(bytes.NewReader(r.Body)),
		GetBody: func() (io.ReadCloser, error) {
			if err := f.again(); err != nil {
				return nil, err
			}
			return io.NopCloser(bytes.NewReader(r.Body)), nil
		},
	}).WithContext(httptrace.WithClientTrace(ctx, f.trace()))
}

// maxDrain is how much of an answer is read, beyond what is kept, so that the connection can be used again.
const maxDrain = 256 << 10

const (
	tooLong = "its body is too long, or broke off"
	uncoded = "its body is not what its Content-Encoding says, or that is none that is known"
)

// readBody keeps what limit lets it, of the body as it comes and as it is decoded, which it is whether or not that was
// asked for. What comes after that, or does not come in time, costs the connection.
func readBody(r *http.Response, limit int) (body []byte, fault string) {
	body, err := io.ReadAll(io.LimitReader(r.Body, int64(limit)))
	if err == nil && len(body) == limit {
		if n, end := io.CopyN(io.Discard, r.Body, maxDrain); n > 0 || end != io.EOF {
			err = io.ErrUnexpectedEOF
		}
	}
	codings := strings.Split(strings.ToLower(strings.Join(r.Header.Values("Content-Encoding"), ",")), ",")
	for len(body) > 0 && err == nil && len(codings) > 0 {
		decoded, wrong := decode(strings.TrimSpace(codings[len(codings)-1]), body)
		if wrong == nil && len(codings) <= 3 {
			body, wrong = io.ReadAll(io.LimitReader(decoded, int64(limit)+1))
		}
		if wrong != nil || len(codings) > 3 {
			return nil, uncoded
		}
		if len(body) > limit {
			body, err = body[:limit], io.ErrUnexpectedEOF
		}
		codings = codings[:len(codings)-1]
	}
	if err != nil {
		fault = tooLong
	}
	return body, fault
}

// decode undoes a coding. Some servers send deflate without the header that it has by definition.
func decode(coding string, body []byte) (io.Reader, error) {
	switch coding {
	case "", "identity":
		return bytes.NewReader(body), nil
	case "gzip", "x-gzip":
		return gzip.NewReader(bytes.NewReader(body))
	case "deflate":
		if r, err := zlib.NewReader(bytes.NewReader(body)); err == nil {
			return r, nil
		}
		return flate.NewReader(bytes.NewReader(body)), nil
	}
	return nil, errors.ErrUnsupported
}

// maxRetryAfter is the longest wait that a target is granted.
const maxRetryAfter = time.Hour

// RetryAfter is how long a response's header Retry-After asks to wait, as Wait reads it.
func RetryAfter(h http.Header, now time.Time) time.Duration { return Wait(h.Get("Retry-After"), now) }

// Wait is how long a text asks to wait: seconds, a length of time (30s), a date, or a moment in Unix seconds or parts
// of them. It is 0 if the text is none of them or the time is over, and maxRetryAfter at most.
func Wait(text string, now time.Time) time.Duration {
	text = inSeconds.ReplaceAllString(strings.TrimSpace(text), "$1")
	wait, err := time.ParseDuration(text)
	if seconds, notNumber := strconv.ParseFloat(text, 64); notNumber == nil || errors.Is(notNumber, strconv.ErrRange) {
		for seconds = min(seconds, 1e21); seconds > 1e11; { // or milliseconds of it
			seconds /= 1000
		}
		if seconds > 1e9 { // a moment of this century
			seconds -= float64(now.UnixMilli()) / 1000
		}
		wait, err = time.Duration(min(seconds, maxRetryAfter.Seconds())*float64(time.Second)), nil
	}
	if err != nil {
		at, wrong := ParseTime(text)
		if wrong != nil {
			return 0
		}
		wait = at.Sub(now)
	}
	return max(0, min(wait, maxRetryAfter))
}

// inSeconds is a number of seconds as it should not be written, and is.
var inSeconds = regexp.MustCompile(`(?i)^"?([\d.]+)"?( ?s(ec(ond)?s?)?)?([,;].*)?$`)

// zones are those that have names in dates (RFC 5322, 4.3). time.Parse takes any name that it does not know for UTC.
var zones = strings.NewReplacer(" UTC", " +0000", " UT", " +0000", " GMT", " +0000", " EST", " -0500", " EDT", " -0400",
	" CST", " -0600", " CDT", " -0500", " MST", " -0700", " MDT", " -0600", " PST", " -0800", " PDT", " -0700")

// ParseTime reads a moment in a form of RFC 3339, RFC 5322 or HTTP, or as databases write it, in UTC.
func ParseTime(text string) (at time.Time, err error) {
	text = zones.Replace(text)
	for _, form := range []string{time.RFC3339, "Mon, _2 Jan 2006 15:04:05 -0700", "_2 Jan 2006 15:04:05 -0700",
		"Monday, 02-Jan-06 15:04:05 -0700", time.ANSIC, time.DateTime} {
		if at, err = time.Parse(form, text); err == nil {
			break
		}
	}
	return at, err
}
