package scenario

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/smtp"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	gosmtp "github.com/emersion/go-smtp"

	"github.com/meddela/meddela/topology"
)

// outbox is a mail server and an HTTP provider that accept everything, and keep the
// references that messages had.
type outbox struct{ mail, web chan string }

type envelope struct {
	*outbox
	from string
}

func (e *envelope) Mail(from string, _ *gosmtp.MailOptions) error { e.from = from; return nil }
func (e *envelope) Rcpt(string, *gosmtp.RcptOptions) error        { return nil }
func (e *envelope) Reset()                                        {}
func (e *envelope) Logout() error                                 { return nil }
func (e *envelope) Data(text io.Reader) error {
	_, err := io.Copy(io.Discard, text)
	e.mail <- e.from
	return err
}

func newOutbox(t *testing.T) (o *outbox, mailAddr, webURL string) {
	o = &outbox{make(chan string, 10), make(chan string, 10)}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	begin := func(*gosmtp.Conn) (gosmtp.Session, error) { return &envelope{outbox: o}, nil }
	server := gosmtp.NewServer(gosmtp.BackendFunc(begin))
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	web := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		o.web <- string(body)
	}))
	t.Cleanup(web.Close)
	return o, listener.Addr().String(), web.URL
}

// TestReceipts: what a mail server and a provider say of messages afterwards is in
// their statuses, and who cannot be reached is not written to again.
func TestReceipts(t *testing.T) {
	everywhere(t, func(t *testing.T, s *site) {
		const lane = topology.Realtime
		outbox, mailAddr, webURL := newOutbox(t)
		file := filepath.Join(s.dir, "providers.yaml")
		if err := os.WriteFile(file, fmt.Appendf(nil, `providers:
  - name: relay
    channels: [email]
    kind: smtp
    smtp: {addr: "%s", tls: none, from: shop@example.com, bounces: bounces.example.com}
  - name: texts
    channels: [sms]
    kind: http
    http: {url: "%s/", body: '{{json .Ref}}', allow_private: true}
    receipts:
      verify: {scheme: token, secret: {env: RECEIPTS_TOKEN}}
      ref: $.ref
      address: $.to
      rules: [{when: {$.state: DELIVRD}, means: delivered}, {when: {$.state: STOP}, means: unsubscribed}]
`, mailAddr, webURL), 0o600); err != nil {
			t.Fatal(err)
		}
		local := func() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(freePort(t))) }
		receiveWeb, receiveMail := local(), local()
		s.settings = []string{"MEDDELA_PROVIDERS_FILE=" + file, "MEDDELA_SANDBOX_CHANNELS=push,webhook",
			"MEDDELA_SUPPRESS_PEPPER=" + aPepper, "RECEIPTS_TOKEN=s3cret",
			"MEDDELA_RECEIVE_ADDR=" + receiveWeb, "MEDDELA_RECEIVE_SMTP_ADDR=" + receiveMail}
		s.startRoles(lane)
		receiver := s.start(topology.RoleReceive, "")

		s.publish(lane, order("first", "mail"))
		s.awaitOutcomes(20*time.Second, map[string]string{"first": "sent"})
		from := <-outbox.mail
		to := "kim@mail." + recipientDomain
		bounce := strings.ReplaceAll(fmt.Sprintf("Content-Type: multipart/report; boundary=b\n\n--b\n"+
			"Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx\n\nFinal-Recipient: rfc822; %s\n"+
			"Action: failed\nStatus: 5.1.1\n\n--b--\n", to), "\n", "\r\n")
		s.eventually(20*time.Second, "the bounce is taken", func() error {
			return smtp.SendMail(receiveMail, nil, "", []string{from}, []byte(bounce))
		})
		s.awaitOutcomes(10*time.Second, map[string]string{"first": "delivery_error/bounced"})
		hash := s.hash("first")
		if hash[topology.FieldDetail] != "bounced: 5.1.1" || hash[topology.FieldProvider] != "relay" {
			t.Errorf("%v", hash)
		}

		code := func(id string) record {
			return event(id, `{"id":%q,"type":"one_time_code","channel":"sms","mobilePhone":"+358401234567","ctx":{"code":"004211"}}`, id)
		}
		s.publish(lane, code("code-1"))
		s.awaitOutcomes(20*time.Second, map[string]string{"code-1": "sent"})
		ref := <-outbox.web
		tell := func(state, token string) error {
			body := fmt.Sprintf(`{"ref":%s,"to":"+358 40 1234567","state":%q}`, ref, state)
			r, err := http.Post("http://"+receiveWeb+"/receipts/texts?token="+token, "application/json", strings.NewReader(body))
			if err == nil {
				_ = r.Body.Close()
				if r.StatusCode != http.StatusOK {
					err = errors.New(r.Status)
				}
			}
			return err
		}
		if err := tell("DELIVRD", "guess"); err == nil {
			t.Error("somebody else's receipt was taken")
		}
		if err := tell("DELIVRD", "s3cret"); err != nil {
			t.Fatal(err)
		}
		s.eventually(10*time.Second, "it is delivered", func() error {
			if hash := s.hash("code-1"); hash[topology.FieldStatus] != "sent" || hash[topology.FieldDetail] != "delivered" {
				return fmt.Errorf("%v", hash)
			}
			return nil
		})
		s.kill9(receiver)
		s.start(topology.RoleReceive, "")
		s.eventually(20*time.Second, "it is taken by another process", func() error { return tell("STOP", "s3cret") })
		s.publish(lane, code("code-2"))
		s.awaitOutcomes(20*time.Second, map[string]string{"code-2": "ignored/suppressed", "code-1": "sent"})
	})
}
