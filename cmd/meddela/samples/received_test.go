//go:build !race

package samples_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/http/httptest"
	netmail "net/mail"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode"

	"github.com/emersion/go-smtp"

	"github.com/meddela/meddela/consumer/deliver/provider"
	provide "github.com/meddela/meddela/consumer/deliver/provider/smtp"
	"github.com/meddela/meddela/consumer/deliver/recipient/address"
	"github.com/meddela/meddela/consumer/outbound"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

// nasty are values that people and programs put into events.
var nasty = map[string]string{
	"emoji":            strings.Repeat("👩‍👩‍👧‍👦🏳️‍🌈🇸🇪👍🏽", 12),
	"right to left":    "\u202eשלום עולם\u202c \u200fمرحبا بالعالم\u200e \u2067abc\u2069",
	"controls":         allOf(1, 0x1f) + "\x7f" + allOf(0x80, 0x9f),
	"long word":        strings.Repeat("a", 2000),
	"long word of two": strings.Repeat("å", 2000),
	"long word mixed":  "å " + strings.Repeat("b", 2000) + " c",
	"header injected":  "Kim\r\nBcc: eve@example.com\nX-A: b\rX-B: c\r\n\r\n<b>body</b>",
	"message injected": "Kim\r\n.\r\nMAIL FROM:<eve@example.com>\r\nRCPT TO:<eve@example.com>\r\nDATA\r\n",
	"boundary":         "\r\n--\r\n--x--\r\nContent-Type: text/html\r\n\r\n",
	"dots":             ".\n..\n.\r\n.x\n\n.",
	"line of 998":      strings.Repeat("x", 998) + "\n.",
	"line of 1000":     strings.Repeat("x ", 500) + "\n.",
	"separators":       "a\u2028b\u2029c\u0085d\vd\fe\x1cf",
	"combining":        "Z" + strings.Repeat("\u0351\u0334\u0489", 300) + " e\u0301 \u0301",
	"quotes":           `"Kim" 'O'Brien' \ (a (b) ,;:<kim@example.com> [c] ` + "`d`",
	"encoded words":    "=?utf-8?q?=41=0d=0aBcc:_eve@example.com?= =?utf-8?B?QQ==?= a=?utf-8?q?b?=",
	"encoded word":     "=?x?q?",
	"quoted":           "=41 =3D =\n=0D=0A= %0d%0a &#13;&#10; \\r\\n",
	"domain":           "kim@bücher.example https://bücher.example/å?ä=ö xn--bcher-kva.example",
	"html":             `</title><script>alert("1")</script><img src=x onerror=alert(1)> <!-- <![CDATA[ ]]> &amp;amp; {{.ctx}}`,
	"empty":            "",
	"blank":            " ",
	"blanks":           "  a   b \t c  \n  \n d  ",
	"blanks of a line": "a" + strings.Repeat(" ", 300) + "b",
	"no-break":         "\u00a0a\u00a0\u202fb\u3000c\u200b\ufeff",
	"from":             "From here\nFrom there",
	"private":          "\ue000\ufffd\U000f0000",
	"lone surrogate":   surrogate + "a",
	"ASCII":            twoHundred("The quick brown fox "),
	"one ASCII word":   twoHundred("abc-def/"),
	"Latin":            twoHundred("Ångström é ß ł "),
	"Greek":            twoHundred("Ξεσκεπάζω την "),
	"Cyrillic":         twoHundred("Съешь ещё этих "),
	"Hebrew":           twoHundred("דג סקרן שט "),
	"Arabic":           twoHundred("نص حكيم له "),
	"Devanagari":       twoHundred("ऋषियों को सताने "),
	"Thai":             twoHundred("เป็นมนุษย์สุดประเสริฐ"),
	"Han":              twoHundred("視野無限廣窗外有藍天"),
	"Japanese":         twoHundred("いろはにほヘトチリヌル"),
	"Hangul":           twoHundred("키스의 고유조건은 "),
	"Georgian":         twoHundred("ვეპხის ტყაოსანი "),
	"Amharic":          twoHundred("ሰማይ አይታረስ "),
	"Gothic":           twoHundred("𐌼𐌰𐌲 𐌲𐌻𐌴𐍃 "),
	"pictures":         twoHundred("😀🎉"),
}

// surrogate becomes one half of a character in an event's JSON.
const surrogate = "HALF"

func allOf(from, to rune) string {
	var b strings.Builder
	for r := from; r <= to; r++ {
		b.WriteRune(r)
	}
	return b.String()
}

func twoHundred(text string) string {
	return string([]rune(strings.Repeat(text, 200))[:200])
}

var recipients = []string{
	"kim@example.com", "kim@bücher.example", "o'brien+tag@example.com", "jürgen@bücher.example", "ليلى@مثال.example",
	"a!#$%&*-/=?^_`{|}~b@example.com", strings.Repeat("k", 64) + "@" + strings.Repeat("long.", 30) + "example",
}

// outgoing is a message, and what of the corpus it is.
type outgoing struct {
	name string
	template.Message
}

// corpus is each sample of an e-mail, as it is and with nasty values in place of its own, in each language, and each
// nasty value as a whole message, and in the names of files, which come from a URL.
func corpus(t *testing.T, files string) (all []outgoing) {
	for _, source := range library(t) {
		if source.Record.Channel != topology.Email {
			continue
		}
		for i, sample := range source.Samples {
			events := map[string]topology.Event{"as it is": sample.Event}
			if i == 0 {
				for name, value := range nasty {
					free := freeLeaves(source.Compiled, sample.Event, value)
					if len(free) == 0 {
						t.Errorf("%s has no place for %s", sample.File, name)
					}
					events[name] = with(sample.Event, value, free)
				}
			}
			for name, event := range events {
				for _, language := range source.Compiled.Languages.Names {
					at := fmt.Sprintf("%s %s: %s", sample.File, language, name)
					m, err := source.Compiled.Render(&event, language)
					if err != nil {
						t.Errorf("%s: %v", at, err)
						continue
					}
					all = append(all, outgoing{at, m})
				}
			}
		}
	}
	for name, value := range nasty {
		for form, m := range map[string]template.Message{
			"both": {Text: value, HTML: value}, "text": {Text: value}, "html": {HTML: value},
			"long": {Text: strings.Repeat(value+"\n", 8), HTML: "<p>" + value + "</p>"},
		} {
			m.Subject, m.Channel = value, topology.Email
			all = append(all, outgoing{form + ": " + name, m})
		}
	}
	for name, value := range nasty {
		m := template.Message{Channel: topology.Email, Subject: "files", Text: "x", HTML: "<p>x",
			Unsubscribe: template.Unsubscribe{
				URL: "https://bücher.example/å?t=" + strings.Repeat("A", 800), Mailto: "stop@bücher.example"}}
		for _, form := range []string{"%s", "f%s.pdf", "%sx", "f%s"} {
			m.Attachments = append(m.Attachments, template.Attachment{Name: fmt.Sprintf(form, value), URL: files})
		}
		all = append(all, outgoing{"files: " + name, m})
	}
	slices.SortFunc(all, func(a, b outgoing) int { return strings.Compare(a.name, b.name) })
	for i := range all {
		all[i].To = recipients[i%len(recipients)]
	}
	return all
}

// with is an event with a value in place of its data's own at these places, or anywhere.
func with(e topology.Event, value string, places []string) topology.Event {
	var data any
	_ = json.Unmarshal(e.Ctx, &data)
	e.Ctx, _ = json.Marshal(walk(data, "", func(place, own string) string {
		if slices.Contains(places, place) {
			return value
		}
		return own
	}))
	e.Ctx = bytes.ReplaceAll(e.Ctx, []byte(surrogate), []byte(`\ud83d`))
	return e
}

// freeLeaves are the places of an event's data that may have a value: no dates, amounts, or links, and no subject for
// what is too long for one.
func freeLeaves(tmpl *template.Template, e topology.Event, value string) (free []string) {
	var data any
	_ = json.Unmarshal(e.Ctx, &data)
	walk(data, "", func(place, own string) string {
		changed := with(e, value, append(free[:len(free):len(free)], place))
		if _, err := tmpl.Render(&changed, ""); err == nil {
			free = append(free, place)
		}
		return own
	})
	return free
}

// walk is data with its texts changed.
func walk(data any, place string, change func(place, own string) string) any {
	switch data := data.(type) {
	case string:
		return change(place, data)
	case map[string]any:
		for name := range data {
			data[name] = walk(data[name], place+"."+name, change)
		}
	case []any:
		for i := range data {
			data[i] = walk(data[i], fmt.Sprint(place, ".", i), change)
		}
	}
	return data
}

// reading is what a reader gets of a message.
type reading struct {
	Subject, Text, HTML, Unsubscribe string
	To, Files                        []string
	Defects                          []string
}

// pdf is what is in each file.
const pdf = "%PDF-1.7\r\n\x00\xff.\r\n.\r\n"

const sender = "butik@blåbär.example"

// mailbox keeps what a mail server gets.
type mailbox struct {
	mu    sync.Mutex
	texts map[string][]byte // by the message's id
}

func (*mailbox) Reset()                               {}
func (*mailbox) Logout() error                        { return nil }
func (*mailbox) Mail(string, *smtp.MailOptions) error { return nil }
func (*mailbox) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (m *mailbox) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	_, id, _ := bytes.Cut(text, []byte("\r\nMessage-ID: "))
	id, _, _ = bytes.Cut(id, []byte("\r\n"))
	m.mu.Lock()
	defer m.mu.Unlock()
	m.texts[string(id)] = text
	return err
}

// receive sends messages to a mail server, and returns what it got.
func receive(t *testing.T, all []outgoing, key []byte) [][]byte {
	t.Helper()
	box := &mailbox{texts: map[string][]byte{}}
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return box, nil }))
	server.EnableSMTPUTF8 = true
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	defer serving.Wait()
	defer server.Close()
	s, err := provide.New(provide.Config{
		Host: "127.0.0.1", Port: listener.Addr().(*net.TCPAddr).Port, Security: provide.NoTLS, MaxMessages: len(all),
		From: sender, FromName: `Åsa "the" Shop, Ltd. <x>`, ReplyTo: "help@example.com",
		DKIM:        provide.DKIM{Domain: "example.com", Selector: "s1", Key: outbound.Fixed(string(key))},
		Attachments: provide.Attachments{Hosts: []string{"127.0.0.1"}, AllowPrivate: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	texts := make([][]byte, len(all))
	const connections = 4
	var sending sync.WaitGroup
	for first := range connections {
		sending.Go(func() {
			for i := first; i < len(all); i += connections {
				id := topology.EventID(fmt.Sprint("event-", i))
				job := topology.Job{JobID: topology.JobIDOf(id, 0), EventID: id, Channel: topology.Email, To: all[i].To}
				r := s.Send(t.Context(), &job, &all[i].Message)
				box.mu.Lock()
				texts[i] = box.texts[r.MessageID]
				box.mu.Unlock()
				if r.Verdict != provider.Accepted || texts[i] == nil {
					t.Errorf("%s did not come: %+v", all[i].name, r)
				}
			}
		})
	}
	sending.Wait()
	return texts
}

// TestMailAsReceived: what three parsers of other authors read of each message is what was sent, without a defect; a
// verifier of another author takes its signature, also after a relay.
func TestMailAsReceived(t *testing.T) {
	for _, tool := range [][]string{
		{"/usr/bin/python3", "-c", "import dkim"}, {"/usr/bin/perl", "-MEmail::MIME", "-e", "1"},
	} {
		if err := exec.Command(tool[0], tool[1:]...).Run(); err != nil {
			const get = "apt-get install --no-install-recommends python3-dkim libemail-mime-perl"
			if os.Getenv("MEDDELA_TEST_SERVERS") == "required" {
				t.Fatalf("%v does not run: %s", tool, get)
			}
			t.Log("without other parsers of mail: " + get)
			return
		}
	}
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	secret, _ := x509.MarshalPKCS8PrivateKey(private)
	public, _ := x509.MarshalPKIXPublicKey(private.Public())
	served := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/pdf")
		_, _ = io.WriteString(w, pdf)
	}))
	defer served.Close()
	sent := corpus(t, served.URL)
	texts := receive(t, sent, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
	t.Logf("%d messages", len(sent))
	if len(sent) < 1000 || t.Failed() {
		t.FailNow()
	}
	folder := t.TempDir()
	files := make([]string, len(texts))
	ours := make([]reading, len(texts))
	for i, text := range texts {
		files[i] = filepath.Join(folder, fmt.Sprintf("%05d.eml", i))
		if err := os.WriteFile(files[i], text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	record := "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(public)
	var python, perl []reading
	var parsing sync.WaitGroup
	parsing.Go(func() {
		python = readings(t, append([]string{"/usr/bin/python3", "testdata/received.py", record}, files...))
	})
	parsing.Go(func() { perl = readings(t, append([]string{"/usr/bin/perl", "testdata/received.pl"}, files...)) })
	for i, text := range texts {
		ours[i] = readByGo(text)
	}
	parsing.Wait()
	for author, got := range map[string][]reading{"Go": ours, "Python": python, "Perl": perl} {
		if len(got) != len(sent) {
			t.Fatalf("%s read %d of %d", author, len(got), len(sent))
		}
		for i, m := range sent {
			to := address.Wire(m.To)
			if d := got[i].Defects; len(d) > 0 || !slices.Equal(got[i].To, []string{to}) {
				t.Errorf("%s reads of %s: %q to %q", author, m.name, d, got[i].To)
			}
			var names []string
			for _, a := range m.Attachments {
				names = append(names, fileName(a.Name))
			}
			for part, pair := range map[string][2]string{
				"subject":     {got[i].Subject, subject(m.Subject)},
				"files":       {fmt.Sprintf("%q", got[i].Files), fmt.Sprintf("%q", names)},
				"unsubscribe": {got[i].Unsubscribe, wayOut(m.Unsubscribe)},
				"text":        {plain(got[i].Text), plain(m.Text)}, "html": {plain(got[i].HTML), plain(m.HTML)},
			} {
				if pair[0] != pair[1] {
					t.Errorf("%s reads another %s of %s: %s", author, part, m.name, difference(pair[0], pair[1]))
				}
			}
		}
	}
}

// subject is a text as a subject has it.
func subject(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
}

// fileName is a text as the name of a file: without what could lead elsewhere or hide its kind, and not too long.
func fileName(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Bidi_Control, r):
			return -1
		case strings.ContainsRune(`"/\:<>?|`, r):
			return '_'
		}
		return r
	}, subject(text))
	if text = strings.TrimSpace(text); text == "" {
		return "file"
	}
	if len(text) <= 200 {
		return text
	}
	end := filepath.Ext(text)
	end = strings.ToValidUTF8(end[:min(len(end), 50)], "")
	return strings.TrimSpace(strings.ToValidUTF8(text[:200-len(end)], "") + end)
}

// wayOut is the header, and with a URL the other one.
func wayOut(way template.Unsubscribe) string {
	if way.URL == "" {
		return ""
	}
	return "<https://xn--bcher-kva.example/%C3%A5?t=" + strings.Repeat("A", 800) +
		">, <mailto:stop@xn--bcher-kva.example> List-Unsubscribe=One-Click"
}

// plain is a text whose lines all end the same way.
func plain(text string) string {
	return strings.TrimRight(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text), "\n")
}

func difference(got, want string) string {
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	from := max(0, at-20)
	return fmt.Sprintf("at %d of %d %.60q, want of %d %.60q", at, len(got), got[from:], len(want), want[from:])
}

// readings are what a program writes of messages.
func readings(t *testing.T, command []string) (all []reading) {
	t.Helper()
	var said bytes.Buffer
	parse := exec.Command(command[0], command[1:]...)
	parse.Stderr = &said
	out, err := parse.Output()
	if err != nil || said.Len() > 0 {
		t.Errorf("%s: %v\n%s", command[1], err, said.String())
	}
	for line := range bytes.Lines(out) {
		var r reading
		if err := json.Unmarshal(line, &r); err != nil {
			t.Error(err)
		}
		all = append(all, r)
	}
	return all
}

// readByGo reads a message with the standard library, and looks at its lines.
func readByGo(text []byte) (r reading) {
	defect := func(format string, a ...any) { r.Defects = append(r.Defects, fmt.Sprintf(format, a...)) }
	for line := range bytes.SplitSeq(text, []byte("\r\n")) {
		if len(line) > 998 || bytes.ContainsAny(line, "\r\n\x00") {
			defect("a line of %d octets, or with a bare end: %.40q", len(line), line)
		}
		if bytes.Contains(line, []byte("=?utf-8?")) && len(line) > 76 {
			defect("a line with encoded words of %d octets: %.40q", len(line), line)
		}
	}
	m, err := netmail.ReadMessage(bytes.NewReader(text))
	if err != nil {
		defect("%v", err)
		return r
	}
	for _, name := range []string{
		"From", "To", "Reply-To", "Subject", "Date", "Message-Id", "Mime-Version", "Content-Type", "Dkim-Signature",
		"Auto-Submitted",
	} {
		if len(m.Header[name]) != 1 {
			defect("%d of %s", len(m.Header[name]), name)
		}
	}
	if ways := m.Header["List-Unsubscribe"]; len(ways) == 1 {
		r.Unsubscribe = ways[0] + " " + m.Header.Get("List-Unsubscribe-Post")
	}
	if len(m.Header) > 11 && r.Unsubscribe == "" || len(m.Header) > 13 {
		defect("headers %v", m.Header)
	}
	if _, err := m.Header.Date(); err != nil {
		defect("date: %v", err)
	}
	if from, err := m.Header.AddressList("From"); err != nil || len(from) != 1 || from[0].Name !=
		`Åsa "the" Shop, Ltd. <x>` || from[0].Address != address.Wire(sender) {
		defect("from %v: %v", from, err)
	}
	to, err := m.Header.AddressList("To")
	if err != nil {
		defect("to: %v", err)
	}
	for _, a := range to {
		r.To = append(r.To, a.Address)
	}
	if r.Subject, err = new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject")); err != nil {
		defect("subject: %v", err)
	}
	if err := r.part(textproto.MIMEHeader(m.Header), m.Body); err != nil {
		defect("%v", err)
	}
	return r
}

// part reads one part of a message and those in it.
func (r *reading) part(header textproto.MIMEHeader, body io.Reader) error {
	kind, parameters, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		return err
	}
	if strings.HasPrefix(kind, "multipart/") {
		parts := multipart.NewReader(body, parameters["boundary"])
		for {
			p, err := parts.NextRawPart()
			if err == io.EOF {
				return nil
			}
			if err == nil {
				err = r.part(p.Header, p)
			}
			if err != nil {
				return err
			}
		}
	}
	switch encoding := header.Get("Content-Transfer-Encoding"); encoding {
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	default:
		return fmt.Errorf("encoding %q", encoding)
	}
	disposition, ofFile, err := mime.ParseMediaType(header.Get("Content-Disposition"))
	if disposition == "attachment" {
		content, wrong := io.ReadAll(body)
		if kind != "application/pdf" || string(content) != pdf {
			return fmt.Errorf("a file of type %s has %q", kind, content)
		}
		r.Files = append(r.Files, ofFile["filename"])
		return errors.Join(err, wrong)
	}
	to := map[string]*string{"text/plain": &r.Text, "text/html": &r.HTML}[kind]
	if to == nil || *to != "" || !strings.EqualFold(parameters["charset"], "utf-8") {
		return fmt.Errorf("a part is of type %s, of %v", kind, parameters)
	}
	content, err := io.ReadAll(body)
	*to = string(content)
	return err
}
