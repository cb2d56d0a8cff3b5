package receive

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"net/textproto"
	"regexp"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/meddela/meddela/consumer/deliver/recipient/address"
	"github.com/meddela/meddela/consumer/receipt"
	"github.com/meddela/meddela/topology"
)

// Mail is what bounces by e-mail are counted under. The provider whose they are is
// known by the event.
const Mail = "mail"

const maxBounce = 64 << 20

// NewServer is a mail server for bounces, which come to the address that a message was
// sent from: its reference, at a domain of its own (VERP).
func (r *Receiver) NewServer() *smtp.Server {
	begin := func(*smtp.Conn) (smtp.Session, error) { return &session{receiver: r}, nil }
	server := smtp.NewServer(smtp.BackendFunc(begin))
	server.Domain, server.EnableSMTPUTF8 = "meddela", true
	server.MaxMessageBytes, server.MaxRecipients = maxBounce, 1 // it may have the whole message behind the report
	server.ReadTimeout, server.WriteTimeout = 30*time.Second, 30*time.Second
	return server
}

// session takes one message after another from a mail server.
type session struct {
	receiver *Receiver
	ref      receipt.Ref
}

// Mail implements smtp.Session.
func (s *session) Mail(string, *smtp.MailOptions) error { return nil }

// Rcpt implements smtp.Session: only references of ours are addresses here.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) (err error) {
	local, _ := address.Split(to)
	var ok bool
	if s.ref, ok = s.receiver.Key.Open(local); !ok {
		s.receiver.count(Mail, Refused)
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1},
			Message: "no such message was sent from here"}
	}
	return nil
}

// Data implements smtp.Session.
func (s *session) Data(text io.Reader) error {
	message, err := io.ReadAll(io.LimitReader(text, maxBody))
	if err == nil {
		_, err = io.Copy(io.Discard, text)
	}
	if err != nil {
		return err
	}
	r := s.receiver
	report, ok := parseReport(message)
	if !ok { // an answer from a holiday, or from a person
		r.count(Mail, Unknown)
		return nil
	}
	n := note{ref: s.ref, channel: topology.Email, means: report.means, code: report.status, at: time.Now()}
	for _, recipient := range report.recipients {
		if n.ref.IsTo(r.Hash(n.channel, recipient)) {
			n.address = recipient
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), takeTime)
	defer cancel()
	if err := r.take(ctx, []note{n}); err != nil {
		r.count(Mail, Deferred)
		r.Log.Warn().Err(err).Msg("a bounce cannot be written yet; the mail server is asked to come again")
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "come again"}
	}
	r.count(Mail, string(n.means))
	return nil
}

// Reset implements smtp.Session.
func (s *session) Reset() { s.ref = receipt.Ref{} }

// Logout implements smtp.Session.
func (s *session) Logout() error { return nil }

// report is what a mail server says of a message (RFC 3464).
type report struct {
	means      Meaning
	status     string // of RFC 3463
	recipients []string
}

func parseReport(message []byte) (report, bool) {
	m, err := mail.ReadMessage(bytes.NewReader(message))
	if err != nil {
		return report{}, false
	}
	kind, of, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/report" {
		return report{}, false
	}
	for parts := multipart.NewReader(m.Body, of["boundary"]); ; {
		part, err := parts.NextPart()
		if err != nil {
			return report{}, false
		}
		kind, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type"))
		if kind == "message/delivery-status" || kind == "message/global-delivery-status" { // RFC 6533
			if strings.EqualFold(part.Header.Get("Content-Transfer-Encoding"), "base64") {
				return parseStatus(base64.NewDecoder(base64.StdEncoding, part))
			}
			return parseStatus(part)
		}
	}
}

// statusForm is class.subject.detail.
var statusForm = regexp.MustCompile(`^[245]\.\d{1,3}\.\d{1,3}`)

// parseStatus reads the fields of the first recipient: messages have one.
func parseStatus(text io.Reader) (report, bool) {
	fields := textproto.NewReader(bufio.NewReader(text))
	if _, err := fields.ReadMIMEHeader(); err != nil { // of the message
		return report{}, false
	}
	one, err := fields.ReadMIMEHeader()
	if err != nil && !errors.Is(err, io.EOF) || len(one) == 0 {
		return report{}, false
	}
	r := report{means: Nothing, status: statusForm.FindString(strings.TrimSpace(one.Get("Status")))}
	switch strings.ToLower(strings.TrimSpace(one.Get("Action"))) {
	case "failed":
		r.means = Failed
		if strings.HasPrefix(r.status, "5.1.") && r.status != "5.1.7" && r.status != "5.1.8" || r.status == "5.2.1" {
			r.means = Bounced // the others are about this message, or about us
		}
	case "delivered":
		r.means = Delivered
	}
	for _, field := range []string{"Original-Recipient", "Final-Recipient"} {
		if _, recipient, ok := strings.Cut(one.Get(field), ";"); ok { // rfc822; or utf-8;
			r.recipients = append(r.recipients, strings.Trim(strings.TrimSpace(recipient), "<>"))
		}
	}
	return r, true
}
