package httpapi

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/outbound"
	"github.com/meddela/meddela/consumer/outbound/token"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

// What is asked is what the templates say, whatever the message holds.
func TestRequest(t *testing.T) {
	s := newStand(t, nil)
	p := newProvider(t, Config{
		Method: http.MethodPut,
		URL:    s.URL + "/v1/{{.Lane}}/{{.To}}?tag={{urlquery .Type}}&{{if .Text}}t={{.Text}}{{end}}",
		Headers: map[string]string{
			"x-event": "{{.EventID}}", "X-Fixed": "a b", "content-type": "application/vnd.sms+json",
		},
		Body:      `{"to":{{json .To}},"text":{{json .Text}},"by":{{json (print "job " .JobID)}}}`,
		Auth:      Auth{Username: "u", Password: outbound.Fixed("p:w")},
		Sign:      map[string][]outbound.Secret{s.Listener.Addr().String(): {outbound.Fixed(key1), outbound.Fixed(key2)}},
		MessageID: "$.id",
	})
	const text = "a/../b?x=1&y#z %2e \"q\"\r\n\\ <å>"
	got := p.Send(t.Context(), smsJob(), sms(text))
	if got != (provider.Response{Verdict: provider.Accepted, MessageID: "m-1"}) {
		t.Fatalf("%+v", got)
	}
	r, body := s.last(t)
	if r.Method != http.MethodPut || r.URL.Path != "/v1/realtime/"+phone ||
		r.URL.EscapedPath() != "/v1/realtime/%2B46%2070-123%2045%2067" {
		t.Errorf("%s %s", r.Method, r.URL.EscapedPath())
	}
	if query, err := url.ParseQuery(r.URL.RawQuery); err != nil || len(query) != 2 ||
		query.Get("tag") != "one_time_code" || query.Get("t") != text {
		t.Errorf("query %q, %v", query, err)
	}
	var have map[string]string
	if err := json.Unmarshal([]byte(body), &have); err != nil || have["text"] != text || have["to"] != phone ||
		have["by"] != "job j-1" {
		t.Errorf("body %s, %v", body, err)
	}
	for name, want := range map[string]string{
		"Idempotency-Key": "j-1", "X-Event": "e-1", "X-Fixed": "a b", "User-Agent": "meddela",
		"Content-Type": "application/vnd.sms+json", "Authorization": "Basic dTpwOnc=",
	} {
		if r.Header.Get(name) != want {
			t.Errorf("%s: %q, want %q", name, r.Header.Get(name), want)
		}
	}
	checkSignature(t, r.Header, body, key1, key2)
}

const (
	key1 = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
	key2 = "whsec_ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="
)

// checkSignature checks a request as whoever knows one of the secrets does.
func checkSignature(t *testing.T, header http.Header, body string, secrets ...string) {
	t.Helper()
	if header.Get("webhook-id") != "j-1" || len(strings.Fields(header.Get("webhook-signature"))) != len(secrets) {
		t.Errorf("signed as %v", header)
	}
	for _, secret := range secrets {
		receiver, err := webhooks.NewWebhook(secret)
		if err != nil {
			t.Fatal(err)
		}
		if err := receiver.Verify([]byte(body), header); err != nil {
			t.Error(err)
		}
	}
}

func TestDefaultBodies(t *testing.T) {
	s := newStand(t, nil)
	for _, c := range []struct {
		m    template.Message
		want string
	}{
		{template.Message{Channel: topology.SMS, To: "+1", Text: `a "<b>"`}, `{"id":"j-1","to":"+1","text":"a \"<b>\""}`},
		{template.Message{Channel: topology.Push, To: "tok", Body: []byte(`{"title":"x"}`)},
			`{"id":"j-1","to":"tok","message":{"title":"x"}}`},
		{template.Message{Channel: topology.Email, To: "a@b.example", Subject: "s", Text: "t", HTML: "<p>"},
			`{"id":"j-1","to":"a@b.example","subject":"s","text":"t","html":"<p>"}`},
		{template.Message{Channel: topology.Email, To: "a@b.example", Subject: "s", Text: "t"},
			`{"id":"j-1","to":"a@b.example","subject":"s","text":"t"}`},
		{template.Message{Channel: topology.Webhook, To: s.URL + "/hook", Body: []byte(`{"a": 1}`)}, `{"a": 1}`},
	} {
		config := Config{URL: s.URL + "/v1"}
		if c.m.Channel == topology.Webhook {
			config.URL, config.Hosts = "", []string{"127.0.0.1"}
		}
		got := newProvider(t, config).Send(t.Context(), smsJob(), &c.m)
		r, body := s.last(t)
		if got.Verdict != provider.Accepted || body != c.want || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%+v, body %s, want %s", got, body, c.want)
		}
	}
}

func TestOtherRequests(t *testing.T) {
	s := newStand(t, nil)
	calls := 0
	rotating := outbound.Secret(func() string { calls++; return fmt.Sprint("key-", calls) })
	for name, c := range map[string]struct {
		config Config
		check  func(r *http.Request, body string) bool
	}{
		"GET": {Config{Method: "GET", URL: s.URL + "?to={{.To}}&text={{.Text}}"}, func(r *http.Request, body string) bool {
			return r.Method == "GET" && body == "" && r.URL.Query().Get("to") == phone && r.URL.Query().Get("text") == "x&y" &&
				r.ContentLength == 0 && r.Header.Get("Content-Type") == ""
		}},
		"form": {Config{URL: s.URL, Headers: map[string]string{"Content-Type": formType},
			Body: "to={{urlquery .To}}&text={{urlquery .Text}}"}, func(_ *http.Request, body string) bool {
			form, err := url.ParseQuery(body)
			return err == nil && len(form) == 2 && form.Get("to") == phone && form.Get("text") == "x&y"
		}},
		"bearer": {Config{URL: s.URL, Auth: Auth{Bearer: outbound.Fixed("tok")}}, func(r *http.Request, _ string) bool {
			return r.Header.Get("Authorization") == "Bearer tok"
		}},
		"key that changes": {Config{URL: s.URL, Auth: Auth{Header: "x-api-key", Key: rotating},
			IdempotencyHeader: "x-request-id"}, func(r *http.Request, _ string) bool {
			return r.Header.Get("X-Api-Key") == fmt.Sprint("key-", calls) && r.Header.Get("X-Request-Id") == "j-1" &&
				r.Header.Get("Idempotency-Key") == ""
		}},
		"attachments": {Config{URL: s.URL,
			Body: `{"files":[{{range $i, $a := .Attachments}}{{if $i}},{{end}}{{json $a.URL}}{{end}}]}`},
			func(_ *http.Request, body string) bool {
				return body == `{"files":[]}`
			}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProvider(t, c.config)
			for range 2 {
				if got := p.Send(t.Context(), smsJob(), sms("x&y")); got.Verdict != provider.Accepted {
					t.Fatalf("%+v", got)
				}
				if r, body := s.last(t); !c.check(r, body) {
					t.Errorf("%s %s %v %s", r.Method, r.URL, r.Header, body)
				}
			}
		})
	}
}

// What cannot be asked safely is refused before anything is sent, in words that
// have nothing of the message or the credentials.
func TestRefusedMessages(t *testing.T) {
	s := newStand(t, nil)
	attached := sms("x")
	attached.Attachments = []template.Attachment{{Name: "n", URL: "https://x.example"}}
	for name, c := range map[string]struct {
		config  Config
		m       *template.Message
		verdict provider.Verdict
	}{
		"header broken": {Config{URL: s.URL, Headers: map[string]string{"X-Text": "{{.Text}}"}},
			sms("PRIVATE\r\nX-Admin: 1"), provider.Rejected},
		"path left":      {Config{URL: s.URL + "/a/{{.Text}}/b"}, sms(".."), provider.Rejected},
		"path stayed in": {Config{URL: s.URL + "/a/{{.Text}}"}, sms("."), provider.Rejected},
		"body not JSON": {Config{URL: s.URL, Body: `{{if eq .Text "PRIVATE"}}{{.Text}}{{else}}{}{{end}}`},
			sms("PRIVATE"), provider.Rejected},
		"body empty": {Config{URL: s.URL, Body: `{{if ne .Text "PRIVATE"}}{}{{end}}`}, sms("PRIVATE"),
			provider.Rejected},
		"template fails": {Config{URL: s.URL,
			Body: `{"a":{{if eq .Text "PRIVATE"}}{{json (index .Attachments 7)}}{{else}}1{{end}}}`}, sms("PRIVATE"),
			provider.Rejected},
		"attachments":   {Config{URL: s.URL, Body: `{}`}, attached, provider.Rejected},
		"no own target": {Config{Hosts: []string{"127.0.0.1"}}, sms("PRIVATE"), provider.Rejected},
		"empty token":   {Config{URL: s.URL, Auth: Auth{Bearer: outbound.Fixed("")}}, sms("PRIVATE"), provider.Down},
		"token with a newline": {Config{URL: s.URL, Auth: Auth{Bearer: outbound.Fixed("SECRET\n")}}, sms("PRIVATE"),
			provider.Down},
	} {
		got := newProvider(t, c.config).Send(t.Context(), smsJob(), c.m)
		if got.Verdict != c.verdict || got.Detail == "" || strings.Contains(got.Detail, "PRIVATE") ||
			strings.Contains(got.Detail, "SECRET") {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if n := s.count(); n != 0 {
		t.Errorf("%d requests", n)
	}
}

func TestWebhooks(t *testing.T) {
	s := newStand(t, nil)
	local := strings.Replace(s.URL, "127.0.0.1", "LOCALHOST", 1)
	port := s.URL[strings.LastIndex(s.URL, ":"):]
	for _, c := range []struct {
		hosts  []string
		target string
		want   provider.Verdict
	}{
		{[]string{"other.example", "127.0.0.1"}, s.URL + "/hook?a=b", provider.Accepted},
		{[]string{"127.0.0.1"}, s.URL, provider.Accepted},
		{[]string{"127.0.0.1" + port}, s.URL, provider.Accepted},
		{[]string{"other.example", "localhost"}, local, provider.Accepted},
		{[]string{"127.0.0.1:1"}, s.URL, provider.Rejected},
		{[]string{"hooks.example.com", "*.example.com"}, s.URL, provider.Rejected},
		{[]string{"*.example.com"}, "https://example.com", provider.Rejected},
		{[]string{"*.example.com"}, "https://badexample.com", provider.Rejected},
		{[]string{"127.0.0.1"}, "file:///etc/passwd", provider.Rejected},
		{[]string{"example.com"}, "https://u:p@example.com", provider.Rejected},
		{[]string{"127.0.0.1"}, "", provider.Rejected},
		{[]string{"127.0.0.1"}, "::", provider.Rejected},
	} {
		p := newProvider(t, Config{Hosts: c.hosts})
		m := &template.Message{Channel: topology.Webhook, To: c.target, Body: []byte(`{}`)}
		if got := p.Send(t.Context(), smsJob(), m); got.Verdict != c.want {
			t.Errorf("%q with %v: %+v", c.target, c.hosts, got)
		}
	}
	if n := s.count(); n != 4 {
		t.Errorf("%d requests", n)
	}
}

// TestReplay: what a receiver gets is signed for it alone, so that no other that it hands it on to takes it for ours.
func TestReplay(t *testing.T) {
	one, two := newStand(t, nil), newStand(t, nil)
	host := func(s *stand) string { return strings.TrimPrefix(s.URL, "http://") }
	p := newProvider(t, Config{Hosts: []string{host(one), host(two)}, Sign: map[string][]outbound.Secret{
		host(two): {outbound.Fixed(key2)}, host(one): {outbound.Fixed(key1)}}})
	for s, keys := range map[*stand][2]string{one: {key1, key2}, two: {key2, key1}} {
		m := &template.Message{Channel: topology.Webhook, To: s.URL + "/hook", Body: []byte(`{"a":1}`)}
		if got := p.Send(t.Context(), smsJob(), m); got.Verdict != provider.Accepted {
			t.Fatalf("%+v", got)
		}
		r, body := s.last(t)
		checkSignature(t, r.Header, body, keys[0])
		other, err := webhooks.NewWebhook(keys[1])
		if err != nil {
			t.Fatal(err)
		}
		if err := other.Verify([]byte(body), r.Header); err == nil {
			t.Error("another receiver takes it")
		}
	}
}

// TestReceiptsToken: the token of receipts goes where the provider's own URL does, in each place that may have it, and
// never to what a template names.
func TestReceiptsToken(t *testing.T) {
	s := newStand(t, nil)
	for _, own := range []bool{true, false} {
		c := Config{Token: outbound.Fixed("SECRET"), Headers: map[string]string{"X-Token": "a{{.Token}}"},
			Body: `{"a":{{json .Token}}}`}
		if c.URL = s.URL + "/?t={{.Token}}"; !own {
			c.URL, c.Hosts = "", []string{"127.0.0.1"}
		}
		m := &template.Message{Channel: topology.Webhook, To: s.URL, Body: []byte(`{}`)}
		if got := newProvider(t, c).Send(t.Context(), smsJob(), m); got.Verdict != provider.Accepted {
			t.Fatalf("%+v", got)
		}
		r, body := s.last(t)
		if all := fmt.Sprint(r.URL, r.Header, body); strings.Count(all, "SECRET") != map[bool]int{true: 3}[own] {
			t.Errorf("own %t: %s", own, all)
		}
	}
}

// TestRedirects: whoever says that it is elsewhere now gets no message, nor does the place, nor do the credentials.
// Where the URL is the provider's own it is the set-up's fault.
func TestRedirects(t *testing.T) {
	elsewhere := newStand(t, nil)
	for code := 300; code <= 308; code++ {
		s := newStand(t, status(code, "", "Location", elsewhere.URL))
		m := &template.Message{Channel: topology.Webhook, To: s.URL, Body: []byte(`{}`)}
		auth := Auth{Bearer: outbound.Fixed("SECRET")}
		own := newProvider(t, Config{URL: s.URL, Auth: auth}).Send(t.Context(), smsJob(), m)
		named := newProvider(t, Config{Hosts: []string{"127.0.0.1"}, Auth: auth}).Send(t.Context(), smsJob(), m)
		if own.Verdict != provider.Down || own.OfMessage || named.Verdict != provider.Rejected || elsewhere.count() > 0 {
			t.Errorf("%d: %+v, %+v, %d followed", code, own, named, elsewhere.count())
		}
	}
}

// TestCredentialsInClear: they go to a private address only, whatever name the url has.
func TestCredentialsInClear(t *testing.T) {
	s := newStand(t, nil)
	auth := Auth{Bearer: outbound.Fixed("SECRET")}
	m := &template.Message{Channel: topology.Webhook, Body: []byte(`{}`)}
	for target, want := range map[string]provider.Verdict{
		s.URL: provider.Accepted, "http://8.8.8.8": provider.Rejected, // which is refused before anything is sent
	} {
		m.To = target
		got := newProvider(t, Config{Hosts: []string{"127.0.0.1", "8.8.8.8"}, Auth: auth}).Send(t.Context(), smsJob(), m)
		if got.Verdict != want || want == provider.Rejected && !strings.Contains(got.Detail, "clear text") {
			t.Errorf("%s: %+v", target, got)
		}
	}
}

// TestKeys: the key of a job stays, or by configuration is another one after an attempt that has surely failed.
func TestKeys(t *testing.T) {
	s := newStand(t, nil)
	for perAttempt, want := range map[bool][]string{false: {"j-1", "j-1", "j-1"}, true: {"j-1", "j-1", "j-1-3"}} {
		p := newProvider(t, Config{URL: s.URL, KeyPerAttempt: perAttempt})
		for i, key := range []string{"", "j-1", "j-1-3"} {
			job := smsJob()
			job.Attempt, job.Key = 4, key
			p.Send(t.Context(), job, sms("x"))
			if r, _ := s.last(t); r.Header.Get("Idempotency-Key") != want[i] {
				t.Errorf("%t, %q: %q", perAttempt, key, r.Header.Get("Idempotency-Key"))
			}
		}
	}
}

// TestRenewedCredentials: where they are refused and there are others by then, the message is tried again with those,
// at once and once.
func TestRenewedCredentials(t *testing.T) {
	for name, c := range map[string]struct {
		secrets  []string // one after the other; none for tokens T-1, T-2, …
		valid    string
		refusal  http.HandlerFunc
		verdict  provider.Verdict
		requests int
	}{
		"taken":                 {[]string{"S-1", "S-2"}, "S-1", status(401, ""), provider.Accepted, 1},
		"replaced":              {[]string{"S-1", "S-2"}, "S-2", status(401, ""), provider.Accepted, 2},
		"replaced by a bad one": {[]string{"S-1", "S-2", "S-3"}, "S-3", status(401, ""), provider.Down, 2},
		"not replaced":          {[]string{"S-1", "S-1"}, "S-2", status(401, ""), provider.Down, 1},
		"not to do with it":     {[]string{"S-1", "S-2"}, "S-2", status(403, ""), provider.Down, 1},
		"as a rule says":        {[]string{"S-1", "S-2"}, "S-2", status(403, `{"e":"expired"}`), provider.Accepted, 2},
		"a token":               {nil, "T-1", status(401, ""), provider.Accepted, 1},
		"a token that ended":    {nil, "T-2", status(401, ""), provider.Accepted, 2},
		"tokens that are bad":   {nil, "none", status(401, ""), provider.Down, 2},
		"no tokens":             {nil, "away", status(401, ""), provider.Down, 0},
	} {
		tokens, asked := 0, 0
		s := newStand(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/token" && c.valid == "away" {
				status(503, "SECRET")(w, r)
			} else if r.URL.Path == "/token" {
				tokens++
				status(200, fmt.Sprintf(`{"access_token":"T-%d","expires_in":3600}`, tokens), "Content-Type", jsonType)(w, r)
			} else if asked++; r.Header.Get("Authorization") != "Bearer "+c.valid {
				c.refusal(w, r)
			}
		})
		auth, calls := Auth{Bearer: outbound.Fixed("x")}, 0
		if auth.Bearer = func() string { calls++; return c.secrets[calls-1] }; c.secrets == nil {
			auth = Auth{Token: token.OAuth2{TokenURL: s.URL + "/token", ClientID: "shop", ClientSecret: outbound.Fixed("pw")}}
		}
		p := newProvider(t, Config{URL: s.URL, Auth: auth, Rules: []Rule{
			{Status: "403", JSON: is("$.e", "expired"), Verdict: provider.Down, Unauthorized: true}}})
		got := p.Send(t.Context(), smsJob(), sms("x"))
		if got.Verdict != c.verdict || asked != c.requests || strings.Contains(got.Detail, "SECRET") {
			t.Errorf("%s: %+v after %d requests", name, got, asked)
		}
	}
}

// TestOneTargetsFault: that a template's target is away tells nothing of the others.
func TestOneTargetsFault(t *testing.T) {
	gone, failing := newStand(t, nil), newStand(t, status(500, ""))
	gone.Close()
	mute, _ := script(t, func(int, net.Conn) bool { return false })
	for _, target := range []string{gone.URL, failing.URL, mute} {
		m := &template.Message{Channel: topology.Webhook, To: target, Body: []byte(`{}`)}
		for own, c := range map[bool]Config{true: {Hosts: []string{"127.0.0.1"}}, false: {URL: target}} {
			got := newProvider(t, c).Send(t.Context(), smsJob(), m)
			if got.OfMessage != own || got.Verdict == provider.Accepted {
				t.Errorf("%s, of the template %t: %+v", target, own, got)
			}
		}
	}
}

func TestHostFits(t *testing.T) {
	for _, c := range []struct {
		target, pattern string
		want            bool
	}{
		{"https://a.example.com", "*.example.com", true},
		{"https://a.b.example.com.", "*.example.com", true},
		{"https://A.EXAMPLE.com", "a.example.com", true},
		{"https://example.com", "*.example.com", false},
		{"https://a.example.com:8443", "a.example.com:8443", true},
		{"https://a.example.com:8443", "a.example.com", true},
		{"https://a.example.com.evil.example", "a.example.com", false},
		{"https://[::1]:99", "::1", true},
	} {
		u, err := url.Parse(c.target)
		if err != nil {
			t.Fatal(err)
		}
		if hostFits(u, c.pattern) != c.want {
			t.Errorf("%s and %s: want %v", c.target, c.pattern, c.want)
		}
	}
}

// Targets that are not public are the template's fault with webhooks, and the
// configuration's otherwise.
func TestGuard(t *testing.T) {
	s := newStand(t, nil)
	for _, c := range []struct {
		config Config
		want   provider.Verdict
	}{{Config{Name: "a", URL: s.URL}, provider.Down}, {Config{Name: "a"}, provider.Rejected}} {
		p, err := New(c.config)
		if err != nil {
			t.Fatal(err)
		}
		m := &template.Message{Channel: topology.Webhook, To: s.URL + "/secret?path", Body: []byte(`{}`)}
		got := p.Send(t.Context(), smsJob(), m)
		if got.Verdict != c.want || got.Detail != strings.TrimPrefix(s.URL,
			"http://")+": the target's address is loopback, which is not allowed" {
			t.Errorf("%+v", got)
		}
	}
	if s.count() != 0 {
		t.Error("it was asked")
	}
}
