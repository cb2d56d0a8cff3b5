package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

var discardLog = log.New(io.Discard, "", 0)

func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

func roots(s *httptest.Server) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return pool
}

func TestNoConnection(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	silent := l.Addr().String() // takes connections, and says nothing
	gone := httptest.NewServer(nil)
	gone.Close()
	plain := newTarget(t)
	encrypted := startTarget(t, (*httptest.Server).StartTLS)
	choosy := startTarget(t, func(s *httptest.Server) {
		s.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS13}
		s.StartTLS()
	})
	for name, c := range map[string]struct {
		tls   *tls.Config
		url   string
		hurry bool
		kind  Kind
		text  string
	}{
		"refused": {nil, gone.URL, false, Unreachable, "the connection was refused"},
		"no certificate": {nil, "https://" + plain.url.Host, false, Insecure,
			"no secure connection: it does not speak TLS"},
		"unknown authority": {nil, encrypted.URL, false, Insecure, "the authority of its certificate is not known"},
		"other name": {&tls.Config{RootCAs: roots(encrypted.Server), ServerName: "other.invalid"},
			encrypted.URL, false, Insecure, "its certificate is for other names"},
		"expired": {&tls.Config{RootCAs: roots(encrypted.Server),
			Time: func() time.Time { return time.Unix(1<<42, 0) }}, encrypted.URL, false, Insecure,
			"its certificate has expired"},
		"our certificate": {&tls.Config{RootCAs: roots(choosy.Server)}, choosy.URL, false, Insecure,
			"no secure connection"},
		"ours, HTTP/1": {&tls.Config{RootCAs: roots(choosy.Server)}, choosy.URL, false,
			Insecure, "no secure connection"},
		"TLS without answer": {nil, "https://" + silent, false, Insecure, "no secure connection in time"},
		"TLS in no time":     {nil, "https://" + silent, true, Insecure, "no secure connection in time"},
	} {
		t.Run(name, func(t *testing.T) {
			client := trusting(t, c.tls)
			client.transport.ForceAttemptHTTP2 = name != "ours, HTTP/1"
			if name == "TLS without answer" {
				client.transport.TLSHandshakeTimeout = 50 * time.Millisecond
			}
			_, err := client.Do(soonIf(t, c.hurry), &Request{URL: mustURL(t, c.url+"/path?secret"),
				Body: []byte("x")})
			wantFault(t, err, c.kind, c.text)
			if err != nil && len(err.Error()) > 120 {
				t.Errorf("a long error: %v", err)
			}
		})
	}
	if encrypted.requests.Load()+choosy.requests.Load() > 0 {
		t.Error("requests came through")
	}
}

func TestNameNotResolved(t *testing.T) {
	c := local(t)
	c.transport.DialContext = wired(&net.Dialer{Resolver: &net.Resolver{
		PreferGo: true,
		Dial: func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Err: errors.New("no name server")}
		},
	}})
	_, err := c.Do(t.Context(), &Request{URL: mustURL(t, "http://name.invalid/p?q")})
	wantFault(t, err, Unresolved, "name.invalid: the name was not resolved")
}

// Requests that wait for a connection in vain have not been written.
func TestNoFreeConnection(t *testing.T) {
	began, end := make(chan bool), make(chan bool)
	slow := newTarget(t, func(http.ResponseWriter, *http.Request) { began <- true; <-end })
	c := newClient(t, Config{AllowPrivate: true, MaxConns: 1})
	first := make(chan error)
	go func() {
		_, err := c.Do(context.Background(), &Request{URL: slow.url})
		first <- err
	}()
	<-began
	_, err := c.Do(soon(t), &Request{URL: slow.url})
	wantFault(t, err, Unreachable, "no connection in time")
	close(end)
	if err := <-first; err != nil {
		t.Error(err)
	}
}

func TestNoAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		act   func(n int, c net.Conn) bool
		hurry bool
		text  string
	}{
		"closed": {func(int, net.Conn) bool { return false }, false, "the request was written, and not answered"},
		"reset":  {func(_ int, c net.Conn) bool { return reset(c) }, false, "the request was written, and not answered"},
		"no HTTP": {func(_ int, c net.Conn) bool { io.WriteString(c, "220 mail\r\n"); return false }, false,
			"and not answered"},
		"half a row": {func(_ int, c net.Conn) bool { io.WriteString(c, "HTTP/1.1 20"); return false }, false,
			"and not answered"},
		"silent": {func(int, net.Conn) bool { return true }, true, "the request was written, and not answered in time"},
	} {
		t.Run(name, func(t *testing.T) {
			u, requests := script(t, c.act)
			header := http.Header{"Idempotency-Key": {"k"}}
			_, err := local(t).Do(soonIf(t, c.hurry), &Request{URL: u, Header: header, Body: []byte("x")})
			wantFault(t, err, Unanswered, c.text)
			if n := requests.Load(); n != 1 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

func TestNotWritten(t *testing.T) {
	target := newTarget(t)
	c := local(t)
	dial := c.transport.DialContext
	c.transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err == nil {
			conn.(*wire).barred.Store(true)
		}
		return conn, err
	}
	for _, body := range []string{"x", string(make([]byte, 100_000))} {
		_, err := c.Do(t.Context(), &Request{URL: target.url, Body: []byte(body)})
		wantFault(t, err, Broken, "the connection broke before the request was written")
	}
	if target.requests.Load() != 0 {
		t.Error("a request came through")
	}
}

// A request whose writing failed before its end is not handled.
func TestHalfWritten(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan bool)
	go func() {
		defer close(done)
		if c, err := l.Accept(); err == nil {
			c.Read(make([]byte, 1000))
			reset(c)
			c.Close()
		}
	}()
	_, err = local(t).Do(t.Context(), &Request{URL: mustURL(t, "http://"+l.Addr().String()), Body: make([]byte, 64<<20)})
	wantFault(t, err, Broken, "the connection broke before the request was written")
	l.Close()
	<-done
}

func TestLate(t *testing.T) {
	plain := newTarget(t)
	encrypted := startTarget(t, func(s *httptest.Server) { s.EnableHTTP2 = true; s.StartTLS() })
	for name, c := range map[string]struct {
		target *target
		http1  bool
	}{"plain": {plain, true}, "TLS": {encrypted, true}, "HTTP/2": {encrypted, false}} {
		t.Run(name, func(t *testing.T) {
			client := trusting(t, &tls.Config{RootCAs: roots(encrypted.Server)})
			client.transport.ForceAttemptHTTP2 = !c.http1
			before := c.target.requests.Load()
			request := func(end time.Time) error {
				_, err := client.Do(t.Context(), &Request{URL: c.target.url, Body: []byte("x"), NotAfter: end})
				return err
			}
			for range 20 { // with a new connection, and with one that is there
				wantFault(t, request(time.Now().Add(-time.Millisecond)), Expired, "the time to begin it was over")
				if err := request(time.Now().Add(time.Minute)); err != nil {
					t.Fatal(err)
				}
			}
			if n := c.target.requests.Load() - before; n != 20 {
				t.Errorf("%d requests, want those 20 in time", n)
			}
		})
	}
}

func soonIf(t *testing.T, hurry bool) context.Context {
	if hurry {
		return soon(t)
	}
	return t.Context()
}
