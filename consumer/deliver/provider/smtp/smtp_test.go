package smtp

import (
	"crypto/tls"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/outbound"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/test/fixtures"
	"github.com/meddela/meddela/topology"
)

// TestMail: what arrives is what was meant, and says what a message of a
// machine says.
func TestMail(t *testing.T) {
	m := newMailServer(t, nil)
	s := newSMTP(t, m.port, func(c *Config) { c.ReplyTo = "help@example.com" })
	response := s.try(t, "event")
	if response.Verdict != provider.Accepted {
		t.Fatal(response)
	}
	got := m.all()[0]
	if got.from != "shop@example.com" || got.to != "kim@example.com" || got.utf8 {
		t.Errorf("envelope %+v", got)
	}
	parsed, err := mail.ReadMessage(strings.NewReader(got.text))
	if err != nil {
		t.Fatal(err)
	}
	wantID := "<" + string(topology.JobIDOf("event", 0)) + "@example.com>"
	for header, want := range map[string]string{
		"From": `"The Shop" <shop@example.com>`, "To": "<kim@example.com>", "Reply-To": "<help@example.com>",
		"Message-Id": wantID, "Auto-Submitted": "auto-generated", "Mime-Version": "1.0", "User-Agent": "", "X-Mailer": "",
	} {
		if got := parsed.Header.Get(header); got != want || len(parsed.Header[header]) > 1 {
			t.Errorf("%s: %q, want %q", header, got, want)
		}
	}
	if response.MessageID != wantID {
		t.Errorf("the provider's message id is %s", response.MessageID)
	}
	subject, _ := new(mime.WordDecoder).DecodeHeader(parsed.Header.Get("Subject"))
	if subject != "Tack för din beställning" {
		t.Errorf("subject %q", subject)
	}
	if date, err := parsed.Header.Date(); err != nil || time.Since(date) > time.Minute {
		t.Errorf("date %v, %v", date, err)
	}
	parts := partsOf(t, parsed)
	if parts["text/plain"] != "Hej Kim!\r\n.\r\nHälsningar" || parts["text/html"] != "<p>Hej Kim!</p>" || len(parts) != 2 {
		t.Errorf("parts %q", parts)
	}
}

// partsOf decodes a message's bodies by their types.
func partsOf(t *testing.T, m *mail.Message) map[string]string {
	t.Helper()
	parts := make(map[string]string)
	read := func(contentType, encoding string, body io.Reader) {
		if encoding == "quoted-printable" {
			body = quotedprintable.NewReader(body)
		}
		text, err := io.ReadAll(body)
		if err != nil {
			t.Fatal(err)
		}
		kind, _, _ := mime.ParseMediaType(contentType)
		parts[kind] = strings.TrimRight(string(text), "\r\n")
	}
	kind, parameters, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	if kind != "multipart/alternative" {
		read(m.Header.Get("Content-Type"), m.Header.Get("Content-Transfer-Encoding"), m.Body)
		return parts
	}
	for reader := multipart.NewReader(m.Body, parameters["boundary"]); ; {
		part, err := reader.NextRawPart()
		if err == io.EOF {
			return parts
		}
		if err != nil {
			t.Fatal(err)
		}
		read(part.Header.Get("Content-Type"), part.Header.Get("Content-Transfer-Encoding"), part)
	}
}

// TestOneBody: a message of one form is no alternative of two.
func TestOneBody(t *testing.T) {
	m := newMailServer(t, nil)
	s := newSMTP(t, m.port, nil)
	for kind, body := range map[string]template.Message{
		"text/plain": {Text: "only text"}, "text/html": {HTML: "<p>only HTML</p>"},
	} {
		job, _ := aMail("event")
		body.To, body.Channel, body.Subject = job.To, topology.Email, "s"
		if r := s.Send(t.Context(), job, &body); r.Verdict != provider.Accepted {
			t.Fatal(r)
		}
		all := m.all()
		parsed, err := mail.ReadMessage(strings.NewReader(all[len(all)-1].text))
		if err != nil {
			t.Fatal(err)
		}
		if parts := partsOf(t, parsed); len(parts) != 1 || parts[kind] != body.Text+body.HTML {
			t.Errorf("%s: %q", kind, parts)
		}
	}
}

// TestInjection: nothing that an event or a template says becomes a header, a
// recipient or a command.
func TestInjection(t *testing.T) {
	m := newMailServer(t, nil)
	s := newSMTP(t, m.port, nil)
	job, mail := aMail("event")
	mail.Subject = "Hi\r\nBcc: all@example.com\r\n\r\nbody\x00\x1b"
	mail.Text = "x\r\n.\r\nMAIL FROM:<evil@example.com>\r\n.\n"
	if r := s.Send(t.Context(), job, mail); r.Verdict != provider.Accepted {
		t.Fatal(r)
	}
	if all := m.all(); len(all) != 1 || strings.Contains(all[0].text, "\nBcc:") ||
		strings.Contains(all[0].text, "\nbody") {
		t.Errorf("%d messages, %s", len(all), all[0].text)
	}
	for _, address := range []string{
		"kim@example.com\r\nRCPT TO:<all@example.com>", "kim@example.com> NOTIFY=NEVER <x@example.com",
		"kim@example.com, all@example.com", "Kim <kim@example.com>", `"kim> x"@example.com`, "", "kim", "@example.com",
		"kim@",
	} {
		mail.To = address
		if r := s.Send(t.Context(), job, mail); r.Verdict != provider.Skipped || r.Reason != topology.ReasonInvalidAddress {
			t.Errorf("%q: %v", address, r)
		}
	}
	if len(m.all()) != 1 {
		t.Error("a message was sent to a smuggled address")
	}
}

// TestReuse: connections are used again, no more of them than messages at a
// time, and closed when idle or worn.
func TestReuse(t *testing.T) {
	d := newDialogue(t, map[string]string{})
	s := newSMTP(t, d.port, func(c *Config) { c.Concurrency, c.MaxMessages, c.IdleTimeout = 3, 4, 300*time.Millisecond })
	ids := make(chan string)
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			for id := range ids {
				if r := s.try(t, id); r.Verdict != provider.Accepted {
					t.Errorf("%v", r)
				}
			}
		})
	}
	for _, id := range manyMails(24) {
		ids <- id
	}
	close(ids)
	all.Wait()
	if d.connections < 6 || d.connections > 8 {
		t.Errorf("%d connections for 24 messages of 4 a connection", d.connections)
	}
	fixtures.Eventually(t, "idle connections are closed", func() bool {
		return s.idle.size() == 0 &&
			d.count("QUIT") == d.connections
	})
	for i, text := range d.texts {
		if strings.Count(text, "Message-ID:") != 1 {
			t.Errorf("message %d has no Message-ID of its own", i)
		}
	}
}

var secret = outbound.Fixed("secret")

func TestEncryption(t *testing.T) {
	server, client := certificate(t)
	old, expiredClient := certificateUntil(t, time.Now().Add(-time.Hour))
	expired := newMailServer(t, func(s *smtp.Server, _ *mailServer) { s.TLSConfig = old })
	starttls := newMailServer(t, func(s *smtp.Server, m *mailServer) {
		s.TLSConfig = server
		m.users = map[string]string{"shop": "secret"}
	})
	plain := newMailServer(t, func(_ *smtp.Server, m *mailServer) { m.users = map[string]string{"shop": "secret"} })
	open := newMailServer(t, func(s *smtp.Server, m *mailServer) {
		s.AllowInsecureAuth = true
		m.users = map[string]string{"shop": "secret"}
	})
	for _, test := range []struct {
		name      string
		port      int
		change    func(*Config)
		verdict   provider.Verdict
		detail    string
		encrypted bool
		login     string
	}{
		{"STARTTLS", starttls.port, func(c *Config) { c.Security = StartTLS }, provider.Accepted, "", true, ""},
		{"STARTTLS, if offered", starttls.port, func(c *Config) { c.Security = StartTLSIfOffered }, provider.Accepted, "",
			true, ""},
		{"no STARTTLS", plain.port, func(c *Config) { c.Security = StartTLS }, provider.Down, "does not offer STARTTLS",
			false, ""},
		{"no STARTTLS, but it need not", plain.port, func(c *Config) { c.Security = StartTLSIfOffered }, provider.Accepted,
			"", false, ""},
		{"a certificate that nobody signed", starttls.port, func(c *Config) { c.Security, c.TLS = StartTLS, nil },
			provider.Down, "authority", false, ""},
		{"a certificate for another", starttls.port, func(c *Config) {
			other := client.Clone()
			other.ServerName = "mx.example.test"
			c.Security, c.TLS = StartTLS, always(other)
		}, provider.Down, "not for the name mx.example.test", false, ""},
		{"a certificate that has expired", expired.port, func(c *Config) {
			c.Security, c.TLS = StartTLS, always(expiredClient)
		}, provider.Down, "has expired", false, ""},
		{"a server of another name", starttls.port, func(c *Config) {
			c.Security, c.Host, c.ServerName = StartTLS, "localhost", "127.0.0.1"
		}, provider.Accepted, "", true, ""},
		{"a server of another name, and nothing said", starttls.port, func(c *Config) {
			c.Security, c.Host = StartTLS, "localhost"
		}, provider.Down, "not for the name localhost", false, ""},
		{"login", starttls.port, func(c *Config) { c.Security, c.Username, c.Password = StartTLS, "shop", secret },
			provider.Accepted, "", true, "PLAIN shop"},
		{"LOGIN", starttls.port, func(c *Config) {
			c.Security, c.Username, c.Password, c.Mechanism = StartTLS, "shop", secret, "LOGIN"
		}, provider.Accepted, "", true, "LOGIN shop"},
		{"a wrong password", starttls.port, func(c *Config) {
			c.Security, c.Username, c.Password = StartTLS, "shop",
				outbound.Fixed("wrong")
		}, provider.Down, "authenticating", false, ""},
		{"another mechanism", starttls.port, func(c *Config) {
			c.Security, c.Username, c.Password, c.Mechanism = StartTLS, "shop", secret, "SCRAM-SHA-256"
		}, provider.Down, "does not offer the authentication", false, ""},
		{"login on this machine", open.port, func(c *Config) { c.Username, c.Password = "shop", secret }, provider.Accepted,
			"", false, "PLAIN shop"},
		{"no login offered", plain.port, func(c *Config) { c.Username, c.Password = "shop", secret }, provider.Down,
			"does not offer the authentication", false, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSMTP(t, test.port, func(c *Config) { c.TLS = always(client); test.change(c) })
			r := s.try(t, "event")
			if r.Verdict != test.verdict || !strings.Contains(r.Detail, test.detail) {
				t.Errorf("%v %q", r.Verdict, r.Detail)
			}
			if strings.Contains(r.Detail, "secret") || strings.Contains(r.Detail, "wrong") {
				t.Errorf("the detail holds the password: %s", r.Detail)
			}
			for _, server := range []*mailServer{starttls, plain, open} {
				if server.port == test.port && test.verdict == provider.Accepted {
					all := server.all()
					if got := all[len(all)-1].encrypted; got != test.encrypted {
						t.Errorf("encrypted: %v", got)
					}
					if test.login != "" && server.logins[len(server.logins)-1] != test.login {
						t.Errorf("logins %v", server.logins)
					}
				}
			}
		})
	}
}

func TestImplicitTLS(t *testing.T) {
	server, client := certificate(t)
	m := newMailServer(t, nil)
	proxy := tlsInFront(t, server, m.port)
	s := newSMTP(t, proxy, func(c *Config) { c.Security, c.TLS = ImplicitTLS, always(client) })
	if r := s.try(t, "event"); r.Verdict != provider.Accepted {
		t.Errorf("%v", r)
	}
	s = newSMTP(t, m.port, func(c *Config) { c.Security, c.TLS = ImplicitTLS, always(client) })
	if r := s.try(t, "event"); r.Verdict != provider.Down || !strings.Contains(r.Detail, "say tls: starttls") {
		t.Errorf("%v", r)
	}
}

// TestInternationalAddresses need a server that takes them.
func TestInternationalAddresses(t *testing.T) {
	old := newMailServer(t, nil)
	young := newMailServer(t, func(s *smtp.Server, _ *mailServer) { s.EnableSMTPUTF8 = true })
	job, mail := aMail("event")
	mail.To = "kåre@exämple.se"
	s := newSMTP(t, old.port, nil)
	if r := s.Send(t.Context(), job, mail); r.Verdict != provider.Skipped || r.Reason != topology.ReasonInvalidAddress ||
		!strings.Contains(r.Detail, "outside ASCII") {
		t.Errorf("%v", r)
	}
	if s.idle.size() != 1 {
		t.Error("the connection was dropped")
	}
	s = newSMTP(t, young.port, nil)
	if r := s.Send(t.Context(), job, mail); r.Verdict != provider.Accepted || young.all()[0].to != mail.To ||
		!young.all()[0].utf8 {
		t.Errorf("%v, %+v", r, young.all())
	}
	if r := s.try(t, "ascii"); r.Verdict != provider.Accepted || young.all()[1].utf8 {
		t.Errorf("%v, %+v", r, young.all())
	}
}

func TestConfig(t *testing.T) {
	good := Config{Host: "mx.example.test", From: "shop@example.com"}
	if s, err := New(good); err != nil || s.config.Addr() != "mx.example.test:587" || s.Concurrency() != 8 ||
		s.Name() != "smtp" {
		t.Errorf("%v, %v", s, err)
	}
	for want, change := range map[string]func(*Config){
		"no host":           func(c *Config) { c.Host = "" },
		"unknown security":  func(c *Config) { c.Security = "ssl" },
		"is no port":        func(c *Config) { c.Port = 70000 },
		"greater than 0":    func(c *Config) { c.Concurrency = -1 },
		"the sender":        func(c *Config) { c.From = "Shop <shop@example.com>" },
		"reply-to":          func(c *Config) { c.ReplyTo = "x\r\n@example.com" },
		"control":           func(c *Config) { c.FromName = "a\nb" },
		"its header From":   func(c *Config) { c.FromName = strings.Repeat("a", 1200) },
		"a full name":       func(c *Config) { c.Hello = "mail.example.com\r\nQUIT" },
		"such as [192":      func(c *Config) { c.Hello = "my host" },
		"need encryption":   func(c *Config) { c.Security, c.Username = NoTLS, "shop" },
		"unknown mechanism": func(c *Config) { c.Mechanism = "NTLM" },
	} {
		c := good
		change(&c)
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// tlsInFront passes what comes encrypted on to a port.
func tlsInFront(t *testing.T, config *tls.Config, port int) int {
	t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	return forward(t, listener, port)
}

// TestHello: the name given is the configured one, a full one, or an address in brackets.
func TestHello(t *testing.T) {
	for name, want := range map[string]string{
		"mail.example.com": "mail.example.com", "mail.example.com.": "mail.example.com", "messages-realtime-deliver-7c9d": "",
		"localhost": "", "pod.svc.cluster.local": "", "ip-10-0-0-1.ec2.internal": "", "a_b.example.com": "", "": "",
		"-a.example.com": "", "localhost.localdomain": "",
	} {
		if got := fullName(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	for local, want := range map[string]string{
		"192.0.2.1:5025": "[192.0.2.1]", "[2001:db8::1]:5025": "[IPv6:2001:db8::1]", "[::ffff:192.0.2.1]:1": "[192.0.2.1]",
		"[fe80::1%eth0]:25": "[IPv6:fe80::1]",
	} {
		if got := new(Provider).hello(addr(local)); got != want {
			t.Errorf("%s: %s, want %s", local, got, want)
		}
	}
	d := newDialogue(t, nil)
	s := newSMTP(t, d.port, nil)
	s.config.Hello = ""
	if r := s.try(t, "event"); r.Verdict != provider.Accepted || d.count("EHLO [127.0.0.1]") != 1 {
		t.Errorf("%+v: %q", r, d.heard)
	}
}

type addr string

func (addr) Network() string  { return "tcp" }
func (a addr) String() string { return string(a) }

// TestMessagesOfASession: a server that takes so many of a connection gets the next by another, in the same try.
func TestMessagesOfASession(t *testing.T) {
	for _, pipelining := range []string{"250 mx", pipelines} {
		for _, stage := range []string{"MAIL", "RCPT", "DATA"} {
			for _, answer := range []string{
				"421 4.7.0 too many messages", "451 4.7.0 Too many messages in this session",
				"554 Connection message limit reached", "550 5.7.1 Too many messages in one connection", hangUp,
			} {
				d := newDialogue(t, map[string]string{"EHLO": pipelining})
				d.most, d.over = 2, map[string]string{stage: answer}
				s := newSMTP(t, d.port, nil)
				for _, id := range manyMails(7) {
					if r := s.try(t, id); r.Verdict != provider.Accepted {
						t.Errorf("%s %s: %+v", stage, answer, r)
					}
				}
				if n := strings.Count(strings.Join(d.taken(), ""), "Message-ID:"); d.met() != 4 || n != 7 {
					t.Errorf("%s %s: %d connections, %d messages", stage, answer, d.met(), n)
				}
				d = newDialogue(t, map[string]string{"EHLO": pipelining, stage: answer})
				r := newSMTP(t, d.port, nil).try(t, "another")
				if r.Verdict != provider.Down && r.Verdict != provider.Failed || d.met() > 1 {
					t.Errorf("%s %s: on a new connection: %+v, %d connections", stage, answer, r, d.met())
				}
			}
		}
	}
}

// TestSessionsThatEndAtOnce: while several messages at a time go over kept connections, each of which the server ends
// somewhere, none is lost and none is there twice: one that was not refused at its end needs no other try.
func TestSessionsThatEndAtOnce(t *testing.T) {
	for _, pipelining := range []string{"250 mx", pipelines} {
		for _, stage := range []string{"RSET", "MAIL", "RCPT", "DATA", "END"} {
			d := newDialogue(t, map[string]string{"EHLO": pipelining})
			d.most, d.over = 3, map[string]string{stage: "421 4.7.0 closing"}
			s := newSMTP(t, d.port, nil)
			ids, tries := make(chan string), atomic.Int64{}
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					for id := range ids {
						for {
							tries.Add(1)
							if r := s.try(t, id); r.Verdict == provider.Accepted {
								break
							} else if r.Verdict != provider.Failed || stage != "END" {
								t.Errorf("%s: %+v", stage, r)
								break
							}
						}
					}
				})
			}
			for _, id := range manyMails(100) {
				ids <- id
			}
			close(ids)
			all.Wait()
			d.mu.Lock()
			accepted := strings.Join(d.accepted, "")
			d.mu.Unlock()
			for _, id := range manyMails(100) {
				if n := strings.Count(accepted, "Message-ID: <"+string(topology.JobIDOf(topology.EventID(id), 0))); n != 1 {
					t.Errorf("%s: %d copies of %s", stage, n, id)
				}
			}
			if n := d.met(); n < 25 || tries.Load() > 140 {
				t.Errorf("%s: %d connections, %d tries for 100 messages of 3 a connection", stage, n, tries.Load())
			}
		}
	}
}

// TestSubjectsAndEndsOfLines: a subject is read as it is, also where it could be read as another, from a line that is
// empty; and each way to end a line ends one.
func TestSubjectsAndEndsOfLines(t *testing.T) {
	d := newDialogue(t, nil)
	s := newSMTP(t, d.port, nil)
	for _, subject := range []string{
		"", " ", "  a   b ", "a" + strings.Repeat(" ", 300) + "b", "=?utf-8?q?=0d=0aBcc:_eve@example.com?=", "a =?x?=",
		strings.Repeat("a", 66), strings.Repeat("a", 67), strings.Repeat("å", 200), "å" + strings.Repeat(" å", 40),
		strings.Repeat("a:", 33) + " b", "Re: " + strings.Repeat("0123456: ", 30) + "x",
	} {
		job, m := aMail("event")
		m.Subject, m.Text, m.HTML = subject, "a\rb\nc\r\nd\n\re\r\rf", ""
		if r := s.Send(t.Context(), job, m); r.Verdict != provider.Accepted {
			t.Fatalf("%+v", r)
		}
		taken := d.taken()
		text := taken[len(taken)-1]
		read, err := mail.ReadMessage(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		got, err := new(mime.WordDecoder).DecodeHeader(read.Header.Get("Subject"))
		if err != nil || got != subject || strings.Contains(text, "Subject:\r\n") {
			t.Errorf("%q is read as %q, %v, of\n%s", subject, got, err, text)
		}
		if !strings.HasSuffix(text, "\r\n\r\na\r\nb\r\nc\r\nd\r\n\r\ne\r\n\r\nf\r\n") {
			t.Errorf("lines end otherwise: %q", text)
		}
	}
}
