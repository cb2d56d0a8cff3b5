package run

import (
	"bytes"
	"context"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/clitest"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/testenv"
)

// TestARoleThatCannotReadItsTemplatesStops with an error that says what to do.
func TestARoleThatCannotReadItsTemplatesStops(t *testing.T) {
	broker := clitest.StartKafka(t).ListenAddrs()[0]
	got := meddela(t, map[string]string{
		"MEDDELA_KAFKA_BROKERS": broker, "MEDDELA_TEMPLATES_START_TIMEOUT": "1s", "MEDDELA_LOG_LEVEL": "error",
	}, "", "run", "match", "--lane", "realtime")
	got.Want(t, command.ExitFailed)
	if want := "the topic meddela.templates does not exist: create it with `meddela topics apply`"; !strings.Contains(got.Err, want) {
		t.Errorf("it says %s", got.Err)
	}
}

// TestDeliverWantsAProviderOfEachChannel: nothing goes to the sandbox, and is marked
// sent, unless somebody has chosen so.
func TestDeliverWantsAProviderOfEachChannel(t *testing.T) {
	for _, test := range []struct {
		set  map[string]string
		args []string
		says string
	}{
		{nil, nil, "no provider of email, sms, push, webhook: "},
		{nil, []string{"--channel", "sms,push"}, "MEDDELA_SANDBOX_CHANNELS=sms,push (all is every channel)"},
		{map[string]string{"MEDDELA_SMTP_URL": "smtp://mail?from=shop@example.com"}, nil,
			"no provider of sms, push, webhook: "},
		{map[string]string{"MEDDELA_SANDBOX_CHANNELS": "sms"}, []string{"--channel", "sms,push"}, "no provider of push: "},
		{map[string]string{"MEDDELA_SANDBOX_CHANNELS": "all"}, nil, "cannot use Kafka"},
		{map[string]string{"MEDDELA_SMTP_URL": "smtp://mail?from=shop@example.com"}, []string{"--channel", "email"},
			"cannot use Kafka"},
	} {
		environment := map[string]string{"MEDDELA_KAFKA_BROKERS": clitest.Nowhere, "MEDDELA_REDIS_ADDRS": clitest.Nowhere}
		maps.Copy(environment, test.set)
		got := meddela(t, environment, "", append([]string{"run", "deliver", "--lane", "batch"}, test.args...)...)
		status := command.ExitMisused
		if test.says == "cannot use Kafka" {
			status = command.ExitFailed
		}
		if got.Status != status || !strings.Contains(got.Err, test.says) {
			t.Errorf("%v %v: exit status %d, it says %q, want %q", test.set, test.args, got.Status, got.Err, test.says)
		}
	}
}

// TestASecretThatComesLate: a process that begins before its file is there ends at once, and says which it misses; the
// next one, as Kubernetes starts it, goes on when it is there.
func TestASecretThatComesLate(t *testing.T) {
	folder := t.TempDir()
	secret, providers := filepath.Join(folder, "secret"), filepath.Join(folder, "providers.yaml")
	write := func(name, text string) {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(providers, "providers:\n- {name: relay, kind: smtp, channels: [email], smtp: {addr: \"mail:587\", "+
		"from: shop@example.com, username: shop, password: {file: "+secret+"}}}\n")
	for _, set := range []map[string]string{
		{"MEDDELA_REDIS_PASSWORD_FILE": secret, "MEDDELA_REDIS_LOGIN_IN_CLEAR": "true"},
		{"MEDDELA_PROVIDERS_FILE": providers},
		{"MEDDELA_KAFKA_SASL_MECHANISM": "plain", "MEDDELA_KAFKA_SASL_USERNAME": "u",
			"MEDDELA_KAFKA_SASL_PASSWORD_FILE": secret, "MEDDELA_KAFKA_SASL_IN_CLEAR": "true"},
	} {
		set["MEDDELA_KAFKA_BROKERS"], set["MEDDELA_REDIS_ADDRS"] = clitest.Nowhere, clitest.Nowhere
		set["MEDDELA_SANDBOX_CHANNELS"] = "sms"
		_ = os.Remove(secret)
		got := meddela(t, set, "", "run", "deliver", "--lane", "batch", "--channel", "sms")
		got.Want(t, command.ExitMisused)
		if !strings.Contains(got.Err, "cannot be read: open "+secret+": no such file") {
			t.Errorf("%v: it says %s", set, got.Err)
		}
		write(secret, "the-secret\n")
		got = meddela(t, set, "", "run", "deliver", "--lane", "batch", "--channel", "sms")
		got.Want(t, command.ExitFailed)
		if !strings.Contains(got.Err, "cannot use Kafka") || strings.Contains(got.Err, "the-secret") {
			t.Errorf("%v: then it says %s", set, got.Err)
		}
	}
}

// TestAllRoles run in one process, which is as strict about channels as role deliver is.
func TestAllRoles(t *testing.T) {
	environment := map[string]string{"MEDDELA_KAFKA_BROKERS": clitest.Nowhere, "MEDDELA_REDIS_ADDRS": clitest.Nowhere}
	got := meddela(t, environment, "", "run", "all", "--lane", "batch")
	got.Want(t, command.ExitMisused)
	if !strings.Contains(got.Err, "no provider of email, sms, push, webhook: ") {
		t.Errorf("it says %s", got.Err)
	}
	environment["MEDDELA_SANDBOX_CHANNELS"] = "push"
	got = meddela(t, environment, "", "run", "all", "--lane", "batch", "--channel", "push")
	got.Want(t, command.ExitFailed)
	if !strings.Contains(got.Err, "cannot use Kafka") {
		t.Errorf("it says %s", got.Err)
	}
}

// TestStoppedAtTheStart: that is no fault of a server.
func TestStoppedAtTheStart(t *testing.T) {
	testenv.OnlyThese(t, map[string]string{
		"MEDDELA_KAFKA_BROKERS": clitest.StartKafka(t).ListenAddrs()[0],
		"MEDDELA_REDIS_ADDRS":   clitest.StartRedis(t, nil).Addr(),
		"MEDDELA_HTTP_ADDR":     "-",
	})
	for _, after := range []time.Duration{0, 5 * time.Millisecond, 50 * time.Millisecond} {
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		time.AfterFunc(after, stop)
		var out, errOut bytes.Buffer
		env := &command.Env{In: strings.NewReader(""), Out: &out, ErrOut: &errOut, ReachTimeout: time.Minute, Version: "dev"}
		status := env.Execute(ctx, []string{"run", "status", "--lane", "realtime"}, New)
		if said := errOut.String(); status != command.ExitOK || strings.Contains(said, "rights") ||
			strings.Contains(said, "cannot use") {
			t.Errorf("stopped after %v: status %d, it says %q", after, status, said)
		}
	}
}
