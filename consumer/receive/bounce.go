package receive

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net"
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

const (
	maxBounce = 64 << 20
	// maxHeader is how much of a header is read: a line of a few bytes takes hundreds once it is read.
	maxHeader = 64 << 10
)

// NewServer is a mail server for bounces, which come to the address that a message was
// sent from: its reference, at a domain of its own (VERP).
func (r *Receiver) NewServer() *smtp.Server {
	begin := func(c *smtp.Conn) (smtp.Session, error) { return &session{receiver: r, conn: c.Conn()}, nil }
	server := smtp.NewServer(smtp.BackendFunc(begin))
	server.Domain, server.EnableSMTPUTF8 = "meddela", true
	server.MaxMessageBytes, server.MaxRecipients = maxBounce, 1 // it may have the whole message behind the report
	server.ReadTimeout, server.WriteTimeout = 30*time.Second, 30*time.Second
	return server
}

// session takes one message after another from a mail server.
type session struct {
	receiver *Receiver
	conn     net.Conn
	ref      receipt.Ref
}

// Mail implements smtp.Session.
func (s *session) Mail(string, *smtp.MailOptions) error { return nil }

// Rcpt implements smtp.Session: only references of ours are addresses here, and the one
// that complaints are sent to (RFC 2142), which say themselves what they are about.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) (err error) {
	local, _ := address.Split(to)
	var ok bool
	if s.ref, ok = s.receiver.Key.Open(local); !ok && !strings.EqualFold(local, "abuse") {
		s.receiver.count(Mail, Refused)
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1},
			Message: "no such message was sent from here"}
	}
	return nil
}

// Data implements smtp.Session.
func (s *session) Data(text io.Reader) error {
	r := s.receiver
	message, done, err := r.reading.readAll(io.LimitReader(text, maxBody), func() { _ = s.conn.Close() })
	defer done()
	if err != nil {
		r.count(Mail, Deferred)
		return errLater
	}
	ctx, cancel := context.WithTimeout(context.Background(), takeTime)
	defer cancel()
	if r.parsing.Acquire(ctx, 1) != nil {
		r.count(Mail, Deferred)
		return errLater
	}
	report, err := parseReport(message)
	r.parsing.Release(1)
	if err != nil {
		r.count(Mail, Refused)
		return err
	}
	for i := 0; s.ref.Event == "" && i < len(report.senders); i++ {
		local, _ := address.Split(addressForm.FindString(report.senders[i]))
		s.ref, _ = r.Key.Open(local)
	}
	if report.means == "" || s.ref.Event == "" { // a holiday's answer, or a person's; a complaint about another's message
		r.count(Mail, Unknown)
		return nil
	}
	n := note{ref: s.ref, channel: topology.Email, means: report.means, code: report.status, at: time.Now()}
	for _, recipient := range report.recipients {
		if recipient = addressForm.FindString(recipient); n.ref.IsTo(r.Hash(n.channel, recipient)) {
			n.address = recipient
		}
	}
	if err := r.take(ctx, []note{n}); err != nil {
		r.count(Mail, Deferred)
		r.Log.Warn().Err(err).Msg("a bounce cannot be written yet; the mail server is asked to come again")
		return errLater
	}
	r.count(Mail, string(n.means))
	return nil
}

var (
	errLater      = &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "come again"}
	errLongHeader = &smtp.SMTPError{Code: 552, EnhancedCode: smtp.EnhancedCode{5, 3, 4},
		Message: "the message's header is longer than 64 KiB"}
)

// addressForm finds an address beside its type, its name and brackets.
var addressForm = regexp.MustCompile(`[^<>\s,;]+@[^<>\s,;]+`)

// Reset implements smtp.Session.
func (s *session) Reset() { s.ref = receipt.Ref{} }

// Logout implements smtp.Session.
func (s *session) Logout() error { return nil }

// report is what a mail server says of a message (RFC 3464), or what its recipient does (RFC 5965).
type report struct {
	means               Meaning
	status              string // of RFC 3463
	recipients, senders []string
}

// parseReport reads a report, one without means from what is none. Its error is for the mail server.
func parseReport(message []byte) (r report, err error) {
	text := &io.LimitedReader{R: bytes.NewReader(message), N: maxHeader + 1}
	ahead := bufio.NewReader(text) // which ReadMessage reads by: of a header that ended in time, it has what follows
	m, err := mail.ReadMessage(ahead)
	switch {
	case text.N == 0 && ahead.Buffered() == 0: // to ReadMessage that is the end of the message, and no error
		return report{}, errLongHeader
	case err != nil:
		return report{}, nil
	}
	text.N = maxBody
	kind, of, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/report" {
		return report{}, nil
	}
	for parts := multipart.NewReader(m.Body, of["boundary"]); ; {
		part, err := parts.NextPart()
		if err != nil {
			return r, nil
		}
		body := io.Reader(part)
		if strings.EqualFold(part.Header.Get("Content-Transfer-Encoding"), "base64") {
			body = base64.NewDecoder(base64.StdEncoding, part)
		}
		fields := textproto.NewReader(bufio.NewReader(io.LimitReader(body, maxHeader)))
		switch kind, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type")); kind {
		case "message/delivery-status", "message/global-delivery-status": // RFC 6533
			r.readStatus(fields)
		case "message/feedback-report":
			one, _ := fields.ReadMIMEHeader()
			r.means = cmp.Or(feedback[strings.ToLower(strings.TrimSpace(one.Get("Feedback-Type")))], Nothing)
			r.recipients = append(append(r.recipients, one["Original-Rcpt-To"]...), one["Removal-Recipient"]...)
			r.senders = append(r.senders, one["Original-Mail-From"]...)
		case "message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers": // what it is about
			one, _ := fields.ReadMIMEHeader()
			r.recipients, r.senders = append(r.recipients, one["To"]...), append(r.senders, one["Return-Path"]...)
		}
	}
}

// feedback is what is meant by types of feedback; all others change nothing.
var feedback = map[string]Meaning{"abuse": Complained, "fraud": Complained, "opt-out": Unsubscribed}

// statusForm is class.subject.detail.
var statusForm = regexp.MustCompile(`^[245]\.\d{1,3}\.\d{1,3}`)

// readStatus reads the fields of the first recipient: messages have one.
func (r *report) readStatus(fields *textproto.Reader) {
	if _, err := fields.ReadMIMEHeader(); err != nil { // of the message
		return
	}
	one, err := fields.ReadMIMEHeader()
	if err != nil && !errors.Is(err, io.EOF) || len(one) == 0 {
		return
	}
	r.means, r.status = Nothing, statusForm.FindString(strings.TrimSpace(one.Get("Status")))
	switch strings.ToLower(strings.TrimSpace(one.Get("Action"))) {
	case "failed":
		r.means = Failed
		if strings.HasPrefix(r.status, "5.1.") && r.status != "5.1.7" && r.status != "5.1.8" || r.status == "5.2.1" {
			r.means = Bounced // the others are about this message, or about us
		}
	case "delivered":
		r.means = Delivered
	}
	r.recipients = append(append(r.recipients, one["Original-Recipient"]...), one["Final-Recipient"]...)
}
