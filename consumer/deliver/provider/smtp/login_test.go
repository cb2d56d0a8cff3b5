package smtp

import (
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/outbound"
	"github.com/meddela/meddela/consumer/outbound/token"
)

// TestRefusedLogin: whatever a server says to a login, the message has not ended and nothing of the password shows; the
// next try is with the password of that time, and at once where it has been replaced meanwhile.
func TestRefusedLogin(t *testing.T) {
	for _, answer := range []string{
		"535 5.7.8 Error: authentication failed", "535 no", "534 5.7.9 Application-specific password required",
		"454 4.7.0 Temporary authentication failure", "421 4.7.0 Too many failed logins", "432 4.7.12 change the password",
		"500 what?", hangUp,
	} {
		var password atomic.Value
		password.Store("old-secret")
		before, after := plain("old-secret"), plain("new-secret")
		d := newDialogue(t, map[string]string{"EHLO": "250-mx\r\n250 AUTH PLAIN", before: answer, after: "235 2.7.0 in"})
		s := newSMTP(t, d.port, func(c *Config) {
			c.Username, c.Password = "shop", func() string { return password.Load().(string) }
		})
		for range 2 {
			r := s.try(t, "event")
			if r.Verdict != provider.Down || r.OfMessage || !strings.Contains(r.Detail, "authenticating") ||
				answer != hangUp && !strings.Contains(r.Detail, answer[:3]) || strings.Contains(r.Detail, "secret") {
				t.Errorf("%s: %+v", answer, r)
			}
		}
		password.Store("new-secret")
		if r := s.try(t, "event"); r.Verdict != provider.Accepted || d.met() != 3 || d.count("AUTH") != 3 ||
			d.count(before) != 2 || d.count(after) != 1 || len(d.taken()) != 1 {
			t.Errorf("%s: then %+v, %q", answer, r, d.heard)
		}
		asked := 0 // it is replaced while the server refuses the one before
		s.Close()
		s.config.Password = func() string { asked++; return []string{"old-secret", "new-secret"}[min(asked, 2)-1] }
		want := provider.Down
		if strings.HasPrefix(answer, "535") {
			want = provider.Accepted
		}
		if r := s.try(t, "another"); r.Verdict != want {
			t.Errorf("%s: while it is replaced %+v", answer, r)
		}
	}
}

func plain(password string) string {
	return "AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00shop\x00"+password))
}

// refusedToken is what Gmail and Exchange say of a token first, before the refusal itself.
const refusedToken = `{"status":"400","schemes":"Bearer","scope":"https://mail.google.com/"}`

// TestXOAUTH2: the first response is what Google and Microsoft want, octet by octet; a refusal is heard to its end;
// the token that was refused is followed by another, on a new connection in the same try, and is kept while it holds.
func TestXOAUTH2(t *testing.T) {
	line := func(token string) string { // user=shop@example.com^Aauth=Bearer TOKEN^A^A
		return "AUTH XOAUTH2 " + base64.StdEncoding.EncodeToString(
			[]byte("user=shop@example.com\x01auth=Bearer "+token+"\x01\x01"))
	}
	if line("T-1") != "AUTH XOAUTH2 dXNlcj1zaG9wQGV4YW1wbGUuY29tAWF1dGg9QmVhcmVyIFQtMQEB" {
		t.Fatal(line("T-1"))
	}
	var given atomic.Int64
	endpoint := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if user, password, _ := r.BasicAuth(); user != "client" || password != "client-secret" {
			w.WriteHeader(http.StatusUnauthorized)
			io.WriteString(w, `{"error":"invalid_client"}`)
			return
		}
		fmt.Fprintf(w, `{"access_token":"T-%d","token_type":"Bearer","expires_in":3600}`, given.Add(1))
	}))
	var open atomic.Int64
	endpoint.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed:
			open.Add(-1)
		}
	}
	endpoint.Start()
	defer endpoint.Close()
	kind := func(secret string) token.Kind {
		return token.OAuth2{TokenURL: endpoint.URL, ClientID: "client", ClientSecret: outbound.Fixed(secret)}
	}
	for _, test := range []struct {
		name   string
		change func(*Config)
		first  string // what is said to the first token
		want   provider.Verdict
		detail string
		said   []string // of logins
	}{
		{"as the password", func(c *Config) { c.Password, c.Mechanism = outbound.Fixed("T-2"), mechanismOAuth }, "",
			provider.Accepted, "", []string{line("T-2")}},
		{"refused as the password", func(c *Config) { c.Password, c.Mechanism = outbound.Fixed("T-1"), mechanismOAuth },
			"334 " + base64.StdEncoding.EncodeToString([]byte(refusedToken)), provider.Down, "535 5.7.8",
			[]string{line("T-1"), ""}},
		{"got", func(c *Config) { c.Token = kind("client-secret") }, "235 2.7.0 in", provider.Accepted, "",
			[]string{line("T-1")}},
		{"got, and refused", func(c *Config) { c.Token = kind("client-secret") },
			"334 " + base64.StdEncoding.EncodeToString([]byte(refusedToken)), provider.Accepted, "",
			[]string{line("T-1"), "", line("T-2")}},
		{"got, and refused at once", func(c *Config) { c.Token = kind("client-secret") },
			"535 5.7.3 Authentication unsuccessful", provider.Accepted, "", []string{line("T-1"), line("T-2")}},
		{"got, and the server has no time", func(c *Config) { c.Token = kind("client-secret") }, "454 4.7.0 later",
			provider.Down, "454 4.7.0", []string{line("T-1")}},
		{"not got", func(c *Config) { c.Token = kind("another") }, "", provider.Down, "answered 401 (invalid_client)", nil},
	} {
		given.Store(0)
		d := newDialogue(t, map[string]string{"EHLO": "250-mx\r\n250 AUTH LOGIN PLAIN XOAUTH2", line("T-1"): test.first,
			"": "535 5.7.8 Username and Password not accepted", line("T-2"): "235 2.7.0 in"})
		s := newSMTP(t, d.port, func(c *Config) { c.Username = "shop@example.com"; test.change(c) })
		for n, id := range []string{"one", "two"} {
			r := s.try(t, id)
			if n == 0 && (r.Verdict != test.want || !strings.Contains(r.Detail, test.detail)) ||
				strings.Contains(r.Detail, "T-") || strings.Contains(r.Detail, "secret") {
				t.Errorf("%s: %+v", test.name, r)
			}
			if test.want != provider.Accepted {
				break
			}
			s.Close() // the next message logs in anew
		}
		s.Close()
		for end := time.Now().Add(time.Second); open.Load() > 0; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: %d connections to the token endpoint are open", test.name, open.Load())
			}
		}
		var said []string
		for i, each := range d.heard {
			if strings.HasPrefix(each, "AUTH ") || each == "" && i > 0 {
				said = append(said, each)
			}
		}
		want := test.said
		if test.want == provider.Accepted { // again with what was taken
			want = append(want, want[len(want)-1])
		}
		if strings.Join(said, "|") != strings.Join(want, "|") {
			t.Errorf("%s: said %q, want %q", test.name, said, want)
		}
	}
}
