package connect

import (
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/cmd/meddela/internal/config"
)

// TestOAuthBearer: the token of client credentials, asked for once, and what the broker is told beside it.
func TestOAuthBearer(t *testing.T) {
	var asked atomic.Int32
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, secret, _ := r.BasicAuth()
		if id != "shop" || secret != "hunter2" || r.FormValue("grant_type") != "client_credentials" ||
			r.FormValue("scope") != "kafka write" || r.FormValue("audience") != "cluster" {
			http.Error(w, `{"error":"invalid_client"}`, http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"access_token":"token-%d","token_type":"Bearer","expires_in":3600}`, asked.Add(1))
	}))
	defer endpoint.Close()
	k := &config.KafkaSettings{SASLMechanism: "oauthbearer", SASLUsername: "shop", SASLPassword: "hunter2",
		OAuthTokenURL: endpoint.URL, OAuthScopes: config.List{"kafka", "write"}, OAuthAudience: "cluster",
		OAuthExtensions: config.List{"logicalCluster=lkc-1", "identityPoolId=pool-1"}}
	mechanism, err := loginOf(k)
	if err != nil || mechanism.Name() != "OAUTHBEARER" {
		t.Fatal(err)
	}
	for _, step := range []struct{ answer, token string }{ // of a broker, to the token
		{"", "token-1"}, {"", "token-1"}, {`{"status":"invalid_token"}`, "token-1"}, // another may be taken,
		{`{"status":"invalid_token"}`, "token-2"}, {"", "token-2"}, // and none is asked for in haste
	} {
		steps, first, err := mechanism.Start(t.Context())
		want := "n,,\x01auth=Bearer " + step.token + "\x01logicalCluster=lkc-1\x01identityPoolId=pool-1\x01\x01"
		if err != nil || string(first) != want {
			t.Fatalf("%q, %v, want %q", first, err, want)
		}
		done, _, err := steps.Next(t.Context(), []byte(step.answer))
		if refused := step.answer != ""; done == refused || errors.Is(err, kafka.SASLAuthenticationFailed) != refused {
			t.Errorf("%+v: %v, %v", step, done, err)
		}
	}
	k.SASLPassword = "hunter3"
	if mechanism, err = loginOf(k); err != nil {
		t.Fatal(err)
	}
	if _, _, err = mechanism.Start(t.Context()); err == nil || strings.Contains(err.Error(), "hunter") ||
		!strings.Contains(err.Error(), "401") {
		t.Errorf("a wrong secret: %v", err)
	}
	k.OAuthTokenURL = "ftp://x"
	if _, err = loginOf(k); err == nil {
		t.Error("an address of another kind is taken")
	}
	k.OAuthTokenURL = ""
	if mechanism, err = loginOf(k); err != nil {
		t.Fatal(err)
	}
	if _, first, _ := mechanism.Start(t.Context()); !strings.Contains(string(first), "auth=Bearer hunter3\x01") {
		t.Errorf("the token itself: %q", first)
	}
}

// TestTokenEndpointAuthority: the token endpoint is who its authority says, and no other.
func TestTokenEndpointAuthority(t *testing.T) {
	endpoint := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"access_token":"a","expires_in":60}`)
	}))
	defer endpoint.Close()
	file := filepath.Join(t.TempDir(), "ca.crt")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: endpoint.Certificate().Raw})
	if err := os.WriteFile(file, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ file, fault, lacking string }{
		{file, "", ""},
		{"", "", "no token from the token endpoint"},
		{file + ".old", "MEDDELA_KAFKA_OAUTH_CA_FILE cannot be read", ""},
		{os.Args[0], "MEDDELA_KAFKA_OAUTH_CA_FILE has no certificate", ""},
	} {
		says := func(err error, want string) bool {
			return (err == nil) == (want == "") && (err == nil || strings.Contains(err.Error(), want))
		}
		mechanism, err := loginOf(&config.KafkaSettings{SASLMechanism: "oauthbearer", SASLUsername: "u", SASLPassword: "p",
			OAuthTokenURL: endpoint.URL, OAuthCAFile: row.file})
		if !says(err, row.fault) {
			t.Errorf("%+v: %v", row, err)
		}
		if err == nil {
			if _, _, err = mechanism.Start(t.Context()); !says(err, row.lacking) {
				t.Errorf("%+v: %v", row, err)
			}
		}
	}
}
