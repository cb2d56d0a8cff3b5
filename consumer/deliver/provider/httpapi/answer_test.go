package httpapi

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/outbound"
	"github.com/meddela/meddela/topology"
)

// TestStatuses is about every class of answer, without rules.
func TestStatuses(t *testing.T) {
	want := map[int]provider.Verdict{
		200: provider.Accepted, 201: provider.Accepted, 202: provider.Accepted, 204: provider.Accepted,
		299: provider.Accepted,
		300: provider.Rejected, 301: provider.Rejected, 302: provider.Rejected, 304: provider.Rejected,
		307: provider.Rejected, 308: provider.Rejected,
		400: provider.Rejected, 401: provider.Down, 402: provider.Rejected, 403: provider.Down, 404: provider.Rejected,
		405: provider.Rejected,
		407: provider.Down, 408: provider.Failed, 409: provider.Rejected, 410: provider.Rejected, 413: provider.Rejected,
		418: provider.Rejected,
		422: provider.Rejected, 425: provider.Failed, 429: provider.Failed, 451: provider.Rejected,
		500: provider.Failed, 501: provider.Failed, 502: provider.Failed, 503: provider.Failed, 504: provider.Unknown,
		529: provider.Failed, 599: provider.Failed,
		600: provider.Unknown, 999: provider.Unknown,
	}
	s := newStand(t, func(w http.ResponseWriter, r *http.Request) {
		code, _ := strconv.Atoi(r.URL.Query().Get("status"))
		w.Header().Set("Retry-After", "7")
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(code)
	})
	for _, idempotent := range []bool{false, true} {
		p := newProvider(t, Config{URL: s.URL + "?status={{.Text}}", Idempotent: idempotent})
		for code, verdict := range want {
			if code == 409 && idempotent {
				verdict = provider.Unknown
			}
			wait := time.Duration(0)
			if verdict == provider.Failed || verdict == provider.Down {
				wait = 7 * time.Second
			}
			detail := strings.TrimPrefix(s.URL, "http://") + " answered " + strconv.Itoa(code)
			if verdict == provider.Accepted {
				detail = ""
			}
			got := p.Send(t.Context(), smsJob(), sms(strconv.Itoa(code)))
			if got != (provider.Response{Verdict: verdict, RetryAfter: wait, Detail: detail}) {
				t.Errorf("%d: %+v, want %v, %v, %q", code, got, verdict, wait, detail)
			}
		}
	}
	if n := s.count(); n != 2*len(want) {
		t.Errorf("%d requests for %d messages", n, 2*len(want))
	}
}

func TestRules(t *testing.T) {
	rules := []Rule{
		{Status: "200", JSON: "$.status", Equals: "rejected", Verdict: provider.Rejected},
		{Status: "2xx", JSON: "$.status", Equals: "blocked", Verdict: provider.Skipped, Reason: topology.ReasonSuppressed},
		{Status: "2xx", JSON: "$.error", Verdict: provider.Failed},
		{JSON: "$.errors[0].code", Equals: "21211", Verdict: provider.Skipped},
		{Status: "409", Verdict: provider.Accepted},
		{Status: "460-469", Verdict: provider.Down},
		{Status: "500", Verdict: provider.Unknown},
	}
	huge := strings.Repeat(" ", 70<<10)
	for _, c := range []struct {
		status  int
		body    string
		verdict provider.Verdict
		reason  topology.Reason
		detail  string
		id      string
	}{
		{200, `{"status":"ok","id":"m-7"}`, provider.Accepted, "", "", "m-7"},
		{200, `{"status":"rejected"}`, provider.Rejected, "", " answered 200, and $.status is rejected", ""},
		{201, `{"status":"rejected"}`, provider.Accepted, "", "", ""},
		{202, `{"status":"blocked"}`, provider.Skipped, topology.ReasonSuppressed, " answered 202, and $.status is blocked",
			""},
		{200, `{"error":{"PRIVATE":1}}`, provider.Failed, "", " answered 200, and has $.error", ""},
		{200, `{"error":null}`, provider.Accepted, "", "", ""},
		{400, `{"errors":[{"code":21211,"message":"PRIVATE"}]}`, provider.Skipped, topology.ReasonInvalidAddress,
			" answered 400, and $.errors[0].code is 21211", ""},
		{400, `{"errors":[{"code":21212}]}`, provider.Rejected, "", " answered 400", ""},
		{409, ``, provider.Accepted, "", "", ""},
		{465, ``, provider.Down, "", " answered 465", ""},
		{470, ``, provider.Rejected, "", " answered 470", ""},
		{500, ``, provider.Unknown, "", " answered 500", ""},
		{200, `<html>PRIVATE`, provider.Accepted, "", "", ""},
		{200, `{"status":"rejected"`, provider.Accepted, "", "", ""},
		{200, huge + `{"status":"rejected"}`, provider.Unknown, "", " answered 200, and its body is too long, or broke off",
			""},
		{400, huge + `{"status":"rejected"}`, provider.Rejected, "", " answered 400", ""},
		{200, `{"id":"id of +46 70-123 45 67"}`, provider.Accepted, "", "", ""},
		{200, `{"id":"46701234567-1"}`, provider.Accepted, "", "", ""},
		{200, `{"id":"` + strings.Repeat("x", 257) + `"}`, provider.Accepted, "", "", ""},
		{200, `{"id":"a\tb"}`, provider.Accepted, "", "", ""},
		{200, `{"id":17}`, provider.Accepted, "", "", "17"},
	} {
		s := newStand(t, status(c.status, c.body))
		p := newProvider(t, Config{URL: s.URL, Rules: rules, MessageID: "$.id"})
		got := p.Send(t.Context(), smsJob(), sms("x"))
		if c.detail != "" {
			c.detail = strings.TrimPrefix(s.URL, "http://") + c.detail
		}
		if got != (provider.Response{Verdict: c.verdict, Reason: c.reason, Detail: c.detail, MessageID: c.id}) {
			t.Errorf("%d %.60s: %+v", c.status, c.body, got)
		}
	}
}

func TestMessageIDInHeader(t *testing.T) {
	s := newStand(t, status(202, "", "X-Message-Id", "m-9"))
	p := newProvider(t, Config{URL: s.URL, MessageID: "header:x-message-id"})
	if got := p.Send(t.Context(), smsJob(), sms("x")); got.MessageID != "m-9" {
		t.Errorf("%+v", got)
	}
}

// TestFaults is about every way in which there is no answer.
func TestFaults(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	untrusted := httptest.NewTLSServer(nil)
	untrusted.Config.ErrorLog = nil
	t.Cleanup(untrusted.Close)
	plain := newStand(t, nil)
	for name, c := range map[string]struct {
		url     string // or
		act     func(n int, c net.Conn) bool
		verdict provider.Verdict
		detail  string
	}{
		"refused":   {gone.URL, nil, provider.Down, "the connection was refused"},
		"untrusted": {untrusted.URL, nil, provider.Down, "the authority of its certificate is not known"},
		"no TLS":    {strings.Replace(plain.URL, "http:", "https:", 1), nil, provider.Down, "it does not speak TLS"},
		"closed": {"", func(int, net.Conn) bool { return false }, provider.Unknown,
			"the request was written, and not answered"},
		"reset": {"", func(_ int, c net.Conn) bool { c.(*net.TCPConn).SetLinger(0); return false }, provider.Unknown,
			"not answered"},
		"no HTTP": {"", func(_ int, c net.Conn) bool { io.WriteString(c, "250 OK\r\n"); return false }, provider.Unknown,
			"not answered"},
		"silent": {"", func(int, net.Conn) bool { return true }, provider.Unknown, "not answered in time"},
		"slow head": {"", func(_ int, c net.Conn) bool { io.WriteString(c, "HTTP/1.1 200 OK\r\nX: "); return true },
			provider.Unknown, "not answered in time"},
		"slow body": {"", func(_ int, c net.Conn) bool {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{")
			return true
		}, provider.Accepted, ""},
		"torn body": {"", func(_ int, c net.Conn) bool {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{")
			return false
		}, provider.Accepted, ""},
		"torn error": {"", func(_ int, c net.Conn) bool {
			io.WriteString(c, "HTTP/1.1 503 x\r\nContent-Length: 9\r\n\r\n{")
			return false
		}, provider.Failed, " answered 503"},
	} {
		for _, idempotent := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				target, before := c.url, int64(0)
				if c.act != nil {
					u, requests := script(t, c.act)
					target = u
					defer func() {
						want := int64(1)
						if idempotent && c.verdict == provider.Unknown && !strings.Contains(c.detail, "in time") {
							want = 2 // the same key, to the same provider
						}
						if n := requests.Load() - before; n != want {
							t.Errorf("%d requests, want %d", n, want)
						}
					}()
				}
				timeout := 30 * time.Second // which no answer waits for, also on a busy machine
				if strings.Contains(c.detail, "in time") || name == "slow body" {
					timeout = 300 * time.Millisecond
				}
				p := newProvider(t, Config{
					URL: target + "/SECRET?SECRET", Timeout: timeout, Idempotent: idempotent, MessageID: "$.id",
				})
				got := p.Send(t.Context(), smsJob(), sms("PRIVATE"))
				if got.Verdict != c.verdict || !strings.Contains(got.Detail, c.detail) || got.Reason != "" {
					t.Errorf("%+v, want %v and %q", got, c.verdict, c.detail)
				}
				if strings.Contains(got.Detail, "SECRET") || strings.Contains(got.Detail, "PRIVATE") {
					t.Errorf("detail %q", got.Detail)
				}
			})
		}
	}
}

// A provider that honours the key is asked once more when a connection breaks,
// and only an answer about the message settles it.
func TestSentAgain(t *testing.T) {
	for second, want := range map[int]provider.Verdict{
		200: provider.Accepted, 422: provider.Rejected, 409: provider.Unknown, 503: provider.Unknown, 401: provider.Unknown,
		0: provider.Unknown,
	} {
		for _, used := range []int{0, 1} { // requests that the connection has had
			url, requests := script(t, func(n int, c net.Conn) bool {
				switch {
				case n <= used:
					return write(c, 200, "")
				case n == used+1 || second == 0:
					return false
				}
				return write(c, second, "")
			})
			p := newProvider(t, Config{URL: url, Idempotent: true})
			for range used {
				p.Send(t.Context(), smsJob(), sms("x"))
			}
			got := p.Send(t.Context(), smsJob(), sms("x"))
			if n := requests.Load(); got.Verdict != want || n != int64(used)+2 {
				t.Errorf("then %d: %+v after %d requests", second, got, n)
			}
		}
	}
}

// One that does not honour the key never has a message twice by one Send.
func TestSentOnce(t *testing.T) {
	for _, method := range []string{"POST", "PUT", "GET"} {
		url, requests := script(t, func(n int, c net.Conn) bool {
			return n%2 == 1 && write(c, 200, "")
		})
		p := newProvider(t, Config{Method: method, URL: url})
		for i := range 10 {
			want := provider.Accepted
			if i%2 == 1 {
				want = provider.Unknown
			}
			if got := p.Send(t.Context(), smsJob(), sms("x")); got.Verdict != want {
				t.Errorf("%s %d: %+v", method, i, got)
			}
		}
		if n := requests.Load(); n != 10 {
			t.Errorf("%s: %d requests for 10 sends", method, n)
		}
	}
}

func TestLate(t *testing.T) {
	s := newStand(t, nil)
	p := newProvider(t, Config{URL: s.URL})
	late, inTime := smsJob(), smsJob()
	late.Expires, inTime.Expires = time.Now(), time.Now().Add(time.Minute)
	if got := p.Send(t.Context(), late, sms("x")); got != (provider.Response{Verdict: provider.Expired}) {
		t.Errorf("%+v", got)
	}
	if got := p.Send(t.Context(), inTime, sms("x")); got.Verdict != provider.Accepted || s.count() != 1 {
		t.Errorf("%+v, %d requests", got, s.count())
	}
}

// A message whose validity ends while it waits for a connection is not sent.
func TestLateAfterWaiting(t *testing.T) {
	began, end := make(chan bool, 1), make(chan bool)
	s := newStand(t, func(http.ResponseWriter, *http.Request) { began <- true; <-end })
	p := newProvider(t, Config{URL: s.URL, Concurrency: 1})
	first := make(chan provider.Response)
	go func() { first <- p.Send(context.Background(), smsJob(), sms("x")) }()
	<-began
	job := smsJob()
	job.Expires = time.Now().Add(50 * time.Millisecond)
	time.AfterFunc(100*time.Millisecond, func() { close(end) })
	if got := p.Send(t.Context(), job, sms("x")); got.Verdict != provider.Expired {
		t.Errorf("%+v", got)
	}
	if got := <-first; got.Verdict != provider.Accepted || s.count() != 1 {
		t.Errorf("%+v, %d requests", got, s.count())
	}
}

// FuzzAnswer: whatever a provider answers has a meaning, which has no part of the address.
func FuzzAnswer(f *testing.F) {
	f.Add(200, `{"id":"m-1","errors":[{"code":21211}]}`, "7")
	f.Add(429, "\xff{", "Wed, 21 Oct 2099 07:28:00 GMT")
	f.Add(200, `{"id":"`+phone+`"}`, "-1")
	p := newProvider(f, Config{URL: "https://api.example.com/", MessageID: "$.id", Rules: []Rule{
		{JSON: "$.errors[0].code", Equals: "21211", Verdict: provider.Skipped}, {Status: "5xx", Verdict: provider.Down},
	}})
	f.Fuzz(func(t *testing.T, status int, body, after string) {
		a := &outbound.Response{Status: status, Body: []byte(body), Header: http.Header{"Retry-After": {after}}}
		r := p.meaning(a, "api.example.com", sms("hi"))
		if r.RetryAfter < 0 || r.RetryAfter > time.Hour || len(r.MessageID) > 256 || hasAddress(r.MessageID+r.Detail, phone) {
			t.Fatalf("%d %q means %+v", status, body, r)
		}
	})
}
