package settings

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
)

// mailbox is a mail server that lets in who has the password.
type mailbox struct{ logins, messages *int }

func (m mailbox) AuthMechanisms() []string { return []string{sasl.Plain} }
func (m mailbox) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, _, password string) error {
		if password != secretOfTests {
			return smtp.ErrAuthFailed
		}
		*m.logins++
		return nil
	}), nil
}
func (m mailbox) Mail(string, *smtp.MailOptions) error { return nil }
func (m mailbox) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (m mailbox) Reset()                               {}
func (m mailbox) Logout() error                        { return nil }
func (m mailbox) Data(text io.Reader) error {
	*m.messages++
	_, err := io.Copy(io.Discard, text)
	return err
}

// TestTry: a login tells whether a provider would take messages, and a test message
// whether it does.
func TestTry(t *testing.T) {
	var logins, messages int
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	begin := func(*smtp.Conn) (smtp.Session, error) { return mailbox{&logins, &messages}, nil }
	server := smtp.NewServer(smtp.BackendFunc(begin))
	server.AllowInsecureAuth = true
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodHead || r.Header.Get("Authorization") != "" {
			messages++
		}
		w.WriteHeader(http.StatusNotFound)
	}))
	t.Cleanup(web.Close)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	file := func(mail net.Addr, password string) string {
		return writeProviders(t, fmt.Sprintf(`providers:
  - name: mail
    channels: [email]
    kind: smtp
    smtp: {addr: %q, tls: none, from: shop@example.com, username: shop, password: {env: %s}}
  - name: texts
    channels: [sms]
    kind: http
    http: {url: "%s/token-in-path", allow_private: true, auth: {bearer: {env: MAIL_SECRET}}}
  - {name: dry, channels: [push], kind: sandbox}
`, mail, password, web.URL))
	}
	good := file(listener.Addr(), "MAIL_SECRET")
	got, err := checkProviders(t, nil, command.Table, good, "--connect")
	if err != nil || logins != 1 || messages != 0 {
		t.Errorf("%v, %d logins, %d messages\n%s", err, logins, messages, got)
	}
	for _, want := range []string{"accepted", "it is there, and answered 404", "nothing to try"} {
		if !strings.Contains(got, want) {
			t.Errorf("it does not say %q:\n%s", want, got)
		}
	}
	t.Setenv("WRONG", "guess")
	for _, row := range []struct{ file, says string }{
		{file(listener.Addr(), "WRONG"), "the mail server answered 535"},
		{file(closed.Addr(), "MAIL_SECRET"), "no answer from the mail server while connecting"},
	} {
		if got, err := checkProviders(t, nil, command.JSON, row.file, "--connect"); err == nil ||
			!strings.Contains(got, row.says) || !strings.Contains(err.Error(), "1 provider would take no message") {
			t.Errorf("it does not say %q but %v\n%s", row.says, err, got)
		}
	}
	got, err = checkProviders(t, nil, command.Table, good, "--provider", "mail", "--send-to", "kim@example.com")
	if err != nil || messages != 1 || !strings.Contains(got, "@example.com>") {
		t.Errorf("%v, %d messages\n%s", err, messages, got)
	}
	got, err = checkProviders(t, nil, command.Table, good, "--provider", "texts", "--send-to", "+46701234567")
	if err == nil || !strings.Contains(got, "rejected") {
		t.Errorf("%v\n%s", err, got)
	}
	for _, misuse := range [][]string{
		{"--send-to", "kim@example.com"}, {"--provider", "mial", "--connect"}, {"--provider", "mail", "--send-to", "kim"},
		{"--connect", "--send-to", "kim@example.com"},
	} {
		if _, err := checkProviders(t, nil, command.Table, append([]string{good}, misuse...)...); err == nil {
			t.Errorf("%q was taken", misuse)
		}
	}
	if messages != 2 {
		t.Errorf("%d messages", messages)
	}
}
