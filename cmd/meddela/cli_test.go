package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/twmb/franz-go/pkg/kfake"
)

var update = flag.Bool("update", false, "write the golden files anew")

// result is what a command line came to.
type result struct {
	status   int
	out, err string
}

// meddela runs one command line with exactly these MEDDELA_ variables.
func meddela(t *testing.T, environment map[string]string, input string, args ...string) result {
	t.Helper()
	onlyThese(t, environment)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var out, errOut bytes.Buffer
	a := &app{in: strings.NewReader(input), out: &out, errOut: &errOut, reachTimeout: 2 * time.Second}
	status := a.execute(ctx, args)
	return result{status, out.String(), errOut.String()}
}

// onlyThese sets the MEDDELA_ variables, and unsets all others, for the test.
func onlyThese(t *testing.T, environment map[string]string) {
	t.Helper()
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, environmentPrefix) {
			t.Setenv(name, "")
		}
	}
	for name, value := range environment {
		t.Setenv(name, value)
	}
}

func (r result) want(t *testing.T, status int) {
	t.Helper()
	if r.status != status {
		t.Fatalf("exit status %d, want %d\nout: %s\nerr: %s", r.status, status, r.out, r.err)
	}
}

var testdata, _ = filepath.Abs("testdata")

// golden compares got with a file in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join(testdata, name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("differs from %s (go test -update writes it anew)\ngot:\n%s\nwant:\n%s", path, got, want)
	}
}

func startKafka(t *testing.T, options ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	cluster, err := kfake.NewCluster(append(options, kfake.NumBrokers(1))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster
}

func startRedis(t *testing.T, serverTLS *tls.Config) *miniredis.Miniredis {
	t.Helper()
	server := miniredis.NewMiniRedis()
	start := server.Start
	if serverTLS != nil {
		start = func() error { return server.StartTLS(serverTLS) }
	}
	if err := start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return server
}

// nowhere is an address at which nothing listens.
const nowhere = "127.0.0.1:1"

func TestExitStatusAndMessage(t *testing.T) {
	kafka := map[string]string{"MEDDELA_KAFKA_BROKERS": nowhere}
	redis := map[string]string{"MEDDELA_REDIS_ADDRS": nowhere}
	tests := []struct {
		name        string
		args        []string
		environment map[string]string
		status      int
		says        string // all of stderr, but for "meddela: " and the line's end
	}{
		{"help", nil, nil, exitOK, ""},
		{"help of a parent", []string{"topics"}, nil, exitOK, ""},
		{"unknown command", []string{"statu"}, nil, exitMisused, `unknown command "statu" for meddela: did you mean status?`},
		{"unknown command, far", []string{"frobnicate"}, nil, exitMisused, `unknown command "frobnicate" for meddela: see meddela --help`},
		{"unknown subcommand", []string{"topics", "aply"}, nil, exitMisused, `unknown command "aply" for meddela topics: did you mean apply?`},
		{"unknown flag", []string{"publish", "--lanes", "x"}, nil, exitMisused, `unknown flag: --lanes: did you mean --lane?`},
		{"unknown flag, far", []string{"status", "--frobnicate"}, nil, exitMisused, `unknown flag: --frobnicate: see meddela status --help`},
		{"bad flag value", []string{"status", "x", "-o", "xml"}, nil, exitMisused, `invalid argument "xml" for "-o, --output" flag: use table or json`},
		{"no lane", []string{"publish"}, nil, exitMisused, `--lane is missing: use --lane realtime or --lane batch`},
		{"bad lane", []string{"publish", "--lane", "fast"}, nil, exitMisused, `invalid argument "fast" for "--lane" flag: unknown lane "fast": use "realtime" or "batch"`},
		{"negative rate", []string{"publish", "--lane", "batch", "--rate", "-1"}, nil, exitMisused, `--rate is -1: it must be a positive number of events a second`},
		{"two files", []string{"publish", "--lane", "batch", "a", "b"}, nil, exitMisused, `meddela publish takes one file, not 2 arguments: see meddela publish --help`},
		{"no id", []string{"status"}, nil, exitMisused, `meddela status takes one or more event ids, not 0 arguments: see meddela status --help`},
		{"bad id", []string{"status", "a b"}, nil, exitMisused, `"a b" is no event id: it must be 1 to 128 of A-Z a-z 0-9 . _ : -`},
		{"no brokers", []string{"topics", "apply"}, nil, exitMisused, "MEDDELA_KAFKA_BROKERS is not set: name your brokers (host:port), or run `meddela up` for an embedded Kafka and Redis"},
		{"no brokers, and waiting for them", []string{"topics", "apply", "--wait", "1m"}, nil, exitMisused, "MEDDELA_KAFKA_BROKERS is not set: name your brokers (host:port), or run `meddela up` for an embedded Kafka and Redis"},
		{"no Redis", []string{"status", "x"}, nil, exitMisused, "MEDDELA_REDIS_ADDRS is not set: name your Redis (host:port), or run `meddela up` for an embedded Kafka and Redis"},
		{"no such file", []string{"publish", "--lane", "batch", "/no/such"}, kafka, exitFailed, "events cannot be read: open /no/such: no such file or directory"},
		{"Kafka away", []string{"topics", "apply"}, kafka, exitFailed, "cannot use Kafka at 127.0.0.1:1: connect: connection refused: start it, or correct MEDDELA_KAFKA_BROKERS"},
		{"Redis away", []string{"status", "x"}, redis, exitFailed, "cannot use Redis at 127.0.0.1:1: connect: connection refused: start it, or correct MEDDELA_REDIS_ADDRS or MEDDELA_REDIS_MODE"},
		{"misspelt variable", []string{"status", "x"}, map[string]string{"MEDDELA_REDIS_ADDR": nowhere}, exitMisused, "MEDDELA_REDIS_ADDR is not a setting: did you mean MEDDELA_REDIS_ADDRS?"},
		{"version needs no configuration", []string{"version"}, map[string]string{"MEDDELA_NONSENSE": "1"}, exitOK, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := meddela(t, test.environment, "", test.args...)
			got.want(t, test.status)
			want := ""
			if test.says != "" {
				want = "meddela: " + test.says + "\n"
			}
			if got.err != want {
				t.Errorf("stderr %q\nwant   %q", got.err, want)
			}
		})
	}
}

func TestEveryCommandHasHelpAndExamples(t *testing.T) {
	for _, args := range [][]string{{"topics", "apply"}, {"publish"}, {"status"}, {"config"}, {"version"}} {
		got := meddela(t, nil, "", append(args, "--help")...)
		got.want(t, exitOK)
		if !strings.Contains(got.out, "Examples:") || !strings.Contains(got.out, "meddela "+strings.Join(args, " ")) {
			t.Errorf("the help of %v has no example of it:\n%s", args, got.out)
		}
	}
}

func TestCompletion(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"publish --lane", "realtime\nbatch\n:4\n"},
		{"status --output", "table\njson\n:4\n"},
	} {
		got := meddela(t, nil, "", append(append([]string{"__complete"}, strings.Fields(test.args)...), "")...)
		if !strings.HasPrefix(got.out, test.want) {
			t.Errorf("%s completes to %q, want %q", test.args, got.out, test.want)
		}
	}
	got := meddela(t, nil, "", "completion", "bash")
	got.want(t, exitOK)
	if !strings.Contains(got.out, "__start_meddela") {
		t.Error("no completion script for bash")
	}
}
