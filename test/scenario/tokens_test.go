package scenario

import (
	"crypto/rsa"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/meddela/meddela/topology"
)

// tokenLife is shorter than brokers' sessions, which end with the token.
const tokenLife = 8 * time.Second

// issuer gives out tokens that the brokers of SECURE=1 know, to who has the password.
type issuer struct {
	*httptest.Server
	key    *rsa.PrivateKey
	issued atomic.Int64
}

func newIssuer(s *secured) *issuer {
	s.t.Helper()
	certificates := os.Getenv("MEDDELA_TEST_CERTIFICATES")
	text, err := os.ReadFile(filepath.Join(certificates, "tokens.key"))
	if err != nil {
		s.t.Fatal(err)
	}
	i := new(issuer)
	if i.key, err = jwt.ParseRSAPrivateKeyFromPEM(text); err != nil {
		s.t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(certificates, "server.crt"), filepath.Join(certificates, "server.key"))
	if err != nil {
		s.t.Fatal(err)
	}
	i.Server = httptest.NewUnstartedServer(i)
	i.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	i.StartTLS()
	s.t.Cleanup(i.Close)
	return i
}

func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	client, secret, _ := r.BasicAuth()
	if secret != password || r.FormValue("grant_type") != "client_credentials" {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	i.issued.Add(1)
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"access_token":%q,"token_type":"Bearer","expires_in":%d}`,
		i.token(client, "kafka", time.Now().Add(tokenLife)), int(tokenLife.Seconds()))
}

func (i *issuer) token(subject, audience string, end time.Time) string {
	t := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{"sub": subject, "aud": audience,
		"iat": time.Now().Unix(), "exp": end.Unix()})
	t.Header["kid"] = "tokens"
	text, err := t.SignedString(i.key)
	if err != nil {
		return err.Error()
	}
	return text
}

// as are the settings of who logs in by tokens.
func (i *issuer) as(s *secured, u topology.User, also ...string) []string {
	return slices.Concat(s.as(u), []string{"MEDDELA_KAFKA_SASL_MECHANISM=oauthbearer",
		"MEDDELA_KAFKA_OAUTH_TOKEN_URL=" + i.URL, "MEDDELA_KAFKA_OAUTH_CA_FILE=" + s.file("ca.crt")}, also)
}

// TestTokens: brokers check the tokens by which roles log in; these and the sessions end again and again, and no group
// notices and nothing is lost. What is wrong with a token is told.
func TestTokens(t *testing.T) {
	s := newSecured(t)
	if s == nil {
		t.Skip("needs servers brought up with SECURE=1")
	}
	const lane = topology.Realtime
	i := newIssuer(s)
	for _, role := range topology.Roles() {
		user := topology.User(role)
		s.add(user, lane)
		s.settings = i.as(s, user)
		s.start(role, lane)
	}
	s.settings = nil
	s.awaitGroups(lane)
	stream := s.stream(lane, func(n int) (record, string) { return order(fmt.Sprintf("token-%d", n), "mail"), "sent" })
	began := time.Now()
	for time.Since(began) < 4*tokenLife {
		stream.awaitPublished(50)
		s.awaitOutcomes(10*time.Second, stream.published())
	}
	s.awaitOutcomes(20*time.Second, stream.end())
	if n := i.issued.Load(); n < int64(len(topology.Roles()))*4 {
		t.Errorf("%d tokens in %v", n, time.Since(began))
	}
	s.keptPlaces()

	user := topology.User(topology.RoleMatch)
	own := func(subject, audience string, end time.Time) []string {
		file := s.file(subject + audience + end.Format(time.RFC3339))
		if err := os.WriteFile(file, []byte(i.token(subject, audience, end)), 0o600); err != nil {
			t.Fatal(err)
		}
		return []string{"MEDDELA_KAFKA_OAUTH_TOKEN_URL=", "MEDDELA_KAFKA_OAUTH_CA_FILE=",
			"MEDDELA_KAFKA_SASL_PASSWORD_FILE=" + file}
	}
	soon := time.Now().Add(time.Minute)
	for _, row := range []struct {
		name, says string
		settings   []string
	}{
		{"good", "", nil},
		{"its own", "", own(s.name(user), "kafka", soon)},
		{"of another audience", "the broker refuses the token", own(s.name(user), "elsewhere", soon)},
		{"that has ended", "the broker refuses the token", own(s.name(user), "kafka", time.Now().Add(-time.Minute))},
		{"of nobody known", "missing: ", own("nobody", "kafka", soon)},
		{"of no endpoint", "no token from the token endpoint", []string{"MEDDELA_KAFKA_OAUTH_TOKEN_URL=https://127.0.0.1:1"}},
		{"of an endpoint of another authority", "no token from the token endpoint", []string{"MEDDELA_KAFKA_OAUTH_CA_FILE="}},
	} {
		command := exec.Command(binary, "check", "--user", string(user), "--lane", string(lane))
		command.Env = append(s.environment(), i.as(s, user, row.settings...)...)
		out, err := command.CombinedOutput()
		if (err == nil) != (row.says == "") || !strings.Contains(string(out), row.says) {
			t.Errorf("a token %s: %v\n%s", row.name, err, out)
		}
	}
}
