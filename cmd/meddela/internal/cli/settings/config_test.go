package settings

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/clitest"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
)

func TestConfigShowsWhatIsInForce(t *testing.T) {
	t.Chdir(t.TempDir())
	const password = "password.txt"
	if err := os.WriteFile(password, []byte("hunter3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	environment := map[string]string{
		"MEDDELA_KAFKA_BROKERS":            "a:9092,b:9092",
		"MEDDELA_REDIS_ADDRS":              "r:6379",
		"MEDDELA_REDIS_PASSWORD":           "hunter2",
		"MEDDELA_REDIS_TLS":                "true",
		"MEDDELA_STATUS_TTL":               "90m30s",
		"MEDDELA_KAFKA_SASL_MECHANISM":     "plain",
		"MEDDELA_KAFKA_SASL_USERNAME":      "u",
		"MEDDELA_KAFKA_SASL_IN_CLEAR":      "true",
		"MEDDELA_KAFKA_SASL_PASSWORD_FILE": password,
	}
	table := meddela(t, environment, "", "config", "--redis-addrs", "f:6379")
	table.Want(t, command.ExitOK)
	asJSON := meddela(t, environment, "", "config", "--redis-addrs", "f:6379", "-o", "json")
	asJSON.Want(t, command.ExitOK)
	for _, shown := range []string{table.Out, asJSON.Out} {
		if strings.Contains(shown, "hunter") {
			t.Fatalf("a secret shows in:\n%s", shown)
		}
	}
	clitest.Golden(t, "config.txt", table.Out)

	var views []settingView
	if err := json.Unmarshal([]byte(asJSON.Out), &views); err != nil {
		t.Fatal(err)
	}
	want := map[string]settingView{
		"MEDDELA_KAFKA_BROKERS":       {Value: "a:9092,b:9092", Source: "environment"},
		"MEDDELA_REDIS_ADDRS":         {Value: "f:6379", Source: "flag --redis-addrs"},
		"MEDDELA_REDIS_PASSWORD":      {Value: "***", Source: "environment", Secret: true},
		"MEDDELA_KAFKA_SASL_PASSWORD": {Value: "***", Source: "file " + password, Secret: true},
		"MEDDELA_STATUS_TTL":          {Value: "1h30m30s", Source: "environment"},
		"MEDDELA_CLAIM_TTL":           {Value: "192h", Source: "default"},
	}
	for _, v := range views {
		if w, ok := want[v.Name]; ok {
			if v.Value != w.Value || v.Source != w.Source || v.Secret != w.Secret || v.Description == "" {
				t.Errorf("%s is %+v, want %+v", v.Name, v, w)
			}
			delete(want, v.Name)
		}
	}
	if len(want) > 0 {
		t.Errorf("not shown: %v", want)
	}
}

func TestConfigReference(t *testing.T) {
	got := meddela(t, map[string]string{"MEDDELA_NONSENSE": "1"}, "", "config", "--markdown")
	got.Want(t, command.ExitOK)
	clitest.Golden(t, "../../../../../../docs/settings.md", `# Settings

Environment variables; [operations.md](operations.md#configuration) says how they are read.
`+"`meddela config`"+` shows what is in force.

<!-- made by go test ./cmd/meddela/internal/cli/settings -update -->

`+got.Out)
	for _, want := range []string{
		"| Variable | Default | Allowed | Meaning |",
		"| `MEDDELA_REDIS_PASSWORD`, `MEDDELA_REDIS_PASSWORD_FILE` |",
		"| `MEDDELA_TOPICS_PARTITIONS` | 12 | from 1 to 10000 |",
	} {
		if !strings.Contains(got.Out, want) {
			t.Errorf("no %q in:\n%s", want, got.Out)
		}
	}
}
