package smtp

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	netmail "net/mail"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-msgauth/dkim"
	"github.com/wneessen/go-mail"

	"github.com/meddela/meddela/consumer/deliver/recipient/address"
	"github.com/meddela/meddela/consumer/outbound"
	"github.com/meddela/meddela/consumer/template"
)

// compose writes the message in the form of RFC 5322. m.To is a plain address.
func (s *Provider) compose(id string, m *template.Message, files []file) ([]byte, error) {
	msg := mail.NewMsg(mail.WithNoDefaultUserAgent())
	from := s.from
	msg.FromMailAddress(&from)
	msg.ToMailAddress(&netmail.Address{Address: m.To})
	if s.config.ReplyTo != "" {
		msg.ReplyToMailAddress(&netmail.Address{Address: s.config.ReplyTo})
	}
	msg.Subject(oneLine(m.Subject))
	msg.SetGenHeader(mail.HeaderMessageID, id)
	msg.SetDateWithValue(time.Now())
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	if m.Text != "" || m.HTML == "" {
		msg.SetBodyString(mail.TypeTextPlain, m.Text)
	}
	if m.HTML != "" {
		msg.AddAlternativeString(mail.TypeTextHTML, m.HTML)
	}
	if err := unsubscribe(msg, m.Unsubscribe); err != nil {
		return nil, err
	}
	for _, f := range files {
		kind := mail.WithFileContentType(mail.ContentType(f.kind))
		if err := msg.AttachReader(oneLine(f.name), bytes.NewReader(f.content), kind); err != nil {
			return nil, err
		}
	}
	var plain bytes.Buffer
	if _, err := msg.WriteTo(&plain); err != nil || s.dkim == nil {
		return plain.Bytes(), err
	}
	return s.dkim.sign(plain.Bytes())
}

var errUnsubscribe = errors.New("the way to unsubscribe is no https URL, or no address")

// unsubscribe offers a way to end such messages, which mail programs show as a
// button.
func unsubscribe(msg *mail.Msg, way template.Unsubscribe) error {
	var ways []string
	if way.URL != "" {
		if !strings.HasPrefix(way.URL, "https://") || strings.ContainsAny(way.URL, "<> ") || hasControl(way.URL) {
			return errUnsubscribe
		}
		ways = append(ways, "<"+way.URL+">")
		msg.SetGenHeaderPreformatted("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")
	}
	if way.Mailto != "" {
		if !address.ValidEmail(way.Mailto) {
			return errUnsubscribe
		}
		ways = append(ways, "<mailto:"+way.Mailto+">")
	}
	if len(ways) > 0 {
		msg.SetGenHeaderPreformatted("List-Unsubscribe", strings.Join(ways, ", "))
	}
	return nil
}

// oneLine is text that cannot end a header.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if isControl(r) {
			return ' '
		}
		return r
	}, text)
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

func hasControl(text string) bool { return strings.ContainsFunc(text, isControl) }

// DKIM is how messages are signed, so that receivers know whose they are (RFC
// 6376, RFC 8463).
type DKIM struct {
	// Domain and Selector name the DNS record with the public key.
	Domain, Selector string
	// Key is a private key in PEM: RSA of 2048 bits or more, or Ed25519.
	Key outbound.Secret
	// Headers that are signed, where a message has them; not those that the next server replaces. Default: all
	// that say whose the message is, and what.
	Headers []string

	key *outbound.Parsed[crypto.Signer]
}

var (
	signedHeaders = []string{
		"From", "Reply-To", "To", "Subject", "Date", "Message-ID",
		"MIME-Version", "Content-Type", "Content-Transfer-Encoding",
		"Auto-Submitted", "List-Unsubscribe", "List-Unsubscribe-Post",
	}
	// oversigned are those of which nobody may add another one, which could be shown instead.
	oversigned = []string{"From", "To", "Subject", "Date", "Content-Type"}
)

// signing is nil for no signature.
func (d DKIM) signing() (_ *DKIM, err error) {
	if d.Domain == "" && d.Selector == "" && d.Key == nil && len(d.Headers) == 0 {
		return nil, nil
	}
	if d.Domain == "" || d.Selector == "" || d.Key == nil {
		return nil, errors.New("domain, selector and key are all needed")
	}
	if len(d.Headers) == 0 {
		d.Headers = signedHeaders
	}
	if d.key, err = outbound.NewParsed(d.Key, signerOf); err != nil {
		return nil, err
	}
	_, err = d.sign([]byte("From: a@example.com\r\n\r\n"))
	return &d, err
}

// sign puts a signature before a message.
func (d *DKIM) sign(message []byte) ([]byte, error) {
	m, err := netmail.ReadMessage(bytes.NewReader(message))
	if err != nil {
		return nil, err
	}
	options := &dkim.SignOptions{
		Domain: d.Domain, Selector: d.Selector, Signer: d.key.Now(), Hash: crypto.SHA256, HeaderKeys: []string{},
		HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
	}
	for _, name := range d.Headers {
		name = textproto.CanonicalMIMEHeaderKey(name)
		n := len(m.Header[name])
		if slices.Contains(oversigned, name) {
			n++
		}
		options.HeaderKeys = append(options.HeaderKeys, slices.Repeat([]string{name}, n)...)
	}
	var signed bytes.Buffer
	err = dkim.Sign(&signed, bytes.NewReader(message), options)
	return signed.Bytes(), err
}

func signerOf(text string) (crypto.Signer, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("the key is not in PEM form")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		if key, err = x509.ParsePKCS1PrivateKey(block.Bytes); err != nil {
			return nil, errors.New("the key is no private key of PKCS #8 or #1")
		}
	}
	switch key := key.(type) {
	case *rsa.PrivateKey:
		if key.N.BitLen() < 2048 {
			return nil, errors.New("an RSA key needs 2048 bits or more")
		}
		return key, nil
	case ed25519.PrivateKey:
		return key, nil
	}
	return nil, errors.New("the key must be of RSA or Ed25519")
}
