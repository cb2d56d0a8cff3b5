package smtp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wneessen/go-mail"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/outbound"
	"github.com/meddela/meddela/topology"
)

// server is a real mail server's address. Where there is none, the test says so
// and ends, or fails if MEDDELA_TEST_SERVERS is required.
func server(t testing.TB, variable string) (host string, port int) {
	t.Helper()
	address := os.Getenv(variable)
	if address == "" {
		if os.Getenv("MEDDELA_TEST_SERVERS") == "required" {
			t.Fatalf("%s is not set: run test/servers/mail up", variable)
		}
		t.Logf("without a real mail server: set %s, as test/run does when `test/servers/peers up` has brought one up",
			variable)
		return "", 0
	}
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	if port, err = strconv.Atoi(text); err != nil {
		t.Fatal(err)
	}
	return host, port
}

// authority trusts the server's own certificate.
func authority(t *testing.T) *tls.Config {
	t.Helper()
	pool := x509.NewCertPool()
	text, err := os.ReadFile(os.Getenv("MEDDELA_TEST_SMTP_CA"))
	if err != nil || !pool.AppendCertsFromPEM(text) {
		t.Fatal("no certificate", err)
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}

// TestPostfixLogin: a real mail server lets every mechanism in, and nobody with
// a wrong password or over a line that anyone can read.
func TestPostfixLogin(t *testing.T) {
	host, port := server(t, "MEDDELA_TEST_SMTP")
	if host == "" {
		return
	}
	right := os.Getenv("MEDDELA_TEST_SMTP_PASSWORD")
	for _, test := range []struct {
		security                Security
		mechanism, to, password string
		want                    provider.Verdict
	}{
		{StartTLS, "", "member", right, provider.Accepted}, {StartTLS, "PLAIN", "member", right, provider.Accepted},
		{StartTLS, "LOGIN", "member", right, provider.Accepted},
		{StartTLS, "CRAM-MD5", "member", right, provider.Accepted},
		{StartTLS, "SCRAM-SHA-256", "member", right, provider.Accepted},
		{StartTLS, "PLAIN", "kim", "wrong", provider.Down}, {StartTLS, "SCRAM-SHA-256", "kim", "wrong", provider.Down},
		{StartTLS, "XOAUTH2", "kim", right, provider.Down},
		{NoTLS, "", "kim", right, provider.Down}, // not offered there
	} {
		s, err := New(Config{
			Host: host, Port: port, Security: test.security, From: "shop@example.com", TLS: always(authority(t)),
			Username: "shop@mx.example.test", Password: outbound.Fixed(test.password), Mechanism: test.mechanism,
		})
		if err != nil {
			t.Fatal(err)
		}
		job, m := aMail("event")
		m.To = test.to + "@mail.example.test"
		if r := s.Send(t.Context(), job, m); r.Verdict != test.want || test.password != "" &&
			strings.Contains(r.Detail, test.password) {
			t.Errorf("%s %s: %+v", test.security, test.mechanism, r)
		}
		s.Close()
	}
}

// TestPostfix: every class of answer of a real mail server ends in the right
// verdict, in the clear and encrypted.
func TestPostfix(t *testing.T) {
	host, port := server(t, "MEDDELA_TEST_SMTP")
	if host == "" {
		return
	}
	trust := authority(t)
	for _, security := range []Security{NoTLS, StartTLS} {
		s, err := New(Config{
			Host: host, Port: port, Security: security, From: "shop@example.com", Concurrency: 2,
			TLS: always(trust),
		})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for _, test := range []struct {
			local string
			want  provider.Verdict
		}{
			{"kim", provider.Accepted},
			{"busy", provider.Failed},
			{"greylisted", provider.Failed},
			{"nospace", provider.Failed},
			{"goodbye", provider.Failed},
			{"later", provider.Failed},
			{"syntax", provider.Skipped},
			{"unknown", provider.Skipped},
			{"moved", provider.Skipped},
			{"badname", provider.Skipped},
			{"nomail", provider.Skipped},
			{"policy", provider.Rejected},
			{"full", provider.Rejected},
			{"member", provider.Rejected}, // for who has logged in only
			{"refused", provider.Rejected},
			{"spam", provider.Rejected},
			{"toolarge", provider.Rejected},
			{"kim", provider.Accepted},
		} {
			job, m := aMail("event-" + test.local)
			m.To = test.local + "@mail.example.test"
			r := s.Send(t.Context(), job, m)
			if r.Verdict != test.want || r.Verdict == provider.Skipped && r.Reason != topology.ReasonInvalidAddress {
				t.Errorf("%s, %s: %+v", security, test.local, r)
			}
		}
	}
}

// BenchmarkSMTPThroughput sends the same messages over as many connections by our
// provider and by a bare loop of the library's own client, in turns.
func BenchmarkSMTPThroughput(b *testing.B) {
	host, port := server(b, "MEDDELA_TEST_SMTP_SINK")
	if host == "" {
		return
	}
	const connections, messages = 8, 2000
	ours := func() { sendByProvider(b, host, port, connections, messages) }
	bare := func() { sendByLibrary(b, host, port, connections, messages) }
	var by [2]time.Duration
	for b.Loop() {
		for i, send := range []func(){ours, bare} {
			began := time.Now()
			send()
			by[i] += time.Since(began)
		}
	}
	rate := func(d time.Duration) float64 { return float64(b.N*messages) / d.Seconds() }
	b.ReportMetric(rate(by[0]), "msg/s")
	b.ReportMetric(rate(by[1]), "bare-msg/s")
	b.ReportMetric(rate(by[0])/rate(by[1]), "ratio")
}

func sendByProvider(b *testing.B, host string, port, connections, messages int) {
	s, err := New(Config{Host: host, Port: port, Security: NoTLS, From: "shop@example.com", Concurrency: connections,
		MaxMessages: messages})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	eachOf(connections, messages, func(int) func(int) {
		return func(int) {
			job, m := aMail("event")
			if r := s.Send(context.Background(), job, m); r.Verdict != provider.Accepted {
				b.Errorf("%+v", r)
			}
		}
	})
}

func sendByLibrary(b *testing.B, host string, port, connections, messages int) {
	eachOf(connections, messages, func(int) func(int) {
		client, err := mail.NewClient(host, mail.WithPort(port), mail.WithTLSPolicy(mail.NoTLS))
		if err == nil {
			err = client.DialWithContext(context.Background())
		}
		if err != nil {
			b.Error(err)
			return func(int) {}
		}
		return func(int) {
			_, m := aMail("event")
			msg := mail.NewMsg()
			_ = msg.From("shop@example.com")
			_ = msg.To(m.To)
			msg.Subject(m.Subject)
			msg.SetBodyString(mail.TypeTextPlain, m.Text)
			msg.AddAlternativeString(mail.TypeTextHTML, m.HTML)
			if err := client.Send(msg); err != nil {
				b.Error(err)
			}
		}
	})
}

// eachOf shares n calls among workers, each of which is made first.
func eachOf(workers, n int, worker func(int) func(int)) {
	var next atomic.Int64
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			do := worker(w)
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				do(int(i))
			}
		})
	}
	all.Wait()
}

// TestAnotherVerifier: a verifier of another author (dkimpy) takes the signature, also after a relay has added headers
// and replaced others, and none of a message that is not the same.
func TestAnotherVerifier(t *testing.T) {
	const script = `import sys, dkim
record = sys.argv[1].encode()
sys.exit(0 if dkim.verify(sys.stdin.buffer.read(), dnsfunc=lambda name, timeout=5: record) else 3)`
	if err := exec.Command("/usr/bin/python3", "-c", "import dkim").Run(); err != nil {
		if os.Getenv("MEDDELA_TEST_SERVERS") == "required" {
			t.Fatal("dkimpy is not there: apt-get install --no-install-recommends python3-dkim")
		}
		t.Log("without dkimpy: apt-get install --no-install-recommends python3-dkim")
		return
	}
	key, record := signingKey(t, rsaKey(t, 2048))
	d := newDialogue(t, nil)
	s := newSMTP(t, d.port, func(c *Config) { c.DKIM = DKIM{Domain: "example.com", Selector: "s1", Key: key} })
	job, m := aMail("event")
	m.Unsubscribe.URL = "https://shop.example.com/u?t=" + strings.Repeat("A", 800)
	m.Subject = strings.Repeat("a", 998)
	if r := s.Send(t.Context(), job, m); r.Verdict != provider.Accepted {
		t.Fatalf("%+v", r)
	}
	text := strings.ReplaceAll(d.taken()[0], "\r\n..", "\r\n.")
	others := regexp.MustCompile("\r\n(Date|Message-ID): [^\r]*")
	replaced := others.ReplaceAllString(text, "\r\n$1: <of-the-relay@mx.example.test>")
	for name, test := range map[string]struct {
		text string
		want bool
	}{
		"as it is":                       {text, true},
		"with others":                    {"Received: by mx\r\nReply-To: help@example.com\r\n" + text, true},
		"with another date and id":       {replaced, replaced != text},
		"with another subject":           {"Subject: another\r\n" + text, false},
		"with another way to get rid of": {strings.Replace(text, "shop.example.com/u", "evil.example.com/u", 1), false},
	} {
		verify := exec.Command("/usr/bin/python3", "-c", script, record)
		verify.Stdin = strings.NewReader(test.text)
		said, err := verify.CombinedOutput()
		if (err == nil) != test.want || err != nil && verify.ProcessState.ExitCode() != 3 {
			t.Errorf("%s: %v\n%s", name, err, said)
		}
	}
}
