package providerfile

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/deliver/provider/httpapi"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

// vendor is what a vendor is asked, and may answer.
type vendor struct {
	Request string
	Headers map[string]string
	Body    string
	Others  []struct { // messages, and their bodies
		To, Text, HTML string
		Body           string
	}
	Answers []reply
}

// reply is one of a vendor's answers.
type reply struct {
	Status  int
	Headers map[string]string
	Body    string
	Verdict string // and a reason behind a slash
	ID      string
	Wait    string
	Opens   bool
}

// ask sends a message by a vendor's file of docs/providers to a stand-in that answers so.
func ask(t *testing.T, name string, m template.Message, answer reply) (provider.Response, *http.Request, string) {
	t.Helper()
	var asked *http.Request
	var body string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		if r.URL.Path == "/token" {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, `{"access_token":"T-1","expires_in":3600}`)
			return
		}
		asked, body = r, string(text)
		for name, value := range answer.Headers {
			w.Header().Set(name, value)
		}
		w.WriteHeader(answer.Status)
		io.WriteString(w, answer.Body)
	}))
	defer s.Close()
	text, err := os.ReadFile("../../../../docs/providers/" + name + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	file, err := Parse(name, string(text), func(variable string) (string, bool) {
		return strings.ReplaceAll(secret(variable), "https://oauth2.example.com", s.URL), true
	})
	if err != nil {
		t.Fatal(err)
	}
	c, at := file.Providers[0].HTTP, strings.Index(file.Providers[0].HTTP.URL[8:], "/")+8
	c.URL, c.AllowPrivate = s.URL+c.URL[at:], true
	p, err := httpapi.New(c)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if m.Channel = file.Providers[0].Channels[0]; m.To == "" {
		m.To = "+46701234567"
		if m.Channel == topology.Email {
			m.To = "kim@example.com"
		}
	}
	got := p.Send(t.Context(), &topology.Job{JobID: "j-1", Channel: m.Channel}, &m)
	return got, asked, body
}

// TestVendors: the files of docs/providers ask vendors as their documentation says, and understand what it says that
// they answer. What is said of one message opens no circuit.
func TestVendors(t *testing.T) {
	text, err := os.ReadFile("testdata/vendors.yaml")
	if err != nil {
		t.Fatal(err)
	}
	vendors := map[string]vendor{}
	if err := yaml.Unmarshal(text, &vendors); err != nil || len(vendors) != 8 {
		t.Fatalf("%d vendors, %v", len(vendors), err)
	}
	message := template.Message{Text: "Hi & å", HTML: "<p>Hi", Subject: "Hello",
		Body: []byte(`{"title":"Hi","body":"there"}`), Unsubscribe: template.Unsubscribe{URL: "https://u.example"}}
	for name, v := range vendors {
		for _, other := range v.Others {
			m := template.Message{To: other.To, Text: other.Text, HTML: other.HTML, Subject: "Hello"}
			if _, _, body := ask(t, name, m, reply{Status: http.StatusOK}); !sameBody(body, other.Body) {
				t.Errorf("%s is asked %s, want %s", name, body, other.Body)
			}
		}
		for _, answer := range v.Answers {
			got, asked, body := ask(t, name, message, answer)
			what := name + ": " + answer.Body
			if r := asked.Method + " " + asked.URL.EscapedPath(); r != v.Request || !sameBody(body, v.Body) {
				t.Fatalf("%s: asked %s %s", name, r, body)
			}
			for header, value := range v.Headers {
				if asked.Header.Get(header) != value {
					t.Errorf("%s: %s is %q", name, header, asked.Header.Get(header))
				}
			}
			verdict, reason, _ := strings.Cut(answer.Verdict, "/")
			wait, _ := time.ParseDuration(answer.Wait)
			if got.Verdict.String() != verdict || string(got.Reason) != reason || got.MessageID != answer.ID ||
				got.RetryAfter != wait {
				t.Errorf("%d %s: %+v", answer.Status, what, got)
			}
			failed := verdict == "failed" || verdict == "down" || verdict == "unknown"
			if failed && got.OfMessage == answer.Opens {
				t.Errorf("%d %s: counts for the circuit: %t", answer.Status, what, !got.OfMessage)
			}
		}
	}
}

// sameBody reports whether two bodies are the same JSON, or the same form.
func sameBody(a, b string) bool {
	var one, other bytes.Buffer
	if json.Compact(&one, []byte(a)) == nil && json.Compact(&other, []byte(b)) == nil {
		return one.String() == other.String()
	}
	form, err1 := url.ParseQuery(a)
	same, err2 := url.ParseQuery(b)
	return err1 == nil && err2 == nil && form.Encode() == same.Encode()
}

// secret is one for a variable of an example: a key where it must be one.
func secret(variable string) string {
	switch variable {
	case "APNS_KEY":
		return keys().apple
	case "FCM_ACCOUNT":
		text, _ := json.Marshal(map[string]string{"client_email": "push@shop.example", "private_key": keys().google,
			"token_uri": "https://oauth2.example.com/token"})
		return string(text)
	}
	return "the secret of " + variable
}

var keys = sync.OnceValue(func() (k struct{ apple, google string }) {
	text := func(key any) string {
		der, _ := x509.MarshalPKCS8PrivateKey(key)
		return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	}
	apple, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	google, _ := rsa.GenerateKey(rand.Reader, 2048)
	k.apple, k.google = text(apple), text(google)
	return k
})

// TestReplacedSecrets: a secret's file is read again for each login: a token that is refused, and has been replaced, is
// followed by the new one in the same attempt.
func TestReplacedSecrets(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		if err := os.WriteFile(secret, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	var asked []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Header.Get("Authorization"))
		if len(asked) == 2 { // between the first message and the second the provider takes another
			write("two")
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer s.Close()
	file, err := Parse("providers.yaml", fmt.Sprintf(`providers:
  - {name: texts, channels: [sms], kind: http,
     http: {url: %q, allow_private: true, body: "{}", auth: {bearer: {file: %s}}}}
  - {name: mail, channels: [email], kind: smtp,
     smtp: {addr: "mail.example.com:587", from: shop@example.com, username: shop, password: {file: %[2]s}}}
`, s.URL, secret), secrets)
	if err != nil {
		t.Fatal(err)
	}
	p, err := httpapi.New(file.Providers[0].HTTP)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	job := topology.Job{JobID: "j", Channel: topology.SMS, To: "+46701234567"}
	for range 2 {
		answer := p.Send(t.Context(), &job, &template.Message{Channel: topology.SMS, To: job.To, Text: "Hi"})
		if answer.Verdict != provider.Accepted {
			t.Errorf("the answer is %+v", answer)
		}
	}
	if want := []string{"Bearer one", "Bearer one", "Bearer two"}; !slices.Equal(asked, want) {
		t.Errorf("it was asked with %q, want %q", asked, want)
	}
	if password := file.Providers[1].SMTP.Password(); password != "two" {
		t.Errorf("the password is %q", password)
	}
}
