package httpapi

import (
	"compress/gzip"
	"context"
	"encoding/base64"
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
		207: provider.Unknown, 299: provider.Accepted,
		300: provider.Down, 301: provider.Down, 302: provider.Down, 304: provider.Down,
		307: provider.Down, 308: provider.Down,
		400: provider.Rejected, 401: provider.Down, 402: provider.Down, 403: provider.Down, 404: provider.Rejected,
		405: provider.Down,
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
			ofMessage := verdict != provider.Accepted && code < 500 && (verdict != provider.Down || code == 403)
			got := p.Send(t.Context(), smsJob(), sms(strconv.Itoa(code)))
			if got != (provider.Response{Verdict: verdict, RetryAfter: wait, Detail: detail, OfMessage: ofMessage}) {
				t.Errorf("%d: %+v, want %v, %v, %q, %v", code, got, verdict, wait, detail, ofMessage)
			}
		}
	}
	if n := s.count(); n != 2*len(want) {
		t.Errorf("%d requests for %d messages", n, 2*len(want))
	}
}

func is(path string, texts ...string) map[string][]string { return map[string][]string{path: texts} }

func TestRules(t *testing.T) {
	rules := []Rule{
		{Status: "200", JSON: is("$.status", "rejected"), Verdict: provider.Rejected},
		{Status: "2xx", JSON: is("$.status", "blocked"), Verdict: provider.Skipped, Reason: topology.ReasonSuppressed},
		{Status: "2xx", JSON: is("$.error"), Verdict: provider.Failed},
		{JSON: is("$.errors[0].code", "21211"), Verdict: provider.Skipped},
		{Status: "409", Verdict: provider.Accepted},
		{Status: "460-469", Verdict: provider.Down},
		{Status: "500", Verdict: provider.Unknown},
	}
	huge := strings.Repeat(" ", 70<<10)
	const noJSON = " answered 200, and its body is no JSON, as the rules for answers expect"
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
		{201, `{"status":"rejected","id":1}`, provider.Accepted, "", "", "1"},
		{202, `{"status":"blocked"}`, provider.Skipped, topology.ReasonSuppressed, " answered 202, and $.status is blocked",
			""},
		{200, `{"error":{"PRIVATE":1}}`, provider.Failed, "", " answered 200, and has $.error", ""},
		{200, `{"error":null,"id":1.5}`, provider.Accepted, "", "", "1.5"},
		{400, `{"errors":[{"code":21211,"message":"PRIVATE"}]}`, provider.Skipped, topology.ReasonInvalidAddress,
			" answered 400, and $.errors[0].code is 21211", ""},
		{400, `{"errors":[{"code":21212}]}`, provider.Rejected, "", " answered 400", ""},
		{409, ``, provider.Accepted, "", "", ""},
		{465, ``, provider.Down, "", " answered 465", ""},
		{470, ``, provider.Rejected, "", " answered 470", ""},
		{500, ``, provider.Unknown, "", " answered 500", ""},
		{200, `<html>PRIVATE`, provider.Unknown, "", noJSON, ""},
		{200, `{"status":"rejected"`, provider.Unknown, "", noJSON, ""},
		{404, `<html>PRIVATE`, provider.Rejected, "", " answered 404", ""},
		{200, ``, provider.Unknown, "", " answered 200, without $.id", ""},
		{204, ``, provider.Unknown, "", " answered 204, without $.id", ""},
		{200, `{"status":"ok"}`, provider.Unknown, "", " answered 200, without $.id", ""},
		{200, `{"id":null}`, provider.Unknown, "", " answered 200, without $.id", ""},
		{200, `{"id":""}`, provider.Unknown, "", " answered 200, without $.id", ""},
		{200, "\ufeff {\"status\":\"rejected\"}", provider.Rejected, "", " answered 200, and $.status is rejected", ""},
		{200, "{\"status\":\"rejected\",\"why\":\"num\xe9ro\"}", provider.Rejected, "",
			" answered 200, and $.status is rejected", ""},
		{400, "{\"errors\":[{\"code\":21211,\"message\":\"num\xe9ro\"}]}", provider.Skipped,
			topology.ReasonInvalidAddress, " answered 400, and $.errors[0].code is 21211", ""},
		{200, "\xff\xfe{\x00\"\x00e\x00r\x00r\x00o\x00r\x00\"\x00:\x001\x00}\x00", provider.Failed, "",
			" answered 200, and has $.error", ""},
		{207, `{"status":"rejected"}`, provider.Unknown, "", " answered 207", ""},
		{207, `{"status":"blocked"}`, provider.Skipped, topology.ReasonSuppressed, " answered 207, and $.status is blocked",
			""},
		{200, `{"id":["m-1","m-2"]}`, provider.Accepted, "", "", "m-1"},
		{200, `{"error":[],"id":"m-3"}`, provider.Accepted, "", "", "m-3"},
		{200, `{"error":[null,"x"],"id":"m-3"}`, provider.Failed, "", " answered 200, and has $.error", ""},
		{200, huge + `{"status":"rejected"}`, provider.Unknown, "", " answered 200, and its body is too long, or broke off",
			""},
		{400, huge + `{"status":"rejected"}`, provider.Rejected, "", " answered 400", ""},
		{200, `{"id":"id of +46 70-123 45 67"}`, provider.Accepted, "", "", ""},
		{200, `{"id":"46701234567-1"}`, provider.Accepted, "", "", ""},
		{200, `{"id":"m-%2B46701234567"}`, provider.Accepted, "", "", ""},
		{200, `{"id":"2b3436373031323334353637"}`, provider.Accepted, "", "", ""},
		{200, `{"id":"3436373031323334353637.9"}`, provider.Accepted, "", "", ""},
		{200, `{"id":"m-` + base64.StdEncoding.EncodeToString([]byte("1:46701234567:2")) + `"}`, provider.Accepted, "",
			"", ""},
		{200, `{"id":"` + base64.RawURLEncoding.EncodeToString([]byte("+46701234567")) + `"}`, provider.Accepted, "", "",
			""},
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
		if got != (provider.Response{Verdict: c.verdict, Reason: c.reason, Detail: c.detail, MessageID: c.id,
			OfMessage: c.verdict != provider.Accepted && c.verdict != provider.Down && c.status < 500}) {
			t.Errorf("%d %.60s: %+v", c.status, c.body, got)
		}
	}
}

// TestConditions: every condition of a rule holds, whatever it looks at; then it says how long to wait.
func TestConditions(t *testing.T) {
	const wait = 30 * time.Second
	now := time.Now()
	for name, c := range map[string]struct {
		rule    Rule
		body    string
		headers []string
		fits    bool
		wait    time.Duration
	}{
		"a text":           {Rule{Text: `ERROR:\d+`}, " ERROR:14\n", nil, true, 0},
		"a part of a text": {Rule{Text: `ERROR`}, "ERROR:14", nil, false, 0},
		"either text":      {Rule{Text: `OK|ERROR`}, "OKERROR", nil, false, 0},
		"text of lines":    {Rule{Text: `ERROR.*`}, "ERROR\nCode: 14", nil, true, 0},
		"text of JSON":     {Rule{Text: `.*"e":1.*`}, `{"e":1}`, nil, true, 0},
		"a header":         {Rule{Headers: map[string]string{"x-error": `4\d`}}, "", []string{"X-Error", "41"}, true, 0},
		"another header": {Rule{Headers: map[string]string{"x-error": `4\d`}}, "", []string{"X-Error", "410"}, false,
			0},
		"no header":         {Rule{Headers: map[string]string{"x-error": `4\d`}}, "", nil, false, 0},
		"one of two values": {Rule{JSON: map[string][]string{"$.a": {"1"}, "$.b": nil}}, `{"a":1}`, nil, false, 0},
		"both values": {Rule{JSON: map[string][]string{"$.a": {"1"}, "$.b": nil}}, `{"a":1,"b":false}`, nil, true,
			0},
		"one of several texts": {Rule{JSON: is("$.a", "1", "2")}, `{"a":"2"}`, nil, true, 0},
		"true":                 {Rule{JSON: is("$.a", "true")}, `{"a":true}`, nil, true, 0},
		"a long number":        {Rule{JSON: is("$.a", "12345678901234567890")}, `{"a":12345678901234567890}`, nil, true, 0},
		"a number of digits":   {Rule{JSON: is("$.a", "21211")}, `{"a":2.1211e4}`, nil, true, 0},
		"as it is written":     {Rule{JSON: is("$.a", "21211.0")}, `{"a":21211.0}`, nil, true, 0},
		"in a list":            {Rule{JSON: is("$.a", "x")}, `{"a":["y","x"]}`, nil, true, 0},
		"in lists":             {Rule{JSON: is("$.a[*].b[*].c", "x")}, `{"a":[{},{"b":[{"c":1},{"c":"x"}]}]}`, nil, true, 0},
		"nowhere in lists":     {Rule{JSON: is("$.a[*].b", "x")}, `{"a":{"b":"x"}}`, nil, false, 0},
		"a list's end":         {Rule{JSON: is("$.a[*]", "x")}, `{"a":["x"]}`, nil, true, 0},
		"a list at the top":    {Rule{JSON: is("$[*].code", "7")}, `[{"code":6},{"code":7}]`, nil, true, 0},
		"all together": {Rule{JSON: is("$.a", "1"), Text: `.*"b".*`, Headers: map[string]string{"X-Error": ".+"}},
			`{"a":1,"b":2}`, []string{"X-Error", "x"}, true, 0},
		"all but one": {Rule{JSON: is("$.a", "1"), Text: `.*"b".*`, Headers: map[string]string{"X-Error": ".+"}},
			`{"a":1,"c":2}`, []string{"X-Error", "x"}, false, 0},
		"wait by a path":   {Rule{JSON: is("$.w"), RetryAfter: "$.w"}, `{"w":30}`, nil, true, wait},
		"wait as a length": {Rule{JSON: is("$.d"), RetryAfter: "$.d[*].w"}, `{"d":[{},{"w":"30s"}]}`, nil, true, wait},
		"wait by a header": {Rule{JSON: is("$.a"), RetryAfter: "header:X-Reset"}, `{"a":1}`, []string{"X-Reset", "30"}, true,
			wait},
		"the usual header": {Rule{JSON: is("$.a"), RetryAfter: "$.w"}, `{"a":1}`, []string{"Retry-After", "30"}, true, wait},
		"wait until a second": {Rule{JSON: is("$.a"), RetryAfter: "header:X-Reset"}, `{"a":1}`,
			[]string{"X-Reset", strconv.FormatInt(now.Add(time.Minute).Unix(), 10)}, true, time.Minute},
	} {
		c.rule.Verdict = provider.Failed
		p := newProvider(t, Config{URL: newStand(t, status(200, c.body, c.headers...)).URL, Rules: []Rule{c.rule}})
		got := p.Send(t.Context(), smsJob(), sms("x"))
		if (got.Verdict == provider.Failed) != c.fits || got.RetryAfter > c.wait || got.RetryAfter < c.wait*9/10 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestUnreadableAnswers: a body that the rules, or the id, are to be read of and cannot be, accepts nothing.
func TestUnreadableAnswers(t *testing.T) {
	json, text := Rule{JSON: is("$.e"), Verdict: provider.Rejected}, Rule{Text: "E", Verdict: provider.Rejected}
	for name, c := range map[string]struct {
		config  Config
		coding  string
		body    string
		verdict provider.Verdict
		detail  string
	}{
		"HTML for JSON":      {Config{Rules: []Rule{json}}, "", "<html>", provider.Unknown, "no JSON"},
		"HTML for an id":     {Config{MessageID: "$.id"}, "", "<html>", provider.Unknown, "without $.id"},
		"no header of an id": {Config{MessageID: "header:X-Id"}, "", "{}", provider.Unknown, "without header:X-Id"},
		"nothing for JSON":   {Config{Rules: []Rule{json}}, "", "", provider.Accepted, ""},
		"HTML for text":      {Config{Rules: []Rule{text}}, "", "<html>", provider.Accepted, ""},
		"text after JSON":    {Config{Rules: []Rule{json, text}}, "", "E", provider.Rejected, ""},
		"brotli for JSON":    {Config{Rules: []Rule{json}}, "br", "x", provider.Unknown, "Content-Encoding"},
		"brotli for text":    {Config{Rules: []Rule{text}}, "br", "x", provider.Unknown, "Content-Encoding"},
		"brotli for an id":   {Config{MessageID: "$.id"}, "br", "x", provider.Unknown, "without $.id"},
		"brotli for nobody": {Config{Rules: []Rule{{Status: "400", Verdict: provider.Failed}}}, "br", "x",
			provider.Accepted, ""},
		"brotli, and a rule that is sure": {Config{Rules: []Rule{{Status: "200", Verdict: provider.Accepted}, json}}, "br",
			"x", provider.Accepted, ""},
	} {
		c.config.URL = newStand(t, status(200, c.body, "Content-Encoding", c.coding)).URL
		got := newProvider(t, c.config).Send(t.Context(), smsJob(), sms("x"))
		if got.Verdict != c.verdict || !strings.Contains(got.Detail, c.detail) ||
			got.OfMessage != (c.verdict != provider.Accepted) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestRefusalInGzip: what a provider says in a coding that was not asked for is heard.
func TestRefusalInGzip(t *testing.T) {
	var b strings.Builder
	w := gzip.NewWriter(&b)
	io.WriteString(w, `{"status":"rejected"}`)
	w.Close()
	s := newStand(t, status(200, b.String(), "Content-Encoding", "gzip"))
	p := newProvider(t, Config{URL: s.URL, Rules: []Rule{{JSON: is("$.status", "rejected"), Verdict: provider.Rejected}}})
	if got := p.Send(t.Context(), smsJob(), sms("x")); got.Verdict != provider.Rejected {
		t.Errorf("%+v", got)
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
		}, provider.Unknown, "without $.id"},
		"torn body": {"", func(_ int, c net.Conn) bool {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{")
			return false
		}, provider.Unknown, "without $.id"},
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
						if idempotent && strings.Contains(c.detail, "not answered") && !strings.Contains(c.detail, "in time") {
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
		{JSON: is("$.errors[0].code", "21211"), Verdict: provider.Skipped}, {Status: "5xx", Verdict: provider.Down},
	}})
	f.Fuzz(func(t *testing.T, status int, body, after string) {
		a := &outbound.Response{Status: status, Body: []byte(body), Header: http.Header{"Retry-After": {after}}}
		r, _ := p.meaning(a, "api.example.com", sms("hi"))
		if r.RetryAfter < 0 || r.RetryAfter > time.Hour || len(r.MessageID) > 256 || hasAddress(r.MessageID+r.Detail, phone) {
			t.Fatalf("%d %q means %+v", status, body, r)
		}
	})
}
