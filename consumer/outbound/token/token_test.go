package token

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	signed "github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"
	"golang.org/x/oauth2"

	"github.com/meddela/meddela/consumer/outbound"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func client(t *testing.T) *outbound.Client {
	c := outbound.New(outbound.Config{AllowPrivate: true})
	t.Cleanup(c.Close)
	return c
}

func pemOf(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func rsaKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func account(email, url, key string) outbound.Secret {
	text, _ := json.Marshal(map[string]string{"type": "service_account", "client_email": email, "private_key": key,
		"private_key_id": "k-1", "token_uri": url})
	return outbound.Fixed(string(text))
}

func source(t *testing.T, k Kind) *Source {
	t.Helper()
	s, err := k.Source(client(t))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestOAuth2 asks for a token with the secret of the moment, and says what an endpoint answered without its text.
func TestOAuth2(t *testing.T) {
	const body = `{"access_token":"T-1","token_type":"Bearer","expires_in":3600}`
	for name, c := range map[string]struct {
		status int
		answer string
		want   string
		fault  string
	}{
		"a token": {200, body, "T-1", ""},
		"no end":  {200, `{"access_token":"T-2","token_type":"Bearer"}`, "T-2", ""},
		"refused": {401, `{"error":"invalid_client","error_description":"SECRET"}`, "",
			"answered 401 (invalid_client)"},
		"in other words": {400, `{"error":"the SECRET is bad"}`, "", "answered 400"},
		"away":           {503, `SECRET`, "", "answered 503"},
		"redirected":     {307, ``, "", "answered 307"},
		"no token":       {200, `{}`, "", "cannot be asked"},
		"no JSON":        {200, `<html>SECRET`, "", "cannot be asked"},
		"in two lines":   {200, `{"access_token":"T\nX: 1"}`, "", "cannot be asked"},
	} {
		var form string
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			text, _ := io.ReadAll(r.Body)
			user, password, _ := r.BasicAuth()
			form = user + ":" + password + " " + string(text)
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Location", "http://127.0.0.1:1/")
			w.WriteHeader(c.status)
			io.WriteString(w, c.answer)
		}))
		defer s.Close()
		got, err := source(t, OAuth2{TokenURL: s.URL, ClientID: "shop", ClientSecret: outbound.Fixed("pw"),
			Scopes: []string{"a", "b"}, Audience: "api"}).Get(t.Context(), "")
		if got != c.want || (err == nil) != (c.fault == "") || err != nil && (!strings.Contains(err.Error(), c.fault) ||
			strings.Contains(err.Error(), "SECRET")) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if c.want != "" && form != "shop:pw audience=api&grant_type=client_credentials&scope=a+b" {
			t.Errorf("%s: asked with %s", name, form)
		}
	}
}

// TestGoogle signs for its token with the account's key, also when that has been replaced.
func TestGoogle(t *testing.T) {
	key := rsaKey(t)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims := signed.MapClaims{}
		_, err := signed.ParseWithClaims(r.FormValue("assertion"), claims,
			func(*signed.Token) (any, error) { return &key.PublicKey, nil })
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"access_token":"%v %v %v","expires_in":3600}`, claims["iss"], claims["scope"], err)
	}))
	defer s.Close()
	g := Google{account("push@shop.example", s.URL, pemOf(t, key)), []string{"https://g.example/auth/push"}}
	got, err := source(t, g).Get(t.Context(), "")
	if got != "push@shop.example https://g.example/auth/push <nil>" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// TestAPNs makes one token for all, another after fifty minutes, and none within twenty though it is refused.
func TestAPNs(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	text := pemOf(t, key)
	synctest.Test(t, func(t *testing.T) {
		s := source(t, APNs{outbound.Fixed(text), "KEY", "TEAM"})
		seen := map[string]bool{}
		last := ""
		for _, step := range []struct {
			after   time.Duration
			refused bool
			tokens  int
		}{{0, false, 1}, {time.Minute, false, 1}, {18 * time.Minute, true, 1}, {2 * time.Minute, true, 2},
			{49 * time.Minute, false, 2}, {2 * time.Minute, false, 2}, {time.Second, false, 3}, {2 * time.Hour, false, 4}} {
			time.Sleep(step.after)
			refused := ""
			if step.refused {
				refused = last
			}
			last, err = s.Get(t.Context(), refused)
			synctest.Wait()
			parsed, wrong := signed.Parse(last, func(*signed.Token) (any, error) { return &key.PublicKey, nil })
			if err != nil || wrong != nil || parsed.Header["kid"] != "KEY" || parsed.Header["alg"] != "ES256" {
				t.Fatalf("%q, %v, %v", last, err, wrong)
			}
			issued, _ := parsed.Claims.GetIssuedAt()
			if by, _ := parsed.Claims.GetIssuer(); by != "TEAM" || time.Since(issued.Time) >= time.Hour {
				t.Errorf("of %s, %v old", by, time.Since(issued.Time))
			}
			if seen[last] = true; len(seen) != step.tokens {
				t.Errorf("after %+v: %d tokens", step, len(seen))
			}
		}
	})
}

// TestShared: however many ask at once, an endpoint is asked once; one that failed is left alone for a while; a token
// is renewed beside the messages before it ends, and at once where it is refused.
func TestShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		var fails atomic.Bool
		s := &Source{fetch: func(context.Context) (*oauth2.Token, error) {
			n := asked.Add(1)
			time.Sleep(time.Second)
			if fails.Load() {
				return nil, errors.New("SECRET")
			}
			return &oauth2.Token{AccessToken: fmt.Sprint("T-", n), Expiry: time.Now().Add(time.Hour)}, nil
		}}
		for _, step := range []struct {
			name    string
			after   time.Duration
			refused string
			fails   bool
			want    string
			asked   int64
			took    time.Duration
		}{
			{"first", 0, "", true, "", 1, time.Second},
			{"soon after", time.Second, "", false, "", 1, 0},
			{"later", 5 * time.Second, "", false, "T-2", 2, time.Second},
			{"kept", 50 * time.Minute, "", false, "T-2", 2, 0},
			{"renewed beside", 6 * time.Minute, "", false, "T-2", 3, 0},
			{"then", 2 * time.Second, "", false, "T-3", 3, 0},
			{"refused", 0, "T-3", false, "T-4", 4, time.Second},
			{"refused again", 4 * time.Second, "T-4", false, "T-4", 4, 0},
			{"another is refused", 5 * time.Second, "T-3", false, "T-4", 4, 0},
			{"renewal fails", 56 * time.Minute, "", true, "T-4", 5, 0},
			{"and is kept", 2 * time.Second, "", true, "T-4", 5, 0},
			{"until it ends", 4 * time.Minute, "", true, "", 6, time.Second},
		} {
			time.Sleep(step.after)
			fails.Store(step.fails)
			var all sync.WaitGroup
			for range 50 {
				all.Go(func() {
					began := time.Now()
					got, err := s.Get(t.Context(), step.refused)
					if got != step.want && step.want != "" || (err == nil) != (step.want != "") || time.Since(began) != step.took ||
						err != nil && strings.Contains(err.Error(), "SECRET") {
						t.Errorf("%s: %q, %v after %v", step.name, got, err, time.Since(began))
					}
				})
			}
			all.Wait()
			synctest.Wait()
			if n := asked.Load(); n != step.asked {
				t.Errorf("%s: asked %d times", step.name, n)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		time.Sleep(pause)
		if _, err := s.Get(ctx, ""); err == nil || !strings.Contains(err.Error(), "not answered yet") {
			t.Errorf("without time: %v", err)
		}
		time.Sleep(patience)
	})
}

// TestEndsAtOnce: whatever an endpoint says of a token's end, it is not asked for each message.
func TestEndsAtOnce(t *testing.T) {
	for _, life := range []time.Duration{-time.Hour, -time.Second, time.Millisecond, time.Second} {
		synctest.Test(t, func(t *testing.T) {
			var asked atomic.Int64
			s := &Source{fetch: func(context.Context) (*oauth2.Token, error) {
				asked.Add(1)
				return &oauth2.Token{AccessToken: "T", Expiry: time.Now().Add(life)}, nil
			}}
			for range 1000 { // in ten seconds
				if got, err := s.Get(t.Context(), ""); got != "T" || err != nil {
					t.Fatalf("%v: %q, %v", life, got, err)
				}
				time.Sleep(10 * time.Millisecond)
			}
			if n := asked.Load(); n > 15 {
				t.Errorf("%v: asked %d times", life, n)
			}
		})
	}
}

// TestUnusable: what cannot work is said before anybody is asked, without the secrets.
func TestUnusable(t *testing.T) {
	rsa := pemOf(t, rsaKey(t))
	key, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	for want, kinds := range map[string][]Kind{
		"client_secret":        {OAuth2{TokenURL: "https://a.example", ClientID: "x"}},
		"the token endpoint's": {OAuth2{"ftp://a.example", "x", outbound.Fixed("y"), nil, ""}},
		"service account's key": {Google{}, Google{outbound.Fixed("SECRET"), nil}, Google{account("a", "", rsa), nil},
			Google{account("a", "https://a.example", "SECRET"), nil}},
		"a P-256 key in PEM": {APNs{outbound.Fixed("SECRET"), "K", "T"}, APNs{nil, "K", "T"},
			APNs{outbound.Fixed(rsa), "K", "T"},
			APNs{outbound.Fixed(pemOf(t, key)), "K", "T"}},
	} {
		for _, k := range kinds {
			if _, err := k.Source(client(t)); err == nil || !strings.Contains(err.Error(), want) ||
				strings.Contains(err.Error(), "SECRET") {
				t.Errorf("%v: %v, want %s", k, err, want)
			}
			if text := fmt.Sprintf("%+v %#v", k, k); strings.Contains(text, "SECRET") {
				t.Error(text)
			}
		}
	}
}

// TestGuarded: tokens are asked for where requests may go, and nowhere else.
func TestGuarded(t *testing.T) {
	c := outbound.New(outbound.Config{})
	defer c.Close()
	s, err := OAuth2{"http://127.0.0.1:1/", "x", outbound.Fixed("y"), nil, ""}.Source(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "loopback, which is not allowed") {
		t.Error(err)
	}
}
