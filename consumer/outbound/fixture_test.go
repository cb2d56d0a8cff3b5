package outbound

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// target is a server that counts its requests and connections.
type target struct {
	*httptest.Server
	url         *url.URL
	requests    atomic.Int64
	connections atomic.Int64
	handle      http.HandlerFunc
}

// newTarget starts one that answers 200 "ok", unless respond is given.
func newTarget(t *testing.T, respond ...http.HandlerFunc) *target {
	t.Helper()
	return startTarget(t, (*httptest.Server).Start, respond...)
}

func startTarget(t *testing.T, start func(*httptest.Server), respond ...http.HandlerFunc) *target {
	t.Helper()
	s := &target{handle: func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") }}
	if len(respond) > 0 {
		s.handle = respond[0]
	}
	s.Server = httptest.NewUnstartedServer(s)
	s.Config.ErrorLog = discardLog
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.connections.Add(1)
		}
	}
	start(s.Server)
	t.Cleanup(s.Close)
	s.url = mustURL(t, s.URL)
	return s
}

func (s *target) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	s.requests.Add(1)
	s.handle(w, r)
}

// script serves raw connections: act gets each request in turn, counted over
// all connections from 1, and returns whether the connection is kept.
func script(t *testing.T, act func(n int, c net.Conn) bool) (u *url.URL, requests *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	requests = new(atomic.Int64)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				r := bufio.NewReader(c)
				for {
					request, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					io.Copy(io.Discard, request.Body)
					if !act(int(requests.Add(1)), c) {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return mustURL(t, "http://"+l.Addr().String()), requests
}

func respond(c net.Conn) bool {
	io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	return true
}

func reset(c net.Conn) bool {
	c.(*net.TCPConn).SetLinger(0)
	return false
}

func newClient(t *testing.T, c Config) *Client {
	t.Helper()
	client := New(c)
	t.Cleanup(client.Close)
	return client
}

// trusting is a client for this machine with settings for TLS.
func trusting(t *testing.T, settings *tls.Config) *Client {
	t.Helper()
	client := local(t)
	client.transport.TLSClientConfig = settings
	return client
}

func local(t *testing.T) *Client { return newClient(t, Config{AllowPrivate: true}) }

func mustURL(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := ParseURL(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func wantFault(t *testing.T, err error, kind Kind, text string) {
	t.Helper()
	var fault *Error
	if !errors.As(err, &fault) || fault.Kind != kind || !strings.Contains(fault.Error(), text) {
		t.Errorf("error %v (%+v), want kind %s and %q", err, fault, kind, text)
	}
}
