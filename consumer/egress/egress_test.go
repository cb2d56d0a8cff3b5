package egress_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/meddela/meddela/consumer/egress"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func serve(t *testing.T, handler http.HandlerFunc) (url string, connections *atomic.Int64) {
	t.Helper()
	connections = new(atomic.Int64)
	server := httptest.NewUnstartedServer(handler)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	return server.URL, connections
}

func client(t *testing.T, c egress.Config) *egress.Client {
	t.Helper()
	made := egress.New(c)
	t.Cleanup(made.Close)
	return made
}

func post(t *testing.T, c *egress.Client, url string) (*egress.Answer, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	return c.Do(r)
}

// TestPrivateAddresses: by number, by name, and in IPv6's clothes, none is
// connected to unless that is allowed.
func TestPrivateAddresses(t *testing.T) {
	asked := new(atomic.Int64)
	url, connections := serve(t, func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	port := url[strings.LastIndexByte(url, ':'):]
	c := client(t, egress.Config{DialTimeout: time.Second})
	for _, host := range []string{
		"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "10.0.0.1", "172.16.3.4", "192.168.1.1",
		"169.254.169.254", "100.64.0.1", "[fe80::1]", "[fd00::1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "224.0.0.1", "255.255.255.255",
	} {
		if _, err := post(t, c, "http://"+host+port); !errors.Is(err, egress.ErrPrivate) {
			t.Errorf("%s: %v", host, err)
		}
	}
	if connections.Load() != 0 {
		t.Errorf("%d connections were made", connections.Load())
	}
	if answer, err := post(t, client(t, egress.Config{AllowPrivate: true}), url); err != nil || answer.Status != 200 || asked.Load() != 1 {
		t.Errorf("where it is allowed: %+v, %v", answer, err)
	}
}

// TestAnswers: a redirect is an answer like others, a huge body is cut, and the
// connection is used again.
func TestAnswers(t *testing.T) {
	url, connections := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/elsewhere":
			http.Redirect(w, r, "/followed", http.StatusTemporaryRedirect)
		case "/followed":
			t.Error("the redirect was followed")
		case "/large":
			_, _ = io.Copy(w, io.LimitReader(zeros{}, egress.MaxAnswerBytes+1000))
		case "/broken":
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("short"))
		}
	})
	c := client(t, egress.Config{AllowPrivate: true})
	for path, want := range map[string]struct{ status, bytes int }{
		"/elsewhere": {307, 0}, "/large": {200, egress.MaxAnswerBytes}, "/nothing": {200, 0},
	} {
		if answer, err := post(t, c, url+path); err != nil || answer.Status != want.status || len(answer.Body) != want.bytes {
			t.Errorf("%s: %+v, %v", path, answer, err)
		}
	}
	if connections.Load() != 1 {
		t.Errorf("%d connections, want one", connections.Load())
	}
	if answer, err := post(t, c, url+"/broken"); err != nil || answer.Status != 200 || string(answer.Body) != "short" {
		t.Errorf("an answer that breaks off: %+v, %v", answer, err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestNeverTwice: a request over a connection that the server has closed
// meanwhile fails, rather than being sent again behind the caller's back.
func TestNeverTwice(t *testing.T) {
	asked := new(atomic.Int64)
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if asked.Add(1) == 2 {
			panic(http.ErrAbortHandler)
		}
	})
	c := client(t, egress.Config{AllowPrivate: true})
	if _, err := post(t, c, url); err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Idempotency-Key", "1") // which the library takes as leave to repeat
	if _, err := c.Do(r); err == nil {
		t.Error("no error")
	}
	if asked.Load() != 2 {
		t.Errorf("the server was asked %d times, want 2", asked.Load())
	}
}

func TestSignature(t *testing.T) {
	now, body := time.Unix(1_800_000_000, 0), []byte(`{"a":1}`)
	old, next := []byte("old secret"), []byte("next secret")
	signature := egress.Sign([][]byte{next, old}, body, now)
	sum := hmac.New(sha256.New, old)
	sum.Write([]byte(`1800000000.{"a":1}`))
	if !strings.HasPrefix(signature, "t=1800000000,v1=") || !strings.HasSuffix(signature, ",v1="+hex.EncodeToString(sum.Sum(nil))) {
		t.Errorf("signature %s", signature)
	}
	for name, test := range map[string]struct {
		signature string
		secret    []byte
		body      []byte
		at        time.Time
		want      error
	}{
		"the next secret":  {signature, next, body, now, nil},
		"the old secret":   {signature, old, body, now.Add(5 * time.Minute), nil},
		"another secret":   {signature, []byte("other"), body, now, egress.ErrSignature},
		"another body":     {signature, old, bytes.ToUpper(body), now, egress.ErrSignature},
		"another time":     {strings.Replace(signature, "t=1800000000", "t=1800000001", 1), old, body, now, egress.ErrSignature},
		"too late":         {signature, old, body, now.Add(6 * time.Minute), egress.ErrSignatureTime},
		"of the future":    {signature, old, body, now.Add(-6 * time.Minute), egress.ErrSignatureTime},
		"nothing":          {"", old, body, now, egress.ErrSignatureForm},
		"no time":          {"v1=00", old, body, now, egress.ErrSignatureForm},
		"no sum":           {"t=1800000000", old, body, now, egress.ErrSignatureForm},
		"no hexadecimals":  {"t=1800000000,v1=xyz", old, body, now, egress.ErrSignatureForm},
		"only of a scheme": {"t=1800000000,v0=00", old, body, now, egress.ErrSignatureForm},
	} {
		if err := egress.Verify(test.signature, test.secret, test.body, test.at, 5*time.Minute); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
}
