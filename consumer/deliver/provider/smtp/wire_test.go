package smtp

import (
	"crypto/sha256"
	"fmt"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"strings"
	"testing"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

// TestOnTheWire: what is long or outside ASCII is written as the RFCs have it: short lines, no raw letters in headers,
// an id of one line, names by RFC 2231, links by RFC 3986.
func TestOnTheWire(t *testing.T) {
	files := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("%PDF"))
	}))
	defer files.Close()
	domain := strings.Repeat(strings.Repeat("d", 55)+".", 4) + "example"
	for subject, name := range map[string]string{
		strings.Repeat("a", 998): "Übersicht Jänner.pdf", "plain": `a"b/c.pdf`,
		"Tack för " + strings.Repeat("å", 400): strings.Repeat("ö", 300) + ".pdf",
	} {
		d := newDialogue(t, nil)
		s := newSMTP(t, d.port, func(c *Config) {
			c.From, c.FromName = "shop@"+domain, "Åsas butik"
			c.Attachments.Hosts, c.Attachments.AllowPrivate = []string{"127.0.0.1"}, true
		})
		job, m := aMail("event")
		m.Subject, m.To = subject, "\u200ekim@bücher.example\u00a0"
		m.Unsubscribe = template.Unsubscribe{
			URL: "https://bücher.example/Åsa?t=" + strings.Repeat("A", 800), Mailto: "stop@bücher.example",
		}
		m.Attachments = []template.Attachment{{Name: name, URL: files.URL + "/a.pdf"}}
		if r := s.Send(t.Context(), job, m); r.Verdict != provider.Accepted ||
			d.count("RCPT TO:<kim@xn--bcher-kva.example>") != 1 || d.count("MAIL FROM:<shop@"+domain+"> SMTPUTF8") != 0 {
			t.Fatalf("%+v, heard %q", r, d.heard)
		}
		text := d.taken()[0]
		for line := range strings.SplitSeq(text, "\r\n") {
			if len(line) > 998 || strings.ContainsFunc(line, func(r rune) bool { return r > '~' }) {
				t.Errorf("a line of %d: %q", len(line), line)
			}
		}
		parsed, err := mail.ReadMessage(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := new(mime.WordDecoder).DecodeHeader(parsed.Header.Get("Subject")); err != nil || got != subject {
			t.Errorf("subject %q, %v", got, err)
		}
		if !strings.Contains(text, "\r\nMessage-ID: <") || parsed.Header.Get("To") != "<kim@xn--bcher-kva.example>" {
			t.Errorf("headers %v", parsed.Header)
		}
		want := "<https://xn--bcher-kva.example/%C3%85sa?t=" + strings.Repeat("A", 800) +
			">, <mailto:stop@xn--bcher-kva.example>"
		if got := parsed.Header.Get("List-Unsubscribe"); got != want {
			t.Errorf("List-Unsubscribe: %s", got)
		}
		_, at, _ := strings.Cut(text, "Content-Disposition: ")
		at, _, _ = strings.Cut(at, "\r\n")
		wantName := strings.NewReplacer(`"`, "_", "/", "_").Replace(name)
		if len(wantName) > 200 {
			wantName = strings.Repeat("ö", 98) + ".pdf"
		}
		kind, parameters, err := mime.ParseMediaType(at)
		if err != nil || kind != "attachment" || parameters["filename"] != wantName || strings.Contains(at, "=?") {
			t.Errorf("%s: %v %v", at, parameters, err)
		}
	}
}

// TestNamesOutsideASCII: domains that configuration has are written as DNS has them, also in a signature and an id; a
// sender that a server cannot be told is the set-up's fault, and not the recipient's.
func TestNamesOutsideASCII(t *testing.T) {
	key, _ := signingKey(t, ed25519Key(t))
	for _, test := range []struct {
		from, extension string
		want            provider.Verdict
	}{
		{"shop@blåbär.example", "SIZE", provider.Accepted}, {"shop@blåbär.example", "SMTPUTF8", provider.Accepted},
		{"åsa@blåbär.example", "SIZE", provider.Down}, {"åsa@blåbär.example", "SMTPUTF8", provider.Accepted},
	} {
		d := newDialogue(t, map[string]string{"EHLO": "250-mx.example.test\r\n250 " + test.extension})
		s := newSMTP(t, d.port, func(c *Config) {
			c.From, c.Bounces, c.Hello, c.ServerName = test.from, "bücher.example", "mx.bücher.example", "bücher.example"
			c.DKIM = DKIM{Domain: "blåbär.example", Selector: "s1", Key: key}
			if test.from[0] == 's' {
				c.Ref = func(*topology.Job, string) string { return "ref" }
			}
		})
		r := s.try(t, "event")
		if r.Verdict != test.want || s.config.ServerName != "xn--bcher-kva.example" || s.idle.size() != 1 {
			t.Fatalf("%+v: %+v, %s", test, r, s.config.ServerName)
		}
		if test.want == provider.Down {
			if !strings.Contains(r.Detail, "from") {
				t.Errorf("%+v", r)
			}
			continue
		}
		if d.count("EHLO mx.xn--bcher-kva.example") != 1 || s.config.Ref != nil &&
			d.count("MAIL FROM:<ref@xn--bcher-kva.example>") != 1 {
			t.Errorf("heard %q", d.heard)
		}
		text := d.taken()[0]
		if !strings.Contains(text, "d=xn--blbr-noae.example;") ||
			!strings.HasSuffix(r.MessageID, "@xn--blbr-noae.example>") ||
			!strings.Contains(text, "Message-ID: "+r.MessageID+"\r\n") {
			t.Errorf("%s\n%s", r.MessageID, text)
		}
	}
}

// TestSize: what is larger than a server takes is not begun, and told.
func TestSize(t *testing.T) {
	for size, want := range map[string]provider.Verdict{
		"SIZE 600": provider.Rejected, "SIZE 100000": provider.Accepted, "SIZE 0": provider.Accepted,
		"SIZE": provider.Accepted, "SIZE many": provider.Accepted,
	} {
		d := newDialogue(t, map[string]string{"EHLO": "250-mx.example.test\r\n250 " + size})
		s := newSMTP(t, d.port, nil)
		r := s.try(t, "event")
		if r.Verdict != want || (d.count("MAIL") == 1) != (want == provider.Accepted) || s.idle.size() != 1 ||
			want == provider.Rejected && !strings.Contains(r.Detail, "larger") {
			t.Errorf("%s: %+v, heard %q", size, r, d.heard)
		}
	}
}

// TestMessageIDs are dot-atoms of RFC 5322 of a length that fits, whatever a job's id is, and differ as that does.
func TestMessageIDs(t *testing.T) {
	long := strings.Repeat("a", 200)
	for id, kept := range map[string]bool{
		"0123abc": true, "a.b-c_d": true, "//shop#1": true, long: true,
		long + "a": false, long + "b": false, "a:b": false, "a..b": false, ".a": false, "a.": false,
		"a@b": false, "a b": false, "a>\r\nBcc: x": false, "a\n": false, "ö": false, "": false,
	} {
		got := messageID(topology.JobID(id), "example.com")
		hash := fmt.Sprintf("<%x@example.com>", sha256.Sum256([]byte(id)))
		if want := "<" + id + "@example.com>"; kept && got != want || !kept && got != hash {
			t.Errorf("%q: %s", id, got)
		}
	}
}

// TestALineThatIsTooLong is a fault that has a name.
func TestALineThatIsTooLong(t *testing.T) {
	d := newDialogue(t, nil)
	job, m := aMail("event")
	m.Unsubscribe.URL = "https://shop.example.com/u?t=" + strings.Repeat("A", 1100)
	if r := newSMTP(t, d.port, nil).Send(t.Context(), job, m); r.Verdict != provider.Rejected ||
		!strings.Contains(r.Detail, "998") || !strings.Contains(r.Detail, "List-Unsubscribe") || len(d.taken()) != 0 {
		t.Errorf("%+v", r)
	}
	m.Unsubscribe.URL = ""
	_, err := newSMTP(t, d.port, nil).compose("<"+strings.Repeat("a", 1000)+"@example.com>", "kim@example.com", m, nil)
	if err == nil || !strings.Contains(unwritable(err), "Message-ID") || strings.Contains(unwritable(err), "nsubscribe") {
		t.Error(err)
	}
}
