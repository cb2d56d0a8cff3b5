package cli

import (
	"strings"
	"testing"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/clitest"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
)

func TestExitStatusAndMessage(t *testing.T) {
	kafka := map[string]string{"MEDDELA_KAFKA_BROKERS": clitest.Nowhere}
	redis := map[string]string{"MEDDELA_REDIS_ADDRS": clitest.Nowhere}
	tests := []struct {
		name        string
		args        []string
		environment map[string]string
		status      int
		says        string // all of stderr, but for "meddela: " and the line's end
	}{
		{"help", nil, nil, command.ExitOK, ""},
		{"help of a parent", []string{"topics"}, nil, command.ExitOK, ""},
		{"unknown command", []string{"statu"}, nil, command.ExitMisused,
			`unknown command "statu" for meddela: did you mean status?`},
		{"unknown command, far", []string{"frobnicate"}, nil, command.ExitMisused,
			`unknown command "frobnicate" for meddela: see meddela --help`},
		{"unknown subcommand", []string{"topics", "aply"}, nil, command.ExitMisused,
			`unknown command "aply" for meddela topics: did you mean apply?`},
		{"unknown flag", []string{"publish", "--lanes", "x"}, nil, command.ExitMisused,
			`unknown flag: --lanes: did you mean --lane?`},
		{"unknown flag, far", []string{"status", "--frobnicate"}, nil, command.ExitMisused,
			`unknown flag: --frobnicate: see meddela status --help`},
		{"bad flag value", []string{"status", "x", "-o", "xml"}, nil, command.ExitMisused,
			`--output is "xml": use table or json`},
		{"no lane", []string{"publish"}, nil, command.ExitMisused, `--lane is missing: use --lane realtime or --lane batch`},
		{"bad lane", []string{"publish", "--lane", "fast"}, nil, command.ExitMisused,
			`--lane is "fast": use realtime or batch`},
		{"negative rate", []string{"publish", "--lane", "batch", "--rate", "-1"}, nil, command.ExitMisused,
			`--rate is "-1": it must be a positive number of events a second`},
		{"two files", []string{"publish", "--lane", "batch", "a", "b"}, nil, command.ExitMisused,
			`meddela publish takes one file, not 2 arguments: see meddela publish --help`},
		{"no id", []string{"status"}, nil, command.ExitMisused,
			`meddela status takes one or more event ids, not 0 arguments: see meddela status --help`},
		{"bad id", []string{"status", "a b"}, nil, command.ExitMisused,
			`"a b" is no event id: it must be 1 to 128 of A-Z a-z 0-9 . _ : -, or a CloudEvent's SOURCE#ID`},
		{"no brokers", []string{"topics", "apply"}, nil, command.ExitMisused,
			"MEDDELA_KAFKA_BROKERS is not set: name your brokers (host:port), or run `meddela up` for an embedded Kafka and Redis"},
		{"no brokers, and waiting for them", []string{"topics", "apply", "--wait", "1m"}, nil, command.ExitMisused,
			"MEDDELA_KAFKA_BROKERS is not set: name your brokers (host:port), or run `meddela up` for an embedded Kafka and Redis"},
		{"no Redis", []string{"status", "x"}, nil, command.ExitMisused,
			"MEDDELA_REDIS_ADDRS is not set: name your Redis (host:port), or run `meddela up` for an embedded Kafka and Redis"},
		{"no such file", []string{"publish", "--lane", "batch", "/no/such"}, kafka, command.ExitFailed,
			"events cannot be read: open /no/such: no such file or directory"},
		{"Kafka away", []string{"topics", "apply"}, kafka, command.ExitFailed,
			"cannot use Kafka at 127.0.0.1:1: connect: connection refused: start it, or correct MEDDELA_KAFKA_BROKERS"},
		{"Redis away", []string{"status", "x"}, redis, command.ExitFailed,
			"cannot use Redis at 127.0.0.1:1: connect: connection refused: start it, or correct MEDDELA_REDIS_ADDRS or MEDDELA_REDIS_MODE"},
		{"misspelt variable", []string{"status", "x"}, map[string]string{"MEDDELA_REDIS_ADDR": clitest.Nowhere},
			command.ExitMisused, "MEDDELA_REDIS_ADDR is not a setting: did you mean MEDDELA_REDIS_ADDRS?"},
		{"version needs no configuration", []string{"version"}, map[string]string{"MEDDELA_NONSENSE": "1"}, command.ExitOK,
			""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := meddela(t, test.environment, "", test.args...)
			got.Want(t, test.status)
			want := ""
			if test.says != "" {
				want = "meddela: " + test.says + "\n"
			}
			if got.Err != want {
				t.Errorf("stderr %q\nwant   %q", got.Err, want)
			}
		})
	}
}

// Whoever has both wrong corrects the command line first: it is what was just typed.
func TestArgumentsAreToldBeforeSettingsAndServers(t *testing.T) {
	for args, says := range map[string]string{
		"publish --lane batch /no/such":              "events cannot be read: open /no/such: ",
		"publish --lane batch --rate -1":             "--rate is ",
		"bench --lane batch --events 0":              "--events is ",
		"bench --lane batch":                         "this publishes 1000 events ",
		"run nothing --lane batch":                   "unknown role ",
		"run match --lane batch --channel sms":       "--channel is for role deliver only",
		"run deliver --lane batch --channel fax":     "--channel is ",
		"status a,b":                                 `"a,b" is no event id`,
		"demo --for 0s":                              "--for is ",
		"lag --role nothing":                         "--role is ",
		"lag --every 1ms":                            "--every is ",
		"uncovered list --since -1h":                 "--since is ",
		"uncovered heal --rate -1":                   "--rate is ",
		"control pause nothing":                      `"nothing" is nothing that can be controlled`,
		"control pause lane:batch --until soon":      "--until is ",
		"suppressions check kim":                     "an argument is no address of channel email",
		"suppressions add kim@example.com --for -1h": "--for is ",
		"suppressions list --reason x":               "--reason is ",
		"suppressions import /no/such":               "addresses cannot be read: open /no/such: ",
		"templates diff-log /no/such":                "there is no folder /no/such",
		"templates diff-log . --since -1h":           "--since is ",
		"templates publish /no/such":                 "there is no folder /no/such",
		"templates retire a --timeout 0s":            "--timeout is ",
		"templates prune --older-than 1m":            "--older-than is ",
		"templates explain --at noon":                "--at is ",
		"templates explain a,b":                      `"a,b" is no file`,
		"templates explain x --folder /no/such":      "there is no folder /no/such",
	} {
		for _, environment := range []map[string]string{
			{"MEDDELA_NONSENSE": "1"}, {"MEDDELA_KAFKA_BROKERS": clitest.Nowhere, "MEDDELA_REDIS_ADDRS": clitest.Nowhere},
		} {
			got := meddela(t, environment, "", strings.Fields(args)...)
			if got.Status == command.ExitOK || !strings.HasPrefix(got.Err, "meddela: "+says) {
				t.Errorf("%s with %v: it says %q, want %q", args, environment, got.Err, says)
			}
		}
	}
}

func TestEveryCommandHasHelpAndExamples(t *testing.T) {
	for _, args := range [][]string{{"topics", "apply"}, {"publish"}, {"status"}, {"config"}, {"version"}} {
		got := meddela(t, nil, "", append(args, "--help")...)
		got.Want(t, command.ExitOK)
		if !strings.Contains(got.Out, "Examples:") || !strings.Contains(got.Out, "meddela "+strings.Join(args, " ")) {
			t.Errorf("the help of %v has no example of it:\n%s", args, got.Out)
		}
	}
}

func TestCompletion(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"publish --lane", "realtime\nbatch\n:4\n"},
		{"status --output", "table\njson\n:4\n"},
	} {
		got := meddela(t, nil, "", append(append([]string{"__complete"}, strings.Fields(test.args)...), "")...)
		if !strings.HasPrefix(got.Out, test.want) {
			t.Errorf("%s completes to %q, want %q", test.args, got.Out, test.want)
		}
	}
	got := meddela(t, nil, "", "completion", "bash")
	got.Want(t, command.ExitOK)
	if !strings.Contains(got.Out, "__start_meddela") {
		t.Error("no completion script for bash")
	}
}
