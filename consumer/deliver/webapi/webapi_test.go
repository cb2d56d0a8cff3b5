package webapi

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/meddela/meddela/consumer/deliver"
	"github.com/meddela/meddela/consumer/egress"
	"github.com/meddela/meddela/consumer/message"
	"github.com/meddela/meddela/topology"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	aJob     = &topology.Job{JobID: "j-1", EventID: "e-1", Lane: topology.Realtime, Attempt: 1, Type: "code", Template: "code@1", Channel: topology.SMS}
	aMessage = &message.Message{Channel: topology.SMS, To: "+46 70 1", Text: "Your \"code\":\n<1>", Language: "sv"}
)

func provider(t testing.TB, c Config) *Provider {
	t.Helper()
	setDefault(&c.Name, "sms-1")
	c.AllowPrivate = true
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func server(t testing.TB, handler http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s.URL
}

// TestRequest: what is asked is what the templates say, and cannot be broken by
// what an event holds.
func TestRequest(t *testing.T) {
	var asked *http.Request
	var body string
	url := server(t, func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		asked, body = r, string(text)
		_, _ = io.WriteString(w, `{"data":[{"id":"m-7"}]}`)
	})
	p := provider(t, Config{
		URL:     url + "/v1/{{ .Lane }}/messages?tag={{ urlquery .Type }}",
		Headers: map[string]string{"X-Event": "{{ .EventID }}", "content-type": "application/vnd.sms+json"},
		Body:    `{"to":{{ json .To }},"text":{{ json .Text }}}`, BearerToken: "secret",
		Sign: [][]byte{[]byte("signing")}, MessageID: "data.0.id",
	})
	got := p.Send(t.Context(), aJob, aMessage)
	if got.Verdict != deliver.Accepted || got.MessageID != "m-7" || got.Detail != "" {
		t.Errorf("response %+v", got)
	}
	if want := `{"to":"+46 70 1","text":"Your \"code\":\n<1>"}`; body != want {
		t.Errorf("body %s, want %s", body, want)
	}
	if asked.Method != http.MethodPost || asked.URL.String() != "/v1/realtime/messages?tag=code" {
		t.Errorf("%s %s", asked.Method, asked.URL)
	}
	for header, want := range map[string]string{
		"Idempotency-Key": "j-1", "X-Event": "e-1", "Content-Type": "application/vnd.sms+json", "Authorization": "Bearer secret",
	} {
		if asked.Header.Get(header) != want {
			t.Errorf("%s: %q, want %q", header, asked.Header.Get(header), want)
		}
	}
	if err := egress.Verify(asked.Header.Get(egress.SignatureHeader), []byte("signing"), []byte(body), time.Now(), time.Minute); err != nil {
		t.Error(err)
	}
}

// TestWebhook: the template's own target is asked, if its host may be.
func TestWebhook(t *testing.T) {
	asked := 0
	url := server(t, func(_ http.ResponseWriter, r *http.Request) {
		if text, _ := io.ReadAll(r.Body); string(text) == `{"a":1}` {
			asked++
		}
	})
	job := &topology.Job{JobID: "j-1", Channel: topology.Webhook}
	for _, test := range []struct {
		hosts  []string
		target string
		want   deliver.Verdict
	}{
		{nil, url + "/hook", deliver.Accepted}, {[]string{"127.0.0.1"}, url + "/hook", deliver.Accepted},
		{[]string{"hooks.example.com"}, url + "/hook", deliver.Refused}, {nil, "file:///etc/passwd", deliver.Refused},
		{nil, "", deliver.Refused}, {nil, "http:///hook", deliver.Refused}, {nil, "::", deliver.Refused},
	} {
		p := provider(t, Config{Hosts: test.hosts})
		got := p.Send(t.Context(), job, &message.Message{Channel: topology.Webhook, To: test.target, Body: []byte(`{"a":1}`)})
		if got.Verdict != test.want {
			t.Errorf("%q with hosts %v: %+v", test.target, test.hosts, got)
		}
	}
	if asked != 2 {
		t.Errorf("asked %d times", asked)
	}
}

// TestSmuggling: a message that would change the request's target or headers is
// refused, and what is said of it does not hold it.
func TestSmuggling(t *testing.T) {
	url := server(t, func(http.ResponseWriter, *http.Request) { t.Error("asked") })
	for name, c := range map[string]Config{
		"header": {URL: url, Headers: map[string]string{"X-To": "{{ .To }}"}},
		"path":   {URL: url + "/{{ .To }}"},
	} {
		m := &message.Message{To: "evil\r\nX-Admin: 1"}
		if got := provider(t, c).Send(t.Context(), aJob, m); got.Verdict != deliver.Refused || strings.Contains(got.Detail, "evil") {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestEveryAnswer: each class of answer, with and without rules.
func TestEveryAnswer(t *testing.T) {
	rules := []Rule{
		{Status: "200", JSON: "status", Equals: "rejected", Verdict: deliver.Refused},
		{Status: "2xx", JSON: "status", Equals: "blocked", Verdict: deliver.Skipped, Reason: topology.ReasonSuppressed},
		{Status: "409", Verdict: deliver.Accepted},
		{Status: "460-469", Verdict: deliver.Skipped, Reason: topology.ReasonInvalidAddress},
		{JSON: "error.code", Equals: "21610", Verdict: deliver.Skipped, Reason: topology.ReasonSuppressed},
	}
	for _, test := range []struct {
		status     int
		body       string
		retryAfter string
		rules      []Rule
		verdict    deliver.Verdict
		reason     topology.Reason
		wait       time.Duration
	}{
		{status: 200, verdict: deliver.Accepted}, {status: 201, verdict: deliver.Accepted}, {status: 202, body: "not json", verdict: deliver.Accepted},
		{status: 204, verdict: deliver.Accepted}, {status: 301, verdict: deliver.Refused}, {status: 307, verdict: deliver.Refused},
		{status: 400, verdict: deliver.Refused}, {status: 401, verdict: deliver.Down}, {status: 402, verdict: deliver.Refused},
		{status: 403, verdict: deliver.Down}, {status: 404, verdict: deliver.Refused}, {status: 407, verdict: deliver.Down}, {status: 408, verdict: deliver.Failed},
		{status: 409, verdict: deliver.Failed}, {status: 410, verdict: deliver.Refused}, {status: 413, verdict: deliver.Refused},
		{status: 422, verdict: deliver.Refused}, {status: 425, verdict: deliver.Failed}, {status: 429, verdict: deliver.Failed},
		{status: 429, retryAfter: "120", verdict: deliver.Failed, wait: 2 * time.Minute},
		{status: 429, retryAfter: "999999999", verdict: deliver.Failed, wait: time.Hour},
		{status: 429, retryAfter: "-5", verdict: deliver.Failed}, {status: 429, retryAfter: "soon", verdict: deliver.Failed},
		{status: 503, retryAfter: time.Now().Add(10 * time.Minute).UTC().Format(http.TimeFormat), verdict: deliver.Failed, wait: 10 * time.Minute},
		{status: 400, retryAfter: "120", verdict: deliver.Refused},
		{status: 500, verdict: deliver.Failed}, {status: 501, verdict: deliver.Failed}, {status: 502, verdict: deliver.Failed},
		{status: 503, verdict: deliver.Failed}, {status: 504, verdict: deliver.Failed}, {status: 599, verdict: deliver.Failed},
		{status: 200, rules: rules, body: `{"status":"rejected"}`, verdict: deliver.Refused},
		{status: 202, rules: rules, body: `{"status":"rejected"}`, verdict: deliver.Accepted},
		{status: 202, rules: rules, body: `{"status":"blocked"}`, verdict: deliver.Skipped, reason: topology.ReasonSuppressed},
		{status: 409, rules: rules, verdict: deliver.Accepted},
		{status: 465, rules: rules, verdict: deliver.Skipped, reason: topology.ReasonInvalidAddress},
		{status: 400, rules: rules, body: `{"error":{"code":21610}}`, verdict: deliver.Skipped, reason: topology.ReasonSuppressed},
		{status: 500, rules: rules, body: `{"error"`, verdict: deliver.Failed},
	} {
		url := server(t, func(w http.ResponseWriter, _ *http.Request) {
			if test.retryAfter != "" {
				w.Header().Set("Retry-After", test.retryAfter)
			}
			w.WriteHeader(test.status)
			_, _ = io.WriteString(w, test.body)
		})
		got := provider(t, Config{URL: url, Rules: test.rules}).Send(t.Context(), aJob, aMessage)
		if got.Verdict != test.verdict || got.Reason != test.reason || (got.RetryAfter-test.wait).Abs() > 2*time.Second {
			t.Errorf("%d %s %q: %+v", test.status, test.body, test.retryAfter, got)
		}
		if got.Verdict != deliver.Accepted && !strings.Contains(got.Detail, "answered") {
			t.Errorf("%d: detail %q", test.status, got.Detail)
		}
	}
}

// TestNoAnswer: before the request has begun nothing is in doubt; afterwards it
// is, unless the provider honours the key.
func TestNoAnswer(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + closed.Addr().String()
	_ = closed.Close()
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	faulty := server(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		switch r.URL.Path {
		case "/hangs":
			select {
			case <-hang:
			case <-r.Context().Done():
			}
		case "/resets":
			connection, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_ = connection.(*net.TCPConn).SetLinger(0)
				_ = connection.Close()
			}
		case "/talks":
			connection, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_, _ = io.WriteString(connection, "220 mail.example.com\r\n")
				_ = connection.Close()
			}
		}
	})
	for _, test := range []struct {
		url        string
		idempotent bool
		verdict    deliver.Verdict
		detail     string
	}{
		{nobody, false, deliver.Down, "refuses connections"},
		{strings.Replace(faulty, "http:", "https:", 1), false, deliver.Down, "does not speak TLS"},
		{"http://no-such-host.invalid", false, deliver.Down, "not known"},
		{faulty + "/hangs", false, deliver.Unknown, "did not answer in time"},
		{faulty + "/hangs", true, deliver.Failed, "did not answer in time"},
		{faulty + "/resets", false, deliver.Unknown, "broke"},
		{faulty + "/resets", true, deliver.Failed, "broke"},
		{faulty + "/talks", false, deliver.Unknown, "broke"},
	} {
		p := provider(t, Config{URL: test.url, Idempotent: test.idempotent, Timeout: 300 * time.Millisecond})
		if got := p.Send(t.Context(), aJob, aMessage); got.Verdict != test.verdict || !strings.Contains(got.Detail, test.detail) {
			t.Errorf("%s idempotent=%v: %+v", test.url, test.idempotent, got)
		}
	}
	c := Config{Name: "public", URL: nobody}
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Send(t.Context(), aJob, aMessage); got.Verdict != deliver.Down || !strings.Contains(got.Detail, "allow_private") {
		t.Errorf("a private address: %+v", got)
	}
}

func TestLate(t *testing.T) {
	url := server(t, func(http.ResponseWriter, *http.Request) { t.Error("asked") })
	job := *aJob
	job.Expires = time.Now()
	if got := provider(t, Config{URL: url}).Send(t.Context(), &job, aMessage); got.Verdict != deliver.Late {
		t.Errorf("%+v", got)
	}
}

func TestBadConfig(t *testing.T) {
	for name, c := range map[string]Config{
		"no name":                     {},
		"a template for a host":       {Name: "x", URL: "https://{{ .Type }}.example.com/"},
		"a template behind a host":    {Name: "x", URL: "https://example.com{{ .Type }}"},
		"no scheme":                   {Name: "x", URL: "example.com/messages"},
		"another scheme":              {Name: "x", URL: "ftp://example.com/"},
		"a login in the URL":          {Name: "x", URL: "https://kim:secret@example.com/"},
		"a broken template":           {Name: "x", Body: "{{ .To"},
		"a field that is not there":   {Name: "x", Body: "{{ .Recipient }}"},
		"a header that is none":       {Name: "x", Headers: map[string]string{"X Y": "1"}},
		"two logins":                  {Name: "x", BearerToken: "a", Username: "b"},
		"an answer of every kind":     {Name: "x", Rules: []Rule{{Verdict: deliver.Accepted}}},
		"no status":                   {Name: "x", Rules: []Rule{{Status: "6xx", Verdict: deliver.Accepted}}},
		"a range backwards":           {Name: "x", Rules: []Rule{{Status: "500-400", Verdict: deliver.Accepted}}},
		"a verdict of our own":        {Name: "x", Rules: []Rule{{Status: "200", Verdict: deliver.Late}}},
		"skipped for another reason":  {Name: "x", Rules: []Rule{{Status: "200", Verdict: deliver.Skipped, Reason: topology.ReasonKilled}}},
		"a negative time":             {Name: "x", Timeout: -1},
		"skipped without a reason":    {Name: "x", Rules: []Rule{{Status: "200", Verdict: deliver.Skipped}}},
		"a status that is no number":  {Name: "x", Rules: []Rule{{Status: "OK", Verdict: deliver.Accepted}}},
		"a status that is none of it": {Name: "x", Rules: []Rule{{Status: "99", Verdict: deliver.Accepted}}},
	} {
		if _, err := New(c); err == nil {
			t.Errorf("%s: taken", name)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// BenchmarkSend measures sending beside a bare loop of the same requests.
func BenchmarkSend(b *testing.B) {
	url := server(b, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, `{"id":"m-7"}`)
	})
	b.Run("provider", func(b *testing.B) {
		p := provider(b, Config{URL: url + "/messages", Body: `{"to":{{ json .To }},"text":{{ json .Text }}}`, MessageID: "id"})
		for b.Loop() {
			if got := p.Send(context.Background(), aJob, aMessage); got.Verdict != deliver.Accepted {
				b.Fatalf("%+v", got)
			}
		}
	})
	b.Run("bare", func(b *testing.B) {
		client := &http.Client{Transport: &http.Transport{}, Timeout: 8 * time.Second}
		defer client.CloseIdleConnections()
		for b.Loop() {
			r, err := http.NewRequest(http.MethodPost, url+"/messages", strings.NewReader(`{"to":"+46 70 1","text":"Your \"code\":\n<1>"}`))
			if err != nil {
				b.Fatal(err)
			}
			response, err := client.Do(r)
			if err != nil {
				b.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
		}
	})
}
