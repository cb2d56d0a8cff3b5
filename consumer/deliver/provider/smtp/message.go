package smtp

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"mime"
	netmail "net/mail"
	"net/textproto"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/emersion/go-msgauth/dkim"
	"github.com/wneessen/go-mail"

	"github.com/meddela/meddela/consumer/deliver/recipient/address"
	"github.com/meddela/meddela/consumer/outbound"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

// ends makes one of all ways to end a line: after a lone CR, the encoding would lose the next end.
var ends = strings.NewReplacer("\r\n", "\n", "\r", "\n")

// compose writes the message in the form of RFC 5322. to is a plain address.
func (s *Provider) compose(id, to string, m *template.Message, files []file) ([]byte, error) {
	msg := mail.NewMsg(mail.WithNoDefaultUserAgent())
	from := s.from
	msg.FromMailAddress(&from)
	msg.ToMailAddress(&netmail.Address{Address: to})
	if s.config.ReplyTo != "" {
		msg.ReplyToMailAddress(&netmail.Address{Address: s.config.ReplyTo})
	}
	msg.Subject(foldable(oneLine(m.Subject)))
	msg.SetGenHeader(mail.HeaderMessageID, id)
	msg.SetDateWithValue(time.Now())
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	if m.Text != "" || m.HTML == "" {
		msg.SetBodyString(mail.TypeTextPlain, ends.Replace(m.Text))
	}
	if m.HTML != "" {
		msg.AddAlternativeString(mail.TypeTextHTML, ends.Replace(m.HTML))
	}
	if err := unsubscribe(msg, m.Unsubscribe); err != nil {
		return nil, err
	}
	size := len(m.Text) + len(m.HTML) + 4<<10
	attached := make([]*mail.File, len(files))
	for i, f := range files {
		attached[i] = &mail.File{
			Name: oneLine(f.name), Writer: bytes.NewReader(f.content).WriteTo,
			Header: textproto.MIMEHeader{
				"Content-Type": {f.kind}, "Content-Disposition": {disposition(oneLine(f.name))},
			},
		}
		size += len(f.content) * 7 / 5 // in base64, with the ends of lines
	}
	msg.SetAttachments(attached)
	var plain bytes.Buffer
	plain.Grow(size)
	if _, err := msg.WriteTo(&plain); err != nil {
		return nil, err
	}
	// The library folds before a first word that is long, which some do not read, or as a blank.
	written, _, _ := bytes.Cut(plain.Bytes(), []byte("\r\n\r\n"))
	header := bytes.ReplaceAll(written, []byte(":\r\n "), []byte(": "))
	text := plain.Bytes()[len(written)-len(header):]
	copy(text, header)
	name := ""
	for line := range strings.SplitSeq(string(header), "\r\n") {
		if before, _, found := strings.Cut(line, ":"); found && line[0] != ' ' {
			name = before
		}
		if len(line) > longestLine {
			return nil, lineError(name)
		}
	}
	if s.dkim == nil {
		return text, nil
	}
	return s.dkim.sign(text)
}

// longestLine is that of RFC 5322, 2.1.1.
const longestLine = 998

// lineError is that a line of a header of this name is too long.
type lineError string

func (e lineError) Error() string {
	return "a line of its header " + string(e) + " would be longer than the 998 octets of RFC 5322: shorten what it has"
}

// messageID is the same when the message is sent again, so that whoever receives it twice can tell.
func messageID(job topology.JobID, domain string) string {
	local := string(job)
	if len(local) > nameBytes || !dotAtom.MatchString(local) {
		local = fmt.Sprintf("%x", sha256.Sum256([]byte(job)))
	}
	return "<" + local + "@" + domain + ">"
}

// dotAtom is that of RFC 5322, 3.2.3.
var dotAtom = regexp.MustCompile(`^[A-Za-z0-9!#$%&'*+/=?^_\x60{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_\x60{|}~-]+)*$`)

// unwritable says why a message cannot be written, without anything of it.
func unwritable(err error) string {
	if errors.As(err, new(lineError)) || err == errUnsubscribe {
		return err.Error()
	}
	return "the message cannot be written as e-mail"
}

const (
	longestWord = 66 // beside a name such as Subject
	wordBytes   = 39 // of an encoded word, which is no longer with what stands around it
	nameBytes   = 200
)

// foldable is a text whose words fit in lines, and of which no reader makes another: in encoded words (RFC 2047) where
// it is not plain ASCII with single blanks, has a long word, or what could be read as an encoded one.
func foldable(text string) string {
	fits := func(word string) bool { return word != "" && len(word) <= longestWord && !strings.Contains(word, "=?") }
	words := strings.Split(text, " ")
	if text == "" || address.IsASCII(text) && !slices.ContainsFunc(words, func(w string) bool { return !fits(w) }) {
		return text
	}
	words = nil
	for text = strings.ToValidUTF8(text, "\ufffd"); text != ""; {
		part := cut(text, wordBytes)
		words = append(words, "=?utf-8?B?"+base64.StdEncoding.EncodeToString([]byte(part))+"?=")
		text = text[len(part):]
	}
	return strings.Join(words, " ")
}

// cut is the beginning of a text, of so many bytes at most, in whole characters.
func cut(text string, most int) string {
	for most = min(most, len(text)); most < len(text) && !utf8.RuneStart(text[most]); most-- {
	}
	return text[:most]
}

// disposition is the header of a file of a name, as RFC 2183 and 2231 write it.
func disposition(name string) string {
	name = strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Bidi_Control, r): // which could hide what kind of file it is
			return -1
		case strings.ContainsRune(`"/\:<>?|`, r):
			return '_'
		}
		return r
	}, strings.ToValidUTF8(name, "_"))
	name = strings.TrimSpace(name) // as some readers do
	if end := cut(path.Ext(name), nameBytes/4); len(name) > nameBytes {
		name = strings.TrimSpace(cut(name, nameBytes-len(end)) + end)
	}
	name = cmp.Or(name, "file")
	if address.IsASCII(name) {
		return `attachment; filename="` + name + `"`
	}
	return mime.FormatMediaType("attachment", map[string]string{"filename": name})
}

var errUnsubscribe = errors.New("the way to unsubscribe is no https URL, or no address")

// unsubscribe offers a way to end such messages, which mail programs show as a button.
func unsubscribe(msg *mail.Msg, way template.Unsubscribe) error {
	var ways []string
	if way.URL != "" {
		if !strings.HasPrefix(way.URL, "https://") || strings.ContainsAny(way.URL, "<> ") || hasControl(way.URL) {
			return errUnsubscribe
		}
		ways = append(ways, "<"+escaped(way.URL)+">")
		msg.SetGenHeaderPreformatted("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")
	}
	if way.Mailto != "" {
		if !address.ValidEmail(way.Mailto) {
			return errUnsubscribe
		}
		ways = append(ways, "<mailto:"+escaped(address.Wire(way.Mailto))+">")
	}
	if len(ways) > 0 {
		all := strings.Join(ways, ", ")
		if len(all) > longestLine/2 {
			all = strings.Join(ways, ",\r\n ")
		}
		msg.SetGenHeaderPreformatted("List-Unsubscribe", all)
	}
	return nil
}

// escaped is a URL in ASCII (RFC 3986).
func escaped(text string) string {
	if u, err := url.Parse(text); err == nil {
		text = strings.Replace(text, u.Host, asciiHost(u.Host), 1)
	}
	var b strings.Builder
	for i := range len(text) {
		if c := text[i]; c > '~' || strings.IndexByte("\"\\^`{|}", c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// asciiHost is a host's name as DNS has it, if it has such a form.
func asciiHost(host string) string {
	if address.IsASCII(host) {
		return host
	}
	_, ascii := address.Split(address.ASCIIDomain("@" + host))
	return ascii
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

// DKIM is how messages are signed, so that receivers know whose they are (RFC 6376, RFC 8463).
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
	// Without Date and Message-ID, which relays replace.
	signedHeaders = []string{
		"From", "Reply-To", "To", "Subject",
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
	signer, err := dkim.NewSigner(options)
	if err != nil {
		return nil, err
	}
	_, _ = signer.Write(message) // Close has its error too
	if err := signer.Close(); err != nil {
		return nil, err
	}
	return slices.Concat([]byte(signer.Signature()), message), nil
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
