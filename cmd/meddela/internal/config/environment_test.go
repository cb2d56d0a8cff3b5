package config

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/meddela/meddela/cmd/meddela/internal/strictyaml"
	"github.com/meddela/meddela/cmd/meddela/internal/testenv"
)

func TestFaultsOfTheEnvironment(t *testing.T) {
	tests := []struct {
		name        string
		environment map[string]string
		want        Faults
	}{
		{name: "nothing set"},
		{
			name: "set to nothing is not set",
			environment: map[string]string{
				"MEDDELA_TOPICS_PARTITIONS": "", "MEDDELA_KAFKA_TLS": "", "MEDDELA_NONSENSE": "", "MEDDELA_REDIS_PASSWORD_FILE": "",
			},
		},
		{
			name: "misspelt",
			environment: map[string]string{
				"MEDDELA_KAFKA_BROKER": "x", "MEDDELA_PARTITIONS": "1", "MEDDELA_REDIS_PASWORD_FILE": "x",
				"MEDDELA_FROBNICATE": "1",
			},
			want: Faults{
				"MEDDELA_FROBNICATE is not a setting: unset it; `meddela config` lists all settings",
				"MEDDELA_KAFKA_BROKER is not a setting: did you mean MEDDELA_KAFKA_BROKERS?",
				"MEDDELA_PARTITIONS is not a setting: did you mean MEDDELA_TOPICS_PARTITIONS?",
				"MEDDELA_REDIS_PASWORD_FILE is not a setting: did you mean MEDDELA_REDIS_PASSWORD_FILE?",
			},
		},
		{
			name: "only secrets may be in files",
			environment: map[string]string{
				"MEDDELA_REDIS_USERNAME_FILE": "x",
			},
			want: Faults{"MEDDELA_REDIS_USERNAME_FILE is not a setting: did you mean MEDDELA_REDIS_USERNAME?"},
		},
		{
			name: "what Kubernetes sets beside a service of our name",
			environment: map[string]string{
				"MEDDELA_SERVICE_HOST": "10.0.0.1", "MEDDELA_SERVICE_PORT": "9090", "MEDDELA_SERVICE_PORT_HTTP": "9090",
				"MEDDELA_PORT": "tcp://10.0.0.1:9090", "MEDDELA_PORT_9090_TCP": "tcp://10.0.0.1:9090",
				"MEDDELA_PORT_9090_TCP_PROTO": "tcp", "MEDDELA_MATCH_BATCH_PORT_9090_TCP_ADDR": "10.0.0.1",
			},
		},
		{
			name:        "a port that no service link sets",
			environment: map[string]string{"MEDDELA_PORT": "9090"},
			want:        Faults{"MEDDELA_PORT is not a setting: unset it; `meddela config` lists all settings"},
		},
		{
			name: "impossible values, all told at once",
			environment: map[string]string{
				"MEDDELA_KAFKA_TLS":                     "yes please",
				"MEDDELA_KAFKA_COMPRESSION":             "rar",
				"MEDDELA_TOPICS_PARTITIONS":             "0",
				"MEDDELA_TOPICS_REPLICATION":            "three",
				"MEDDELA_STATUS_TTL":                    "30d",
				"MEDDELA_SANDBOX_FAIL_RATE":             "1.5",
				"MEDDELA_LOOP_GRACE":                    "1ms",
				"MEDDELA_REDIS_DB":                      "-1",
				"MEDDELA_LOOP_FETCH_BYTES":              strings.Repeat("9", 200),
				"MEDDELA_CLAIM_LEASE":                   "",
				"MEDDELA_TOPICS_DEAD_LETTER_PARTITIONS": "1e3",
				"MEDDELA_LOG_FORMAT":                    "JSON",
				"MEDDELA_REDIS_PASSWORD_FILE":           "/no/such",
			},
			want: Faults{
				`MEDDELA_KAFKA_COMPRESSION is "rar": it must be none, gzip, snappy, lz4 or zstd`,
				`MEDDELA_KAFKA_TLS is "yes please": it must be true or false`,
				`MEDDELA_REDIS_PASSWORD_FILE names /no/such: it cannot be read: open /no/such: no such file or directory`,
				`MEDDELA_REDIS_DB is "-1": it must be at least 0`,
				`MEDDELA_TOPICS_PARTITIONS is "0": it must be from 1 to 10000`,
				`MEDDELA_TOPICS_DEAD_LETTER_PARTITIONS is "1e3": it must be a whole number`,
				`MEDDELA_TOPICS_REPLICATION is "three": it must be a whole number`,
				`MEDDELA_LOG_FORMAT is "JSON": it must be auto, json or console`,
				`MEDDELA_LOOP_FETCH_BYTES is "` + strings.Repeat("9", 80) + `…": it must be a whole number`,
				`MEDDELA_LOOP_GRACE is "1ms": it must be from 1s to 10m`,
				`MEDDELA_STATUS_TTL is "30d": it must be a duration such as 90s, 15m or 720h`,
				`MEDDELA_SANDBOX_FAIL_RATE is "1.5": it must be from 0 to 1`,
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			testenv.OnlyThese(t, test.environment)
			_, faults := ReadSettings(new(Config), new(pflag.FlagSet))
			if !slices.Equal(faults, test.want) {
				t.Errorf("faults:\n%s\nwant:\n%s", faults, test.want)
			}
		})
	}
}

func TestValuesOfTheEnvironment(t *testing.T) {
	testenv.OnlyThese(t, map[string]string{
		"MEDDELA_KAFKA_BROKERS":     " a:1, b:2,,",
		"MEDDELA_KAFKA_TLS":         "true",
		"MEDDELA_TOPIC_PREFIX":      "-",
		"MEDDELA_KEY_PREFIX":        "shop:",
		"MEDDELA_STATUS_TTL":        "48h",
		"MEDDELA_SANDBOX_FAIL_RATE": "0.25",
		"MEDDELA_REDIS_PASSWORD":    " p,\n",
		"MEDDELA_REDIS_TLS":         "true",
	})
	var c Config
	settings, faults := ReadSettings(&c, new(pflag.FlagSet))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	if !slices.Equal(c.Kafka.Brokers, List{"a:1", "b:2"}) || !c.Kafka.TLS || c.Status.TTL != 48*time.Hour ||
		c.Sandbox.FailRate != 0.25 || c.Redis.Password != " p,\n" || c.Topics.Partitions != 12 ||
		c.Kafka.ClientID != "meddela" {
		t.Errorf("read %+v", c)
	}
	if c.Names().Templates() != "templates" || c.Keys().Event("x") != "shop:event:x" {
		t.Errorf("topic %q, key %q", c.Names().Templates(), c.Keys().Event("x"))
	}
	for _, s := range settings {
		want := FromDefault
		if os.Getenv(s.Name) != "" {
			want = fromEnvironment
		}
		if s.Source != want {
			t.Errorf("%s comes from %q, want %q", s.Name, s.Source, want)
		}
	}
}

func TestSecretsInFiles(t *testing.T) {
	folder := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	tests := []struct {
		name, text string
		also       string // in the variable itself
		want       Secret
		fault      string
	}{
		{name: "plain", text: "hunter2", want: "hunter2"},
		{name: "one line end is dropped", text: "hunter2\n", want: "hunter2"},
		{name: "and one of Windows", text: "hunter2\r\n", want: "hunter2"},
		{name: "but not two", text: "hunter2\n\n", want: "hunter2\n"},
		{name: "nor blanks", text: " hunter2 ", want: " hunter2 "},
		{name: "empty", text: "\n", fault: "MEDDELA_REDIS_PASSWORD_FILE names PATH: it is empty"},
		{name: "large", text: strings.Repeat("x", strictyaml.MaxSecretBytes+1),
			fault: "MEDDELA_REDIS_PASSWORD_FILE names PATH: it has more than 65536 bytes"},
		{name: "both", text: "a", also: "b",
			fault: "MEDDELA_REDIS_PASSWORD and MEDDELA_REDIS_PASSWORD_FILE are both set: set one of them"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := file(strings.ReplaceAll(test.name, " ", "-"), test.text)
			testenv.OnlyThese(t, map[string]string{"MEDDELA_REDIS_PASSWORD_FILE": path, "MEDDELA_REDIS_PASSWORD": test.also,
				"MEDDELA_REDIS_TLS": "true"})
			var c Config
			_, faults := ReadSettings(&c, new(pflag.FlagSet))
			if got := strings.ReplaceAll(faults.Error(), path, "PATH"); got != test.fault {
				t.Errorf("fault %q, want %q", got, test.fault)
			}
			if test.fault == "" && c.Redis.Password != test.want {
				t.Errorf("secret %q, want %q", c.Redis.Password.Reveal(), test.want.Reveal())
			}
		})
	}
}

// Every tag must make sense, because nothing else looks at them.
func TestSettingsAreWellFormed(t *testing.T) {
	testenv.OnlyThese(t, nil)
	var c Config
	settings, faults := ReadSettings(&c, new(pflag.FlagSet))
	if len(faults) > 0 {
		t.Fatalf("the defaults are impossible: %v", faults)
	}
	seen := make(map[string]bool)
	for _, s := range settings {
		if !strings.HasPrefix(s.Name, EnvironmentPrefix) || seen[s.Name] || s.Tag.Get("desc") == "" {
			t.Errorf("setting %q: it needs a name of its own that starts with %s, and a description", s.Name, EnvironmentPrefix)
		}
		seen[s.Name] = true
		for _, bound := range []string{"min", "max"} {
			if s.Tag.Get(bound) != "" && math.IsNaN(s.bound(bound, math.NaN())) {
				t.Errorf("%s: its %s cannot be read", s.Name, bound)
			}
		}
	}
}
