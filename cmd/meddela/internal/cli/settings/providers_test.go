package settings

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/clitest"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/config"
	"github.com/meddela/meddela/cmd/meddela/internal/testenv"
)

// secretOfTests is what no command may print.
const secretOfTests = "whsec_aHVudGVyMi1odW50ZXIyLWh1bnRlcjItaHVudGVyMg=="

const providersOfTests = `providers:
  - name: mail-1
    channels: [email]
    kind: smtp
    timeout: 5s
    concurrency: 16
    limit: {rate: 0.5, concurrency: 64, reserve: 0.3}
    smtp: {addr: "mail.example.com:587", from: shop@example.com, username: shop, password: {env: MAIL_SECRET}}
  - name: mail-2
    channels: [email]
    kind: smtp
    smtp: {addr: "mail.example.net:25", from: shop@example.com}
  - name: sms-1
    channels: [sms]
    kind: http
    http: {url: "https://sms.example.com/token-in-path?key=token-in-query", auth: {bearer: {env: MAIL_SECRET}}, sign: [{env: MAIL_SECRET}]}
  - name: push-1
    channels: [push]
    kind: http
    http: {url: "https://push.example.com", method: PUT, auth: {header: X-Api-Key, key: {env: MAIL_SECRET}}}
  - name: hooks
    channels: [webhook]
    kind: http
    http: {hosts: [hooks.example.com], auth: {username: shop, password: {env: MAIL_SECRET}}}
  - {name: dry, channels: [push, webhook], kind: sandbox}
routes:
  email: {order: failover, providers: [mail-1]}
  push: {order: weighted, providers: [{name: dry, weight: 1}, {name: push-1, weight: 9}]}
`

// checkProviders runs `providers check` with these variables, and returns what
// it printed. The text is in no form that has a secret.
func checkProviders(t *testing.T, environment map[string]string, output command.Format, args ...string) (string,
	error) {
	t.Helper()
	t.Setenv("MAIL_SECRET", secretOfTests)
	testenv.OnlyThese(t, environment)
	var out bytes.Buffer
	env := &command.Env{In: strings.NewReader(""), Out: &out, ErrOut: &out, Output: output}
	cmd := NewProviders(env)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(append([]string{"check"}, args...))
	err := cmd.ExecuteContext(t.Context())
	shown := out.String()
	if err != nil {
		shown += err.Error()
	}
	for _, secret := range []string{secretOfTests, "token-in"} {
		if strings.Contains(shown, secret) {
			t.Errorf("a secret is shown:\n%s", shown)
		}
	}
	return out.String(), err
}

func writeProviders(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "providers.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestProvidersCheck(t *testing.T) {
	path := writeProviders(t, providersOfTests)
	got, err := checkProviders(t, nil, command.Table, path)
	if err != nil {
		t.Fatal(err)
	}
	clitest.Golden(t, "providers-check.txt", strings.ReplaceAll(got, path, "providers.yaml"))
	byVariable, err := checkProviders(t, map[string]string{"MEDDELA_PROVIDERS_FILE": path}, command.Table)
	if err != nil || byVariable != got {
		t.Errorf("by the variable: %v\n%s", err, byVariable)
	}
	byURL, err := checkProviders(t, map[string]string{"MEDDELA_SMTP_URL": "smtp://mail.example.com?from=shop@example.com"},
		command.Table)
	if err != nil || !strings.Contains(byURL, "MEDDELA_SMTP_URL: 1 provider for 1 channel") {
		t.Errorf("by the URL: %v\n%s", err, byURL)
	}
}

func TestProvidersCheckInJSON(t *testing.T) {
	got, err := checkProviders(t, nil, command.JSON, writeProviders(t, providersOfTests))
	if err != nil {
		t.Fatal(err)
	}
	var view providersView
	if err := json.Unmarshal([]byte(got), &view); err != nil {
		t.Fatal(err)
	}
	if len(view.Providers) != 6 || len(view.Routes) != 4 || len(view.Warnings) != 1 {
		t.Fatalf("%d providers, %d routes, warnings %q", len(view.Providers), len(view.Routes), view.Warnings)
	}
	first := view.Providers[0]
	if first.Target != "mail.example.com:587" || first.Login != "shop ***" || first.Timeout != "5s" || first.Rate != 0.5 ||
		first.Reserve != 0.3 {
		t.Errorf("the first is %+v", first)
	}
	if sms := view.Providers[2]; sms.Target != "POST https://sms.example.com" || sms.Login != "bearer ***" || !sms.Signed {
		t.Errorf("the third is %+v", sms)
	}
}

// TestProvidersCheckOfFaults: all of them are told, and end in misuse.
func TestProvidersCheckOfFaults(t *testing.T) {
	path := writeProviders(t,
		"providers:\n  - {name: a, kind: sandbox, channel: [email]}\nroutes: {email: {providers: [b]}}\n")
	_, err := checkProviders(t, nil, command.Table, path)
	var faults config.Faults
	if !errors.As(err, &faults) || len(faults) != 3 {
		t.Fatalf("%d faults: %v", len(faults), err)
	}
	for i, want := range []string{":2: ", ":2: ", ":3: "} {
		if !strings.HasPrefix(faults[i], path+want) {
			t.Errorf("%q is not at %s", faults[i], want)
		}
	}
	for name, args := range map[string][]string{"no file": nil, "two files": {path, path}} {
		var misused *command.Misuse
		if _, err := checkProviders(t, nil, command.Table, args...); !errors.As(err, &misused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := checkProviders(t, nil, command.Table, path+".away"); !errors.As(err, &faults) {
		t.Errorf("a file that is not there: %v", err)
	}
}
