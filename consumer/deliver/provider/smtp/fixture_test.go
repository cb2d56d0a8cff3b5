package smtp

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"go.uber.org/goleak"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What a dialogue's script may say instead of a reply.
const (
	hangUp   = "hang up"
	saysNone = "say nothing"
	saysLate = "say it later" // when the test does
)

// dialogue is a mail server that answers every command by a script.
type dialogue struct {
	script map[string]string // by verb, or by whole line; "GREETING", "TEXT" (hang up within it) and "END" besides
	port   int
	over   map[string]string // what it says instead when a connection has had the most messages
	most   int

	mu          sync.Mutex
	connections int
	heard       []string
	texts       []string
	accepted    []string // of the texts
	release     chan struct{}
	later       chan string
	silent      func() // is called where it says nothing
}

var usualReplies = map[string]string{
	"GREETING": "220 mx.example.test ESMTP", "EHLO": "250-mx.example.test\r\n250 ENHANCEDSTATUSCODES",
	"MAIL": "250 2.1.0 Ok", "RCPT": "250 2.1.5 Ok", "DATA": "354 go on", "END": "250 2.0.0 queued",
	"RSET": "250 2.0.0 Ok", "QUIT": "221 2.0.0 bye",
}

func newDialogue(t *testing.T, script map[string]string) *dialogue {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &dialogue{script: script, port: listener.Addr().(*net.TCPAddr).Port, release: make(chan struct{}),
		later:  make(chan string),
		silent: func() {}}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() { d.talk(conn) })
		}
	})
	t.Cleanup(func() {
		close(d.release)
		_ = listener.Close()
		all.Wait()
	})
	return d
}

func (d *dialogue) talk(conn net.Conn) {
	defer conn.Close()
	d.mu.Lock()
	d.connections++
	d.mu.Unlock()
	if _, ok := d.reply(conn, "GREETING"); !ok {
		return
	}
	messages := 0
	answers := func(verb, text string) (string, bool) {
		word := d.word(verb)
		if over := d.over[verb]; over != "" && messages >= d.most {
			word = over
		}
		if text != "" && strings.HasPrefix(word, "250 ") {
			d.mu.Lock()
			d.accepted = append(d.accepted, text)
			d.mu.Unlock()
		}
		return d.utter(conn, verb, word)
	}
	lines := bufio.NewReader(conn)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		verb, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		d.mu.Lock()
		d.heard = append(d.heard, strings.TrimSpace(line))
		if whole := strings.TrimRight(line, "\r\n"); d.script[whole] != "" {
			verb = whole
		}
		d.mu.Unlock()
		word, ok := answers(verb, "")
		if !ok || verb == "DATA" && strings.HasPrefix(word, "354") && !d.read(lines, answers) {
			return
		}
		if verb == "DATA" {
			messages++
		}
	}
}

func (d *dialogue) read(lines *bufio.Reader, answers func(verb, text string) (string, bool)) bool {
	var text strings.Builder
	for {
		line, err := lines.ReadString('\n')
		if err != nil || d.word("TEXT") == hangUp {
			return false
		}
		if line == ".\r\n" {
			break
		}
		text.WriteString(line)
	}
	d.mu.Lock()
	d.texts = append(d.texts, text.String())
	d.mu.Unlock()
	_, ok := answers("END", text.String())
	return ok
}

func (d *dialogue) word(verb string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if word, ok := d.script[verb]; ok {
		return word
	}
	if word, ok := usualReplies[verb]; ok {
		return word
	}
	return "500 5.5.1 what?"
}

// taken are the messages until now.
func (d *dialogue) taken() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.texts)
}

// met is how many connections there were until now.
func (d *dialogue) met() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.connections
}

func (d *dialogue) say(verb, word string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.script[verb] = word
}

// reply answers a verb; ok reports whether the connection goes on.
func (d *dialogue) reply(conn net.Conn, verb string) (word string, ok bool) {
	return d.utter(conn, verb, d.word(verb))
}

func (d *dialogue) utter(conn net.Conn, verb, word string) (string, bool) {
	switch word {
	case hangUp:
		return word, false
	case saysLate:
		for {
			select {
			case word = <-d.later:
				if word == hangUp {
					return word, false
				}
				if _, err := io.WriteString(conn, word+"\r\n"); err != nil || word[3] != '-' {
					return word, err == nil
				}
			case <-d.release:
				return word, false
			}
		}
	case saysNone:
		d.mu.Lock()
		silent := d.silent
		d.mu.Unlock()
		silent()
		<-d.release
		return word, false
	default:
		_, err := io.WriteString(conn, word+"\r\n")
		return word, err == nil && !strings.HasPrefix(word, "421") && verb != "QUIT"
	}
}

func (d *dialogue) count(verb string) (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, line := range d.heard {
		if strings.HasPrefix(line, verb) {
			n++
		}
	}
	return n
}

// mailServer is a real server's protocol around a mailbox.
type mailServer struct {
	port int

	mu       sync.Mutex
	messages []received
	users    map[string]string
	logins   []string
}

type received struct {
	from, to, text string
	utf8           bool
	encrypted      bool
}

type mailSession struct {
	server *mailServer
	conn   *smtp.Conn
	now    received
}

func (s *mailSession) Reset()        { s.now = received{} }
func (s *mailSession) Logout() error { return nil }

func (s *mailSession) Mail(from string, o *smtp.MailOptions) error {
	_, encrypted := s.conn.TLSConnectionState()
	s.now = received{from: from, utf8: o.UTF8, encrypted: encrypted}
	return nil
}

func (s *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.now.to = to
	if strings.HasPrefix(to, "nobody@") {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "<" + to + "> no such user"}
	}
	return nil
}

func (s *mailSession) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.now.text = string(text)
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	s.server.messages = append(s.server.messages, s.now)
	return nil
}

func (s *mailSession) AuthMechanisms() []string {
	if s.server.users == nil {
		return nil
	}
	return []string{sasl.Plain, sasl.Login}
}

func (s *mailSession) Auth(mechanism string) (sasl.Server, error) {
	check := func(user, password string) error {
		if s.server.users[user] != password || password == "" {
			return errors.New("no")
		}
		s.server.mu.Lock()
		defer s.server.mu.Unlock()
		s.server.logins = append(s.server.logins, mechanism+" "+user)
		return nil
	}
	if mechanism == sasl.Login {
		return &loginServer{check: check}, nil
	}
	return sasl.NewPlainServer(func(_, user, password string) error { return check(user, password) }), nil
}

func newMailServer(t *testing.T, change func(*smtp.Server, *mailServer)) *mailServer {
	t.Helper()
	m := &mailServer{}
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &mailSession{server: m, conn: c}, nil
	}))
	server.Domain = "mx.example.test"
	server.ErrorLog = silent{}
	if change != nil {
		change(server, m)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m.port = listener.Addr().(*net.TCPAddr).Port
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close(); <-done })
	return m
}

type silent struct{}

func (silent) Printf(string, ...any) {}
func (silent) Println(...any)        {}

func (m *mailServer) all() []received {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]received(nil), m.messages...)
}

func always(c *tls.Config) func() *tls.Config { return func() *tls.Config { return c } }

// certificate makes one for 127.0.0.1, and the pool that trusts it.
func certificate(t *testing.T) (*tls.Config, *tls.Config) {
	t.Helper()
	return certificateUntil(t, time.Now().Add(time.Hour))
}

func certificateUntil(t *testing.T, end time.Time) (*tls.Config, *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	plan := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: end,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	raw, err := x509.CreateCertificate(rand.Reader, plan, plan, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{raw}, PrivateKey: key}}},
		&tls.Config{RootCAs: pool}
}

// newSMTP is a provider for a server on this machine, without encryption
// unless change says otherwise.
func newSMTP(t *testing.T, port int, change func(*Config)) *Provider {
	t.Helper()
	config := Config{
		Host: "127.0.0.1", Port: port, Security: NoTLS, From: "shop@example.com", FromName: "The Shop",
		Timeout: 5 * time.Second, Hello: "client.example.test",
	}
	if change != nil {
		change(&config)
	}
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// aMail is a message, and the job that it is of.
func aMail(id string) (*topology.Job, *template.Message) {
	job := topology.Job{
		JobID: topology.JobIDOf(topology.EventID(id), 0), EventID: topology.EventID(id), Lane: topology.Realtime,
		Attempt: 1, Channel: topology.Email, To: "kim@example.com",
	}
	return &job, &template.Message{
		Channel: topology.Email, To: job.To, Subject: "Tack för din beställning",
		Text: "Hej Kim!\n.\nHälsningar", HTML: "<p>Hej Kim!</p>",
	}
}

func (s *Provider) try(t *testing.T, id string) provider.Response {
	t.Helper()
	job, m := aMail(id)
	return s.Send(t.Context(), job, m)
}

func manyMails(n int) (ids []string) {
	for i := range n {
		ids = append(ids, fmt.Sprintf("mail-%d", i))
	}
	return ids
}

// forward passes connections on to a port, until the test ends.
func forward(t *testing.T, listener net.Listener, port int) int {
	t.Helper()
	var all sync.WaitGroup
	all.Go(func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("tcp", fmt.Sprint("127.0.0.1:", port))
			if err != nil {
				_ = from.Close()
				continue
			}
			all.Go(func() { _, _ = io.Copy(to, from); _ = to.Close() })
			all.Go(func() { _, _ = io.Copy(from, to); _ = from.Close() })
		}
	})
	t.Cleanup(func() { _ = listener.Close(); all.Wait() })
	return listener.Addr().(*net.TCPAddr).Port
}

// size is how many connections wait.
func (p *pool) size() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns)
}

// loginServer asks for the name and then for the password.
type loginServer struct {
	check func(user, password string) error
	asked int
	user  string
}

func (l *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	l.asked++
	switch l.asked {
	case 1:
		return []byte("Username:"), false, nil
	case 2:
		l.user = string(response)
		return []byte("Password:"), false, nil
	}
	return nil, true, l.check(l.user, string(response))
}
