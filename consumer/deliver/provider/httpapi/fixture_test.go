package httpapi

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stand is a provider's server. It keeps what it was asked.
type stand struct {
	*httptest.Server
	mu       sync.Mutex
	requests []*http.Request
	bodies   []string
	accepted map[string]int // by idempotency key
}

// newStand starts one that answers as told; nil is 200 and an id.
func newStand(t testing.TB, answer http.HandlerFunc) *stand {
	t.Helper()
	s := &stand{accepted: map[string]int{}}
	if answer == nil {
		answer = func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"id":"m-1"}`) }
	}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.requests = append(s.requests, r)
		s.bodies = append(s.bodies, string(body))
		s.accepted[r.Header.Get("Idempotency-Key")]++
		s.mu.Unlock()
		answer(w, r)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func (s *stand) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.requests)
}

func (s *stand) last(t *testing.T) (*http.Request, string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.requests) == 0 {
		t.Fatal("nothing was asked")
	}
	return s.requests[len(s.requests)-1], s.bodies[len(s.bodies)-1]
}

// status answers with a status and a body.
func status(code int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
		io.WriteString(w, body)
	}
}

// script serves raw connections: act gets each request, counted over all
// connections from 1, and returns whether the connection is kept.
func script(t *testing.T, act func(n int, c net.Conn) bool) (url string, requests *atomic.Int64) {
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
			all.Go(func() { defer c.Close(); serve(c, requests, act) })
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return "http://" + l.Addr().String(), requests
}

func serve(c net.Conn, requests *atomic.Int64, act func(n int, c net.Conn) bool) {
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
}

func write(c net.Conn, status int, body string) bool {
	fmt.Fprintf(c, "HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n%s", status, len(body), body)
	return true
}

func newProvider(t testing.TB, c Config) *Provider {
	t.Helper()
	c.Name = cmp.Or(c.Name, "api-1")
	c.AllowPrivate = true
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

const phone = "+46 70-123 45 67"

func smsJob() *topology.Job {
	return &topology.Job{
		JobID: "j-1", EventID: "e-1", Lane: topology.Realtime, Attempt: 1, Type: "one_time_code",
		Template: "code@1", Channel: topology.SMS, To: phone,
	}
}

func sms(text string) *template.Message {
	return &template.Message{Channel: topology.SMS, To: phone, Text: text, Language: "sv"}
}
