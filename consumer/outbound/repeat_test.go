package outbound

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// A connection that has been used before breaks after the request was written:
// that is where net/http would repeat requests.
func TestDoesNotRepeat(t *testing.T) {
	for method, body := range map[string]string{"GET": "", "POST": "x", "PUT": "x", "DELETE": ""} {
		for way, end := range map[string]func(net.Conn) bool{"closed": func(net.Conn) bool { return false }, "reset": reset} {
			t.Run(method+" "+way, func(t *testing.T) {
				u, requests := script(t, func(n int, c net.Conn) bool {
					if n == 2 {
						return end(c)
					}
					return respond(c)
				})
				client := local(t)
				r := Request{Method: method, URL: u, Body: []byte(body), Header: http.Header{"Idempotency-Key": {"k"}}}
				if _, err := client.Do(t.Context(), &r); err != nil {
					t.Fatal(err)
				}
				_, err := client.Do(t.Context(), &r)
				wantFault(t, err, Unanswered, "and not answered")
				if n := requests.Load(); n != 2 {
					t.Errorf("%d requests", n)
				}
			})
		}
	}
}

// Where nothing was written, a new connection is as good.
func TestGoesOnWithANewConnection(t *testing.T) {
	target := newTarget(t)
	c := local(t)
	dial := c.transport.DialContext
	var mu sync.Mutex
	var wires []*wire
	c.transport.DialContext = wiretap(dial, func(w *wire) { mu.Lock(); wires = append(wires, w); mu.Unlock() })
	for range 3 {
		if _, err := c.Do(t.Context(), &Request{URL: target.url, Body: []byte("x")}); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		for _, w := range wires {
			w.barred.Store(true)
		}
		mu.Unlock()
	}
	if n := target.requests.Load(); n != 3 {
		t.Errorf("%d requests, want 3", n)
	}
}

// Over HTTP/2 a target says of a request that it has not handled it.
func TestRefusedStream(t *testing.T) {
	var streams atomic.Int64
	l := listenHTTP2(t, func(f *http2.Framer, id uint32) error {
		if streams.Add(1) == 1 {
			return f.WriteRSTStream(id, http2.ErrCodeRefusedStream)
		}
		var block bytes.Buffer
		hpack.NewEncoder(&block).WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
		return f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndHeaders: true,
			EndStream: true})
	})
	c := trusting(t, &tls.Config{InsecureSkipVerify: true})
	answer, err := c.Do(t.Context(), &Request{URL: mustURL(t, "https://"+l), Body: []byte("x")})
	if err != nil || answer.Status != 200 || streams.Load() != 2 {
		t.Errorf("%+v, %v after %d streams", answer, err, streams.Load())
	}
}

func TestBrokenStream(t *testing.T) {
	var streams atomic.Int64
	l := listenHTTP2(t, func(f *http2.Framer, id uint32) error {
		streams.Add(1)
		return f.WriteRSTStream(id, http2.ErrCodeInternal)
	})
	c := trusting(t, &tls.Config{InsecureSkipVerify: true})
	_, err := c.Do(t.Context(), &Request{URL: mustURL(t, "https://"+l), Body: []byte("x"),
		Header: http.Header{"Idempotency-Key": {"k"}}})
	wantFault(t, err, Unanswered, "and not answered")
	if n := streams.Load(); n != 1 {
		t.Errorf("%d streams", n)
	}
}

// listenHTTP2 serves HTTP/2 by answering every stream that has ended.
func listenHTTP2(t *testing.T, answer func(f *http2.Framer, id uint32) error) string {
	t.Helper()
	certificates := httptest.NewTLSServer(nil)
	certificates.Close()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: certificates.TLS.Certificates,
		NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { defer c.Close(); serveHTTP2(c, answer) })
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return l.Addr().String()
}

func serveHTTP2(c net.Conn, answer func(f *http2.Framer, id uint32) error) {
	io.ReadFull(c, make([]byte, len(http2.ClientPreface)))
	f := http2.NewFramer(c, c)
	f.WriteSettings()
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return
		}
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				f.WriteSettingsAck()
			}
		case *http2.DataFrame:
			if frame.StreamEnded() && answer(f, frame.StreamID) != nil {
				return
			}
		}
	}
}
