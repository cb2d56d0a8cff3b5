package smtp

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/outbound"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/test/fixtures"
	"github.com/meddela/meddela/topology"
)

const pipelines = "250-mx.example.test\r\n250-PIPELINING\r\n250 ENHANCEDSTATUSCODES"

// TestPipelining: said in one go, every refusal means what it means otherwise,
// and the connection takes the next message.
func TestPipelining(t *testing.T) {
	for _, test := range []struct {
		stage, answer string
		want          provider.Verdict
		reason        topology.Reason
		connections   int
	}{
		{"", "", provider.Accepted, "", 1},
		{"MAIL", "451 4.3.0 later", provider.Failed, "", 1}, {"MAIL", "550 5.7.1 no", provider.Down, "", 1},
		{"RCPT", "450 4.2.1 later", provider.Failed, "", 1}, {"RCPT", "550 5.1.1 unknown", provider.Skipped,
			topology.ReasonInvalidAddress, 1},
		{"RCPT", "550 5.7.1 policy", provider.Rejected, "", 1}, {"DATA", "554 5.5.1 no", provider.Rejected, "", 1},
		{"DATA", "451 4.3.0 later", provider.Failed, "", 1},
		{"END", "552 5.2.2 full", provider.Rejected, "", 1}, {"END", "451 4.3.0 later", provider.Failed, "", 1},
		{"RCPT", hangUp, provider.Down, "", 2}, {"END", hangUp, provider.Unknown, "", 2},
		{"MAIL", "421 4.3.2 shutting down", provider.Failed, "", 2},
	} {
		script := map[string]string{"EHLO": pipelines}
		if test.stage != "" {
			script[test.stage] = test.answer
		}
		if test.stage == "MAIL" {
			script["RCPT"], script["DATA"] = "503 5.5.1 MAIL first", "503 5.5.1 MAIL first"
		}
		d := newDialogue(t, script)
		s := newSMTP(t, d.port, nil)
		got := s.try(t, "one")
		if got.Verdict != test.want || got.Reason != test.reason {
			t.Errorf("%s %s: %+v", test.stage, test.answer, got)
		}
		if sent := strings.Join(d.taken(), ""); test.stage != "" && test.stage != "END" && sent != "" {
			t.Errorf("%s %s: a refused message was sent: %q", test.stage, test.answer, sent)
		}
		for stage := range script {
			if stage != "EHLO" {
				d.say(stage, usualReplies[stage])
			}
		}
		texts := len(d.taken())
		if got := s.try(t, "two"); got.Verdict != provider.Accepted || d.met() != test.connections {
			t.Errorf("%s %s: then %+v, %d connections", test.stage, test.answer, got, d.met())
		}
		if len(d.taken()) != texts+1 {
			t.Errorf("%s %s: %d messages", test.stage, test.answer, len(d.taken())-texts)
		}
	}
}

// TestEmptyMessages: nobody gets an empty message because a server waits for one
// after it has refused something.
func TestEmptyMessages(t *testing.T) {
	for _, test := range []struct {
		stage       string
		want        provider.Verdict
		ends        int // messages that the server took to their end
		connections int
	}{
		{"MAIL", provider.Down, 0, 2}, {"RCPT", provider.Rejected, 1, 1}, {"RSET", provider.Accepted, 2, 3},
	} {
		d := newDialogue(t, map[string]string{"EHLO": pipelines})
		s := newSMTP(t, d.port, nil)
		if test.stage == "RSET" {
			s.try(t, "zero")
		}
		d.say(test.stage, "550 5.7.1 no")
		if got := s.try(t, "one"); got.Verdict != test.want {
			t.Errorf("%s: %+v", test.stage, got)
		}
		fixtures.Eventually(t, "the server has done with it", func() bool { return len(d.taken()) == test.ends })
		d.say(test.stage, "250 2.0.0 Ok")
		if got := s.try(t, "two"); got.Verdict != provider.Accepted {
			t.Errorf("%s: then %+v", test.stage, got)
		}
		if n := d.met(); n > test.connections || len(d.taken()) != test.ends+1 {
			t.Errorf("%s: %d connections, messages %q", test.stage, n, d.taken())
		}
	}
}

// TestStalePipeline: a kept connection that is closed is found out before a
// message is on it.
func TestStalePipeline(t *testing.T) {
	for _, answer := range []string{hangUp, "421 4.4.2 idle for too long", "500 what?"} {
		d := newDialogue(t, map[string]string{"EHLO": pipelines, "RSET": answer})
		s := newSMTP(t, d.port, nil)
		for _, id := range manyMails(3) {
			if r := s.try(t, id); r.Verdict != provider.Accepted {
				t.Errorf("%s: %v %s", answer, r.Verdict, r.Detail)
			}
		}
		if n := strings.Count(strings.Join(d.taken(), ""), "Message-ID:"); n != 3 {
			t.Errorf("%s: %d messages", answer, n)
		}
	}
}

// TestDomains: a domain outside ASCII is written as DNS does where the server
// takes ASCII only.
func TestDomains(t *testing.T) {
	d := newDialogue(t, map[string]string{})
	job, m := aMail("event")
	m.To = "kim@bücher.example"
	if r := newSMTP(t, d.port, nil).Send(t.Context(), job, m); r.Verdict != provider.Accepted ||
		d.count("RCPT TO:<kim@xn--bcher-kva.example>") != 1 {
		t.Errorf("%+v, heard %q", r, d.heard)
	}
}

// signingKey is a private key in PEM, and what its DNS record says.
func signingKey(t *testing.T, private crypto.Signer) (key outbound.Secret, record string) {
	t.Helper()
	text, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	key = outbound.Fixed(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text})))
	if public, ok := private.Public().(ed25519.PublicKey); ok {
		return key, "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public)
	}
	public, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	return key, "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(public)
}

func rsaKey(t *testing.T, bits int) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func ed25519Key(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestDKIM: the signature holds for what arrives, the way to unsubscribe
// included.
func TestDKIM(t *testing.T) {
	t.Run("ed25519", func(t *testing.T) { testDKIM(t, ed25519Key(t)) })
	t.Run("rsa", func(t *testing.T) { testDKIM(t, rsaKey(t, 2048)) })
}

func testDKIM(t *testing.T, private crypto.Signer) {
	key, record := signingKey(t, private)
	d := newDialogue(t, map[string]string{"EHLO": pipelines})
	s := newSMTP(t, d.port, func(c *Config) {
		c.DKIM = DKIM{Domain: "example.com", Selector: "s1", Key: key}
	})
	job, m := aMail("event")
	m.Text = "Dear reader,\n.\n.. two dots\nand ÅÄÖ\n"
	m.Unsubscribe = template.Unsubscribe{URL: "https://shop.example.com/u/1", Mailto: "stop@example.com"}
	if r := s.Send(t.Context(), job, m); r.Verdict != provider.Accepted {
		t.Fatalf("%+v", r)
	}
	// The wire doubles a dot that begins a line.
	text := strings.ReplaceAll(d.taken()[0], "\r\n..", "\r\n.")
	for _, want := range []string{
		"List-Unsubscribe: <https://shop.example.com/u/1>, <mailto:stop@example.com>\r\n",
		"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %q in\n%s", want, text)
		}
	}
	found := verification(t, text, record)
	if found.Err != nil || found.Domain != "example.com" {
		t.Fatalf("%+v", found)
	}
	if !strings.Contains(strings.ToLower(strings.Join(found.HeaderKeys, " ")), "list-unsubscribe-post") {
		t.Errorf("it covers %v", found.HeaderKeys)
	}
}

// verification is what becomes of a message's one signature.
func verification(t *testing.T, text, record string) *dkim.Verification {
	t.Helper()
	lookup := func(domain string) ([]string, error) {
		if domain != "s1._domainkey.example.com" {
			return nil, errors.New("no such record")
		}
		return []string{record}, nil
	}
	found, err := dkim.VerifyWithOptions(strings.NewReader(text), &dkim.VerifyOptions{LookupTXT: lookup})
	if err != nil || len(found) != 1 {
		t.Fatalf("%+v, %v", found, err)
	}
	return found[0]
}

// TestOversigning: nobody can put another header before those that are shown; what
// the next server adds of its own accord, or is known to replace, breaks nothing.
func TestOversigning(t *testing.T) {
	key, record := signingKey(t, ed25519Key(t))
	date := regexp.MustCompile("\r\nDate: [^\r]*")
	for name, headers := range map[string][]string{"usual": nil, "date": {"From", "to", "Subject"}} {
		d := newDialogue(t, nil)
		s := newSMTP(t, d.port, func(c *Config) {
			c.DKIM = DKIM{Domain: "example.com", Selector: "s1", Key: key, Headers: headers}
		})
		job, m := aMail("event")
		m.Text = "Dear reader\n"
		if r := s.Send(t.Context(), job, m); r.Verdict != provider.Accepted {
			t.Fatalf("%+v", r)
		}
		text := d.taken()[0]
		for change, want := range map[string]bool{
			"": true, "Reply-To: help@example.com\r\n": true, "List-Unsubscribe: <https://a.example/>\r\n": true,
			"Received: by relay.example.com\r\n": true, "Subject: another\r\n": false, "From: kim@evil.example\r\n": false,
			"To: all@example.com\r\n": false, "date: Tue, 1 Dec 2026 08:00:00 +0000\r\n": true,
			"Content-Type: text/html\r\n": name == "date",
		} {
			if err := verification(t, change+text, record).Err; (err == nil) != want {
				t.Errorf("%s, with %q: %v", name, change, err)
			}
		}
		replaced := date.ReplaceAllString(text, "\r\nDate: Tue, 1 Dec 2026 08:00:00 +0000")
		if err := verification(t, replaced, record).Err; replaced == text || err != nil {
			t.Errorf("%s, with another date: %v", name, err)
		}
	}
}

// TestReplacedKey: the next message is signed by the key of the moment; while that
// cannot be read, by the last one.
func TestReplacedKey(t *testing.T) {
	before, recordBefore := signingKey(t, ed25519Key(t))
	after, recordAfter := signingKey(t, rsaKey(t, 2048))
	var now atomic.Value
	now.Store(before())
	d := newDialogue(t, nil)
	s := newSMTP(t, d.port, func(c *Config) {
		c.DKIM = DKIM{Domain: "example.com", Selector: "s1", Key: func() string { return now.Load().(string) }}
	})
	for i, step := range []struct{ key, record string }{
		{before(), recordBefore}, {"half a fi", recordBefore}, {after(), recordAfter}, {"", recordAfter},
	} {
		now.Store(step.key)
		job, m := aMail("event")
		m.Text = "Dear reader\n"
		if r := s.Send(t.Context(), job, m); r.Verdict != provider.Accepted {
			t.Fatalf("%+v", r)
		}
		if err := verification(t, d.taken()[i], step.record).Err; err != nil {
			t.Errorf("step %d: %v", i, err)
		}
	}
}

func TestBadDKIM(t *testing.T) {
	key, _ := signingKey(t, ed25519Key(t))
	short, _ := signingKey(t, rsaKey(t, 1024))
	for name, bad := range map[string]DKIM{
		"no selector": {Domain: "example.com", Key: key}, "no domain": {Selector: "s1", Key: key},
		"no key": {Domain: "example.com", Selector: "s1"}, "no PEM": {Domain: "example.com", Selector: "s1",
			Key: outbound.Fixed("secret")},
		"unsigned sender": {Domain: "example.com", Selector: "s1", Key: key, Headers: []string{"To"}},
		"headers alone":   {Headers: []string{"From"}},
		"too short":       {Domain: "example.com", Selector: "s1", Key: short},
		"no key in it": {Domain: "example.com", Selector: "s1",
			Key: outbound.Fixed(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("secret")})))},
	} {
		_, err := New(Config{Host: "127.0.0.1", From: "shop@example.com", DKIM: bad})
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestWaysToUnsubscribe: what could break a header is refused.
func TestWaysToUnsubscribe(t *testing.T) {
	d := newDialogue(t, map[string]string{})
	s := newSMTP(t, d.port, nil)
	for _, way := range []template.Unsubscribe{
		{URL: "http://shop.example.com/u"}, {URL: "https://shop.example.com/\r\nBcc: all@example.com"},
		{URL: "https://a.example/> <https://b.example/"},
		{Mailto: "stop@example.com?subject=x"}, {Mailto: "a@b\r\nBcc: c@d"},
	} {
		job, m := aMail("event")
		m.Unsubscribe = way
		if r := s.Send(t.Context(), job, m); r.Verdict != provider.Rejected {
			t.Errorf("%+v: %+v", way, r)
		}
	}
	if len(d.taken()) != 0 {
		t.Errorf("%d messages were sent", len(d.taken()))
	}
}

// TestAttachments: files come from allowed hosts only, and what is wrong with
// one is told without its link.
func TestAttachments(t *testing.T) {
	files := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/invoice.pdf":
			w.Header().Set("Content-Type", "application/pdf")
			_, _ = w.Write([]byte("%PDF-1.7 the invoice"))
		case "/large":
			_, _ = w.Write(bytes.Repeat([]byte("x"), 2000))
		case "/busy":
			w.WriteHeader(http.StatusServiceUnavailable)
		case "/elsewhere":
			http.Redirect(w, r, "/invoice.pdf", http.StatusFound)
		default:
			http.NotFound(w, r)
		}
	}))
	defer files.Close()
	other := "http://localhost" + files.URL[strings.LastIndexByte(files.URL, ':'):]
	d := newDialogue(t, map[string]string{})
	s := newSMTP(t, d.port, func(c *Config) {
		c.Attachments = Attachments{Hosts: []string{"127.0.0.1"}, MaxBytes: 1000, AllowPrivate: true}
	})
	for _, test := range []struct {
		urls []string
		want provider.Verdict
	}{
		{[]string{files.URL + "/invoice.pdf"}, provider.Accepted},
		{[]string{files.URL + "/invoice.pdf", files.URL + "/invoice.pdf"}, provider.Accepted},
		{[]string{files.URL + "/missing"}, provider.Rejected}, {[]string{files.URL + "/large"}, provider.Rejected},
		{[]string{files.URL + "/busy"}, provider.Failed},
		{[]string{files.URL + "/elsewhere"}, provider.Rejected}, {[]string{other + "/invoice.pdf"}, provider.Rejected},
		{[]string{"file:///etc/passwd"}, provider.Rejected}, {[]string{"http://127.0.0.1:1/"}, provider.Failed},
	} {
		job, m := aMail("event")
		for _, u := range test.urls {
			m.Attachments = append(m.Attachments, template.Attachment{Name: "invoice-1.pdf", URL: u})
		}
		before := len(d.taken())
		got := s.Send(t.Context(), job, m)
		if got.Verdict != test.want || strings.Contains(got.Detail, "/") {
			t.Errorf("%v: %+v", test.urls, got)
		}
		if got.Verdict != provider.Accepted {
			continue
		}
		text := d.taken()[before]
		encoded := base64.StdEncoding.EncodeToString([]byte("%PDF-1.7 the invoice"))
		if strings.Count(text, encoded) != len(test.urls) || !strings.Contains(text, "application/pdf") ||
			!strings.Contains(text, `filename="invoice-1.pdf"`) {
			t.Errorf("%v:\n%s", test.urls, text)
		}
	}
	job, m := aMail("event")
	m.Attachments = []template.Attachment{{Name: "a", URL: files.URL + "/invoice.pdf"}}
	for name, none := range map[string]Attachments{"no hosts": {},
		"a host here, by http": {Hosts: []string{"127.0.0.1"}}} {
		s := newSMTP(t, d.port, func(c *Config) { c.Attachments = none })
		if r := s.Send(t.Context(), job, m); r.Verdict != provider.Rejected {
			t.Errorf("%s: %+v", name, r)
		}
	}
	s = newSMTP(t, d.port, func(c *Config) { c.Attachments.Hosts = []string{"127.0.0.1"} })
	for port, want := range map[string]string{"": "not public", ":443": "not public", ":8443": "another port"} {
		m.Attachments[0].URL = "https://127.0.0.1" + port + "/invoice.pdf"
		if r := s.Send(t.Context(), job, m); r.Verdict != provider.Rejected || !strings.Contains(r.Detail, want) {
			t.Errorf("a host here%s: %+v", port, r)
		}
	}
}

// TestLargeAttachments: of many messages with files that may be large, a few are in hand at once, and all are sent.
func TestLargeAttachments(t *testing.T) {
	const most = 10 << 20
	var asked, atOnce, more atomic.Int64
	files := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		now := atOnce.Add(1)
		defer atOnce.Add(-1)
		asked.Add(1)
		for end := time.Now().Add(50 * time.Millisecond); time.Now().Before(end); time.Sleep(time.Millisecond) {
			more.Store(max(more.Load(), now, atOnce.Load()))
		}
		_, _ = w.Write(make([]byte, 1<<20))
	}))
	defer files.Close()
	d := newDialogue(t, nil)
	s := newSMTP(t, d.port, func(c *Config) {
		c.Attachments = Attachments{Hosts: []string{"127.0.0.1"}, MaxBytes: most, AllowPrivate: true}
	})
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			job, m := aMail(fmt.Sprint("event-", i))
			m.Attachments = []template.Attachment{{Name: "a", URL: files.URL}}
			if r := s.Send(t.Context(), job, m); r.Verdict != provider.Accepted {
				t.Errorf("%+v", r)
			}
		})
	}
	all.Wait()
	if asked.Load() != 6 || more.Load() > mostFiles/most {
		t.Errorf("%d asked, %d at once", asked.Load(), more.Load())
	}
	if !room.TryAcquire(mostFiles) {
		t.Fatal("what was sent is held")
	}
	defer room.Release(mostFiles)
	waits, leave := context.WithCancel(t.Context())
	defer all.Wait()
	defer leave()
	all.Go(func() {
		job, m := aMail("waits")
		m.Attachments = []template.Attachment{{Name: "a", URL: files.URL}}
		_ = s.Send(waits, job, m)
	})
	fixtures.Eventually(t, "one with a file waits", func() bool { return !room.TryAcquire(0) })
	job, m := aMail("event")
	if r := s.try(t, "event"); r.Verdict != provider.Accepted {
		t.Errorf("without a file: %+v", r)
	}
	leave()
	all.Wait()
	m.Attachments = []template.Attachment{{Name: "a", URL: files.URL}}
	const least = 2 * time.Second
	for own, others := range map[time.Duration]time.Duration{least: time.Minute, time.Minute: least} {
		ctx, cancel := context.WithTimeout(t.Context(), others)
		s.config.Timeout = own
		began := time.Now()
		if r := s.Send(ctx, job, m); r.Verdict != provider.Throttled || time.Since(began) >= least {
			t.Errorf("while there is no room: %+v after %v", r, time.Since(began))
		}
		cancel()
	}
}

// TestKinds: a file is what its server says, and never has parts of its own.
func TestKinds(t *testing.T) {
	for says, want := range map[string]string{
		"application/pdf": "application/pdf", "Text/Plain; charset=utf-8; x=1": "text/plain; charset=utf-8",
		"": "application/octet-stream", "pdf": "application/octet-stream",
		"multipart/mixed; boundary=x": "application/octet-stream",
		"message/rfc822":              "application/octet-stream", "text/plain\r\nBcc: a@b": "application/octet-stream",
	} {
		if got := kindOf(http.Header{"Content-Type": {says}}); got != want {
			t.Errorf("%q: %q, want %q", says, got, want)
		}
	}
}
