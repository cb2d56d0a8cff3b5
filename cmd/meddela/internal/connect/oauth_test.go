package connect

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

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
		asked.Add(1)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"access_token":"a.b.c","token_type":"Bearer","expires_in":3600}`))
	}))
	defer endpoint.Close()
	k := &config.KafkaSettings{SASLMechanism: "oauthbearer", SASLUsername: "shop", SASLPassword: "hunter2",
		OAuthTokenURL: endpoint.URL, OAuthScopes: config.List{"kafka", "write"}, OAuthAudience: "cluster",
		OAuthExtensions: config.List{"logicalCluster=lkc-1", "identityPoolId=pool-1"}}
	mechanism, err := loginOf(k)
	if err != nil || mechanism.Name() != "OAUTHBEARER" {
		t.Fatal(err)
	}
	for range 3 {
		steps, first, err := mechanism.Start(t.Context())
		const want = "n,,\x01auth=Bearer a.b.c\x01logicalCluster=lkc-1\x01identityPoolId=pool-1\x01\x01"
		if err != nil || string(first) != want {
			t.Fatalf("%q, %v", first, err)
		}
		if done, _, err := steps.Next(t.Context(), nil); !done || err != nil {
			t.Errorf("accepted: %v, %v", done, err)
		}
		if _, _, err := steps.Next(t.Context(), []byte(`{"status":"invalid_token"}`)); err == nil {
			t.Error("a refusal is taken for a login")
		}
	}
	if asked.Load() != 1 {
		t.Errorf("%d tokens were asked for", asked.Load())
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
