package outbound

import (
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

func wiretap(dial func(context.Context, string, string) (net.Conn, error), see func(*wire)) func(context.Context,
	string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if err == nil {
			see(c.(*wire))
		}
		return c, err
	}
}

func TestAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		respond http.HandlerFunc
		status  int
		body    int // bytes
		partial bool
		reused  bool
	}{
		"empty":      {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, 204, 0, false, true},
		"small":      {body("abc", 200, 1), 200, 3, false, true},
		"redirect":   {redirect, 302, 0, false, true},
		"full":       {body("x", 200, 1000), 200, 1000, false, true},
		"chunks":     {chunks(10), 500, 1000, false, true},
		"too much":   {body("x", 200, 1001), 200, 1000, true, true},
		"chunks too": {chunks(11), 500, 1000, true, true},
		"huge":       {body("x", 200, 10<<20), 200, 1000, true, false},
		"torn": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "0123456789")
		}, 200, 10, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			target := newTarget(t, c.respond)
			client := newClient(t, Config{AllowPrivate: true, MaxBody: 1000})
			for range 2 {
				answer, err := client.Do(t.Context(), &Request{URL: target.url, Body: []byte("x")})
				if err != nil || answer.Status != c.status || len(answer.Body) != c.body || (answer.Fault != "") != c.partial {
					t.Errorf("status %d, %d bytes, fault %q, %v", answer.Status, len(answer.Body), answer.Fault, err)
				}
			}
			if reused := target.connections.Load() == 1; reused != c.reused || target.requests.Load() != 2 {
				t.Errorf("%d connections, %d requests", target.connections.Load(), target.requests.Load())
			}
		})
	}
}

// TestEncodedAnswers: bodies are decoded, whether or not that was asked for, within the bound; what cannot be is said.
func TestEncodedAnswers(t *testing.T) {
	const text = `{"status":"rejected"}`
	coded := func(make func(io.Writer) io.WriteCloser, plain string) string {
		var b strings.Builder
		w := make(&b)
		io.WriteString(w, plain)
		w.Close()
		return b.String()
	}
	zip := func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }
	zlibbed := func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }
	raw := func(w io.Writer) io.WriteCloser { f, _ := flate.NewWriter(w, 9); return f }
	for name, c := range map[string]struct {
		codings  []string
		sent     string
		want     string
		fault    string
		tornAway bool
	}{
		"gzip":               {[]string{"gzip"}, coded(zip, text), text, "", false},
		"in capitals":        {[]string{" GZip "}, coded(zip, text), text, "", false},
		"by its old name":    {[]string{"x-gzip"}, coded(zip, text), text, "", false},
		"deflate":            {[]string{"deflate"}, coded(zlibbed, text), text, "", false},
		"deflate, bare":      {[]string{"deflate"}, coded(raw, text), text, "", false},
		"identity":           {[]string{"identity"}, text, text, "", false},
		"both":               {[]string{"deflate, gzip"}, coded(zip, coded(zlibbed, text)), text, "", false},
		"both, in two":       {[]string{"deflate", "gzip"}, coded(zip, coded(zlibbed, text)), text, "", false},
		"nothing":            {[]string{"gzip"}, "", "", "", false},
		"brotli":             {[]string{"br"}, "\x0b\x02\x80ok\x03", "", "Content-Encoding", false},
		"unknown over gzip":  {[]string{"gzip, zstd"}, coded(zip, text), "", "Content-Encoding", false},
		"too many":           {[]string{"gzip, gzip, gzip, gzip"}, coded(zip, text), "", "Content-Encoding", false},
		"plain all the same": {[]string{"gzip"}, text, "", "Content-Encoding", false},
		"a bomb": {[]string{"gzip"}, coded(zip, strings.Repeat("x", 900<<10)), strings.Repeat("x", 1000), "too long",
			false},
		"torn": {[]string{"gzip"}, coded(zip, text)[:20], "", "too long, or broke off", true},
	} {
		target := newTarget(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Encoding"] = c.codings
			if c.tornAway {
				w.Header().Set("Content-Length", "99")
			}
			io.WriteString(w, c.sent)
		})
		client := newClient(t, Config{AllowPrivate: true, MaxBody: 1000})
		answer, err := client.Do(t.Context(), &Request{URL: target.url})
		if err != nil || !c.tornAway && string(answer.Body) != c.want || !strings.Contains(answer.Fault, c.fault) ||
			(answer.Fault == "") != (c.fault == "") {
			t.Errorf("%s: %.100q, fault %q, %v", name, answer.Body, answer.Fault, err)
		}
	}
}

func redirect(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Location", "/elsewhere")
	w.WriteHeader(302)
}

func body(text string, status, times int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		io.WriteString(w, strings.Repeat(text, times))
	}
}

func chunks(n int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(500)
		for range n {
			io.WriteString(w, strings.Repeat("x", 100))
			w.(http.Flusher).Flush()
		}
	}
}

// A body that does not end does not take the answer away.
func TestSlowBody(t *testing.T) {
	target := newTarget(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "begun")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	answer, err := local(t).Do(soon(t), &Request{URL: target.url})
	if err != nil || answer.Status != 200 || string(answer.Body) != "begun" || answer.Fault == "" {
		t.Errorf("%+v, %v", answer, err)
	}
}

func TestRequests(t *testing.T) {
	type seen struct {
		method, key string
		length      int64
		protocol    int
	}
	var got seen
	see := func(w http.ResponseWriter, r *http.Request) {
		got.method, got.key, got.length, got.protocol = r.Method, r.Header.Get("Idempotency-Key"), r.ContentLength,
			r.ProtoMajor
	}
	plain := newTarget(t, see)
	encrypted := startTarget(t, func(s *httptest.Server) { s.EnableHTTP2 = true; s.StartTLS() }, see)
	client := trusting(t, &tls.Config{RootCAs: roots(encrypted.Server)})
	for target, protocol := range map[*target]int{plain: 1, encrypted: 2} {
		for method, body := range map[string]string{"": "x", "PUT": "y", "GET": "", "DELETE": ""} {
			_, err := client.Do(t.Context(), &Request{
				Method: method, URL: target.url, Body: []byte(body),
				Header: http.Header{"Idempotency-Key": {"k"}},
			})
			want := seen{method: method, key: "k", length: int64(len(body)), protocol: protocol}
			if method == "" {
				want.method = "POST"
			}
			if body == "" && protocol == 2 {
				want.length = -1 // its end comes in a frame of its own
			}
			if err != nil || got != want {
				t.Errorf("%+v, %v, want %+v", got, err, want)
			}
		}
	}
}

func TestManyAtOnce(t *testing.T) {
	encrypted := startTarget(t, func(s *httptest.Server) { s.EnableHTTP2 = true; s.StartTLS() })
	plain := newTarget(t)
	client := newClient(t, Config{AllowPrivate: true, MaxConns: 4})
	client.transport.TLSClientConfig = &tls.Config{RootCAs: roots(encrypted.Server)}
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			target := []*target{plain, encrypted}[i%2]
			for n := range 20 {
				r := &Request{URL: target.url, Body: []byte("x"), NotAfter: time.Now().Add(time.Minute)}
				if n%5 == 0 {
					r.NotAfter = time.Unix(0, 0)
				}
				if _, err := client.Do(t.Context(), r); (err != nil) != (n%5 == 0) {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if n := plain.requests.Load(); n != 8*16 {
		t.Errorf("%d requests, want %d", n, 8*16)
	}
	if n := encrypted.requests.Load(); n != 8*16 {
		t.Errorf("%d requests over HTTP/2, want %d", n, 8*16)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "7": 7 * time.Second, " 7 ": 7 * time.Second, "3600": time.Hour, "3601": time.Hour,
		"99999999999999999999": time.Hour, "-1": 0, "1.5": 1500 * time.Millisecond, "soon": 0, "NaN": 0, "-Inf": 0,
		"+Inf": time.Hour, "1e999": time.Hour, "30s": 30 * time.Second, "1m0.5s": time.Minute + time.Second/2, "-5m": 0,
		"1795435230": 30 * time.Second, "1795435199": 0, "1795435230000": 30 * time.Second,
		"1795435230000000": 30 * time.Second, "30 seconds": 30 * time.Second, "30 sec": 30 * time.Second,
		"30, 30": 30 * time.Second, `"30"`: 30 * time.Second, "30;x": 30 * time.Second, "30 bottles": 0,
		"2026-11-23 12:00:30": 30 * time.Second, "Mon, 23 Nov 2026 12:00:30 UTC": 30 * time.Second,
		"Mon, 23 Nov 2026 13:00:30 +0100": 30 * time.Second,
		"2026-11-23T12:00:30Z":            30 * time.Second,
		"2026-11-23T14:00:30.5+02:00":     30*time.Second + time.Second/2,
		"Mon, 23 Nov 2026 12:00:30 GMT":   30 * time.Second,
		"Mon, 23 Nov 2026 11:00:00 GMT":   0,
		"Tue, 24 Nov 2026 12:00:00 GMT":   time.Hour,
		"Monday, 23-Nov-26 12:01:00 GMT":  time.Minute,
		"Mon, 23 Nov 2026 07:01:00 EST":   time.Minute,
		"Mon, 23 Nov 2026 05:02:00 PDT":   2 * time.Minute,
		"Monday, 23-Nov-26 06:03:00 CST":  3 * time.Minute,
		"Mon, 23 Nov 2026 12:01:00 UTC":   time.Minute,
		"Mon, 23 Nov 2026 13:01:00 CET":   0,
		"Mon, 23 Nov 2026 12:01:00 CET":   0,
		"Mon Nov 23 12:01:00 2026":        time.Minute,
		"Fri, 31 Dec 9999 23:59:59 GMT":   time.Hour,
		"Sat, 01 Jan 0001 00:00:00 GMT":   0,
	} {
		if got := RetryAfter(http.Header{"Retry-After": {value}}, now); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}
