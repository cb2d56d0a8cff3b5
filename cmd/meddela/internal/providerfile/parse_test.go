package providerfile

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/deliver/provider/failover"
	"github.com/meddela/meddela/consumer/deliver/provider/smtp"
	"github.com/meddela/meddela/consumer/receipt"
	"github.com/meddela/meddela/consumer/receive"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

var update = flag.Bool("update", false, "write the golden files anew")

// secrets are the environment of the tests.
func secrets(name string) (string, bool) {
	if strings.HasPrefix(name, "NO_SUCH") {
		return "", false
	}
	switch name {
	case "TWO_LINES":
		return "hunter2\r\nX-Admin: 1", true
	case "SHORT":
		return "hunter2", true
	case "WEBHOOK_SECRET", "WEBHOOK_SECRET_BEFORE":
		return "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", true
	case "WEBHOOK_SECRET_ERP":
		return "whsec_ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=", true
	}
	return secret(name), true
}

// TestMalformed holds what is said of each bad file against a golden file, so
// that a message is changed by somebody who reads it.
func TestMalformed(t *testing.T) {
	text, err := os.ReadFile("testdata/malformed.yaml.txt")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, each := range strings.Split(string(text), "== ")[1:] {
		name, content, _ := strings.Cut(each, "\n")
		_, err := Parse("providers.yaml", content, secrets)
		if err == nil {
			t.Errorf("%s: it is taken", name)
			continue
		}
		if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "the secret of") {
			t.Errorf("%s: a secret is shown: %v", name, err)
		}
		fmt.Fprintf(&b, "%s\n", name)
		for line := range strings.SplitSeq(err.Error(), "\n") {
			fmt.Fprintf(&b, "    %s\n", line)
		}
	}
	const golden = "testdata/malformed.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("differs from %s (go test -update writes it anew):\n%s", golden, b.String())
	}
}

// TestExamples: those of the documentation can be used as they are.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("../../../../docs/providers/*.yaml")
	if err != nil || len(files) < 4 {
		t.Fatalf("%d examples, %v", len(files), err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		file, err := Parse(name, string(text), secrets)
		if err != nil {
			t.Error(err)
			continue
		}
		routes, closeAll, err := file.Build(Site{
			Lane: topology.Realtime, Ref: func(*topology.Job, string) string { return "r" },
		})
		if err != nil {
			t.Error(err)
			continue
		}
		if len(routes) != 1 {
			t.Errorf("%s: %d channels", name, len(routes))
		}
		closeAll()
	}
}

// TestReceipts: the example of docs/receipts.md reads what SendGrid sends.
func TestReceipts(t *testing.T) {
	text, err := os.ReadFile("../../../../docs/receipts.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(text), "```yaml\n")
	example, _, _ = strings.Cut(example, "```")
	const key = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEDr2LjtURuePQzplybdC+u4CwrqDqBaWjcMMsTbhdbcwHBcepxo7yAQGhHPTnlvFYPAZFceEu/1FwCM/QmGUhA=="
	file, err := Parse("receipts.md", example, func(name string) (string, bool) {
		return map[string]string{"SENDGRID_KEY": "k", "SENDGRID_WEBHOOK_KEY": key}[name], true
	})
	if err != nil {
		t.Fatal(err)
	}
	sources := file.Sources()
	if len(sources) != 1 || sources[0].Provider != "sendgrid" || sources[0].Channel != topology.Email ||
		sources[0].Verify.Scheme != receive.SendGrid || sources[0].Ref != "$.ref" || len(sources[0].Rules) != 7 ||
		sources[0].Rules[1].Means != receive.Bounced || sources[0].Rules[1].When["$.type"] != "bounce" {
		t.Errorf("%+v", sources)
	}
	_, _, err = file.Build(Site{Lane: topology.Realtime})
	if err == nil || !strings.Contains(err.Error(), "MEDDELA_SUPPRESS_PEPPER") {
		t.Errorf("without a pepper: %v", err)
	}
	ref := func(*topology.Job, string) string { return "r" }
	if _, closeAll, err := file.Build(Site{Lane: topology.Realtime, Ref: ref}); err != nil {
		t.Error(err)
	} else {
		closeAll()
	}
}

// TestKannel: the example asks Kannel as its own documentation says, and knows what Kannel 1.4.5 answers.
func TestKannel(t *testing.T) {
	text, err := os.ReadFile("../../../../docs/providers/kannel.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var asked http.Header
	var said, answer string
	status := 0
	kannel := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked, said = r.Header, string(body)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	defer kannel.Close()
	there := strings.ReplaceAll(string(text), "http://kannel.sms.svc:13013", kannel.URL)
	file, err := Parse("kannel.yaml", there, func(name string) (string, bool) {
		return map[string]string{"KANNEL_PASSWORD": "hunter2", "KANNEL_RECEIPTS_TOKEN": "t0ken"}[name], true
	})
	if err != nil {
		t.Fatal(err)
	}
	d := &file.Providers[0]
	d.HTTP.Ref = func(*topology.Job, string) string { return "r3f" }
	p, err := d.New()
	if err != nil {
		t.Fatal(err)
	}
	defer p.(provider.Closer).Close()
	job := &topology.Job{JobID: "j", EventID: "e"}
	for _, row := range []struct {
		status       int
		answer, text string
		verdict      provider.Verdict
		coding       string
	}{
		{202, "0: Accepted for delivery", "Hej på dig, €5 {~}", provider.Accepted, "0"},
		{202, "3: Queued for later delivery", "Hej 👩", provider.Accepted, "2"},
		{202, "Sent.", "ç", provider.Accepted, "2"},
		{200, "<html>maintenance</html>", "a", provider.Unknown, "0"},
		{403, "Not routable. Do not try again.", "a", provider.Rejected, "0"},
		{403, "Authorization failed for sendsms", "a", provider.Down, "0"},
		{503, "Temporal failure, try again later.", "a", provider.Failed, "0"},
		{400, "Missing receiver(s) number(s), rejected", "a", provider.Rejected, "0"},
	} {
		status, answer = row.status, row.answer
		r := p.Send(t.Context(), job, &template.Message{Channel: topology.SMS, To: "+358401234567", Text: row.text})
		if r.Verdict != row.verdict || strings.Contains(r.Detail, "hunter2") || strings.Contains(r.Detail, "t0ken") {
			t.Errorf("%d %s: %v %s", row.status, row.answer, r.Verdict, r.Detail)
		}
		for name, want := range map[string]string{
			"X-Kannel-To": "+358401234567", "X-Kannel-Coding": row.coding, "X-Kannel-Password": "hunter2",
			"Content-Type":     "text/plain; charset=UTF-8",
			"X-Kannel-Dlr-Url": "http://meddela-receive:9095/receipts/kannel?token=t0ken&ref=r3f&type=%d&id=%F",
		} {
			if got := asked.Get(name); got != want || said != row.text {
				t.Errorf("%s: %s is %q, not %q; body %q", row.text, name, got, want, said)
			}
		}
	}
}

// TestKannelReceipts: the example knows what Kannel says of messages.
func TestKannelReceipts(t *testing.T) {
	text, err := os.ReadFile("../../../../docs/providers/kannel.yaml")
	if err != nil {
		t.Fatal(err)
	}
	file, err := Parse("kannel.yaml", string(text), func(string) (string, bool) { return "t0ken", true })
	if err != nil {
		t.Fatal(err)
	}
	key := receipt.NewKey("0123456789abcdef0123456789abcdef")
	ref := key.Seal(&topology.Job{EventID: "e-1", Lane: topology.Realtime, Attempt: 1}, "")
	for kind, want := range map[string]string{"1": "sent//delivered/7", "2": "delivery_error/bounced/failed/7",
		"16": "delivery_error/bounced/failed/7", "8": "", "4": ""} {
		got := ""
		r, err := receive.New(receive.Config{
			Names: topology.Topics{Prefix: "m."}, Key: key, Sources: file.Sources(), Log: zerolog.Nop(),
			States: func(_ context.Context, ids []topology.EventID) ([]topology.State, error) {
				return make([]topology.State, len(ids)), nil
			},
			Publish: func(_ context.Context, _ int, records []topology.Record) error {
				e, err := topology.DecodeEntry(records[0].Value)
				got = fmt.Sprintf("%s/%s/%s/%s", e.Status, e.Reason, e.Detail, e.ProviderMessageID)
				return err
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		target := "/receipts/kannel?token=t0ken&ref=" + ref + "&type=" + kind + "&id=7"
		r.ServeHTTP(w, httptest.NewRequest(http.MethodGet, target, nil))
		if w.Code != http.StatusOK || got != want {
			t.Errorf("type %s: %d, %q, not %q; %v", kind, w.Code, got, want, r.Counts())
		}
	}
}

// TestParse: everything that a file says arrives where it belongs.
func TestParse(t *testing.T) {
	text, err := os.ReadFile("../../../../docs/providers/email.yaml")
	if err != nil {
		t.Fatal(err)
	}
	sms, err := os.ReadFile("../../../../docs/providers/sms.yaml")
	if err != nil {
		t.Fatal(err)
	}
	file, err := Parse("email.yaml", string(text), secrets)
	if err != nil {
		t.Fatal(err)
	}
	first := file.Providers[0]
	if first.Limit != (Limit{200, 64, 0.3}) || first.Breaker != (failover.Breaker{Failures: 5, Open: 30 * time.Second}) ||
		first.Concurrency != 16 || first.SMTP.Password() != "the secret of MAIL_1_PASSWORD" ||
		first.SMTP.ReplyTo != "help@example.com" {
		t.Errorf("the first: %+v", first)
	}
	if r := file.Routes[topology.Email]; r.Order != failover.Weighted || len(r.Members) != 2 || r.Members[0].Weight != 9 {
		t.Errorf("the route: %+v", r)
	}
	file, err = Parse("sms.yaml", string(sms), secrets)
	if err != nil {
		t.Fatal(err)
	}
	h := file.Providers[0].HTTP
	if h.Auth.Bearer() != "the secret of SMS_TOKEN" || !h.Idempotent || h.MessageID != "$.id" || len(h.Rules) != 3 ||
		h.Rules[1].Verdict != provider.Skipped || h.Rules[1].Reason != topology.ReasonSuppressed ||
		h.Timeout != 5*time.Second {
		t.Errorf("the first: %+v", h)
	}
	if r := file.Routes[topology.SMS]; r.Order != failover.Failover || len(r.Members) != 2 ||
		r.Members[1].Provider != "sms-second" {
		t.Errorf("the default route: %+v", r)
	}
}

// TestSecretsStayHidden: whoever prints what was read prints no secret.
func TestSecretsStayHidden(t *testing.T) {
	for _, name := range []string{"email", "sms"} {
		text, err := os.ReadFile("../../../../docs/providers/" + name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		file, err := Parse(name, string(text), secrets)
		if err != nil {
			t.Fatal(err)
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			if shown := fmt.Sprintf(verb, *file); strings.Contains(shown, "the secret of") {
				t.Errorf("%s: %s", verb, shown)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	text, _ := os.ReadFile("testdata/malformed.yaml.txt")
	for _, each := range strings.Split(string(text), "== ")[1:] {
		_, content, _ := strings.Cut(each, "\n")
		f.Add(content)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "file") {
			return // which may name any file of this machine
		}
		_, _ = Parse("providers.yaml", text, secrets)
	})
}

// anAuthority is one's certificate in PEM, and what trusts it.
func anAuthority(t *testing.T) (text []byte, trusts *x509.CertPool) {
	t.Helper()
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	plan := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, plan, plan, public, key)
	if err != nil {
		t.Fatal(err)
	}
	text, trusts = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), x509.NewCertPool()
	if !trusts.AppendCertsFromPEM(text) {
		t.Fatal("no certificate")
	}
	return text, trusts
}

// TestReplacedAuthorities: those of ca_file are read again, and stay where they cannot be.
func TestReplacedAuthorities(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before, trustsBefore := anAuthority(t)
		after, trustsAfter := anAuthority(t)
		name := filepath.Join(t.TempDir(), "ca.crt")
		var current func() *tls.Config
		for i, step := range []struct {
			text []byte
			want *x509.CertPool
		}{{before, trustsBefore}, {after, trustsAfter}, {[]byte("half a fi"), trustsAfter}, {before, trustsBefore}} {
			if err := os.WriteFile(name, step.text, 0o600); err != nil {
				t.Fatal(err)
			}
			if current == nil {
				file, err := Parse("providers.yaml", "providers:\n  - {name: a, kind: smtp, channels: [email], smtp: "+
					"{addr: \"mail.example.com:587\", from: shop@example.com, ca_file: "+name+"}}\n", secrets)
				if err != nil {
					t.Fatal(err)
				}
				current = file.Providers[0].SMTP.TLS
			}
			time.Sleep(2 * time.Second)
			if !current().RootCAs.Equal(step.want) {
				t.Errorf("step %d: others are trusted", i)
			}
		}
	})
}

// TestMailServer: what a file says of a mail server's name, ours, and its answers is what the provider is made of.
func TestMailServer(t *testing.T) {
	f, err := Parse("providers.yaml", `
providers:
  - name: a
    kind: smtp
    channels: [email]
    smtp:
      addr: mail.mail.svc:587
      from: shop@example.com
      server_name: mail.example.com
      hello: pods.example.com
      answers:
        - {at: message, code: 55x, enhanced: 5.4.5, text: limit, verdict: failed, retry_after: 2h}
        - {code: "551", verdict: skipped, reason: suppressed}
`, secrets)
	if err != nil {
		t.Fatal(err)
	}
	got := f.Providers[0].SMTP
	want := []smtp.Rule{
		{At: "message", Code: "55x", Enhanced: "5.4.5", Text: "limit", Verdict: provider.Failed, RetryAfter: 2 * time.Hour},
		{Code: "551", Verdict: provider.Skipped, Reason: topology.ReasonSuppressed},
	}
	if got.ServerName != "mail.example.com" || got.Hello != "pods.example.com" || !reflect.DeepEqual(got.Answers, want) {
		t.Errorf("%+v", got)
	}
}
