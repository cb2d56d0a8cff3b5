package suppressions

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/clitest"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
)

func TestSuppressions(t *testing.T) {
	environment := site(t)
	run := func(args ...string) clitest.Result {
		t.Helper()
		return meddela(t, environment, "", append([]string{"suppressions"}, args...)...)
	}
	run("list").WantOut(t, "no addresses are suppressed\n")
	run("check", "kim@example.com").WantOut(t, "not suppressed on channel email\n")
	run("add", "kim@example.com", "LEE@example.com", "--reason", "unsubscribed").WantOut(t,
		"2 addresses suppressed for good, 0 for as long already\n")
	run("add", "lee@example.com", "max@example.com").WantOut(t, "1 address suppressed for good, 1 for as long already\n")
	run("add", "+46 70 123 45 67", "--channel", "sms", "--for", "720h").Says(t, "1 address suppressed until ")
	run("check", "Kim@Example.com").Says(t, "suppressed on channel email: unsubscribed, since ", ", for good\n")
	run("check", "0046701234567", "--channel", "sms").Says(t, "suppressed on channel sms: manual, since ", ", until ")
	run("list").Says(t, "CHANNEL", "email  manual  1", "email  unsubscribed  2", "sms  manual  1  1",
		"\n4 addresses are suppressed\n")
	run("list", "--channel", "sms").Says(t, "\n1 address is suppressed\n")
	got := run("list", "--entries", "--reason", "unsubscribed")
	got.Want(t, command.ExitOK)
	if strings.Count(got.Out, "\n") != 2 || strings.Count(got.Out, "  email   unsubscribed  ") != 2 ||
		strings.Contains(got.Out, "kim") {
		t.Errorf("the entries are\n%s", got.Out)
	}
	run("remove", "kim@example.com", "nobody@example.com").WantOut(t, "1 address removed, 1 not suppressed\n")
	run("check", "kim@example.com").WantOut(t, "not suppressed on channel email\n")
}

func TestSuppressionsInJSON(t *testing.T) {
	environment := site(t)
	for _, test := range []struct{ args, want string }{
		{"list", `{"addresses":0,"counts":[]}`},
		{"check kim@example.com", `{"suppressed":false}`},
		{"add kim@example.com --reason bounced --until 2999-01-31",
			`{"channel":"email","reason":"bounced","until":"2999-01-31T00:00:00Z","added":1,"known":0}`},
		{"list", `{"addresses":1,"counts":[{"channel":"email","reason":"bounced","addresses":1,"ending":1}]}`},
		{"list --channel push", `{"addresses":0,"counts":[]}`},
		{"remove kim@example.com lee@example.com", `{"removed":1,"unknown":1}`},
	} {
		meddela(t, environment, "", strings.Fields("suppressions "+test.args+" -o json")...).WantOut(t, test.want+"\n")
	}
	meddela(t, environment, "", strings.Fields("suppressions add kim@example.com -o json")...).Want(t, command.ExitOK)
	got := meddela(t, environment, "", strings.Fields("suppressions check kim@example.com -o json")...)
	got.Says(t, `{"suppressed":true,"channel":"email","hash":"309efbd9e3706488c72d98a778df7584","reason":"manual","added":"`)
}

// TestSuppressionsImport: bad lines are told, and keep the others from nothing.
func TestSuppressionsImport(t *testing.T) {
	environment := site(t)
	const lines = 5_000
	var file strings.Builder
	file.WriteString("id;email;until\n")
	for i := range lines {
		fmt.Fprintf(&file, "%d;kim%d@example.com;\n", i, i)
	}
	file.WriteString("x;nobody;\ny;lee@example.com;soon\n")
	path := filepath.Join(t.TempDir(), "gone.csv")
	if err := os.WriteFile(path, []byte(file.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	got := meddela(t, environment, "", "suppressions", "import", path, "--reason", "bounced")
	got.Want(t, command.ExitFailed)
	if !strings.HasPrefix(got.Out,
		"5000 addresses suppressed, 0 for as long already, 2 lines not imported; 5002 lines read in ") {
		t.Errorf("it says %s", got.Out)
	}
	want := "line 5002: address: it is none of channel email\n" +
		"line 5003: until: use a date such as 2027-01-31, or a time such as 2027-01-31T08:00:00Z\n" +
		"meddela: 2 of 5002 lines were not imported\n"
	if got.Err != want {
		t.Errorf("it complains\n%s\nwant\n%s", got.Err, want)
	}

	again := meddela(t, environment, file.String(), "suppressions", "import", "-", "--reason", "bounced", "-o", "json")
	again.Want(t, command.ExitFailed)
	var view struct {
		Read, Added, Known, Bad int
		BadLines                []struct{ Line int } `json:"bad_lines"`
	}
	if err := json.Unmarshal([]byte(again.Out), &view); err != nil || view.Added != 0 || view.Known != lines ||
		view.Bad != 2 || len(view.BadLines) != 2 || view.BadLines[1].Line != 5003 {
		t.Errorf("again: %s, %v", again.Out, err)
	}
	meddela(t, environment, "", "suppressions", "list").Says(t, "email  bounced  5000  0")

	numbers := meddela(t, environment, "mobilePhone\n0701234567\n+46701234567\n",
		"suppressions", "import", "-", "--channel", "sms", "--reason", "manual")
	numbers.Want(t, command.ExitOK)
	want = "1 phone number is without a country's code: such a line is about events with the same digits only. "
	if !strings.HasPrefix(numbers.Err, want) {
		t.Errorf("of a number without a country's code it says %s", numbers.Err)
	}
}

// TestSuppressionsPepper: without one, or with another than was used before, nothing is
// changed or said.
func TestSuppressionsPepper(t *testing.T) {
	environment := site(t)
	meddela(t, environment, "", strings.Fields("suppressions add kim@example.com")...).Want(t, command.ExitOK)
	for pepper, want := range map[string]string{
		"another pepper, which is long enough as well": "the suppressed addresses are hashed with another pepper than " +
			"this process was given: correct MEDDELA_SUPPRESS_PEPPER\n",
		"":      "MEDDELA_SUPPRESS_PEPPER is not set: addresses are hashed with it. ",
		"short": "MEDDELA_SUPPRESS_PEPPER has 5 bytes, fewer than 32: ",
	} {
		other := maps.Clone(environment)
		other["MEDDELA_SUPPRESS_PEPPER"] = pepper
		for _, args := range []string{"add lee@example.com", "check kim@example.com", "remove kim@example.com", "list",
			"prune", "restore"} {
			got := meddela(t, other, "", strings.Fields("suppressions "+args)...)
			if got.Status == command.ExitOK || got.Out != "" || !strings.Contains(got.Err, want) {
				t.Errorf("%q: %s: exit status %d, %s%s; want %s", pepper, args, got.Status, got.Out, got.Err, want)
			}
		}
	}
	meddela(t, environment, "", strings.Fields("suppressions list")...).Says(t, "\n1 address is suppressed\n")
}

// TestLostSuppressions: check tells of a copy that is not complete, and the next command
// completes it.
func TestLostSuppressions(t *testing.T) {
	redis := clitest.StartRedis(t, nil)
	environment := site(t)
	environment["MEDDELA_REDIS_ADDRS"] = redis.Addr()
	check := func(want string) {
		t.Helper()
		got := meddela(t, environment, "", "check")
		if !slices.ContainsFunc(strings.Split(got.Out, "\n"), func(line string) bool {
			return strings.HasPrefix(strings.Join(strings.Fields(line), " "), want)
		}) {
			t.Errorf("check says\n%s%s\nwant %q", got.Out, got.Err, want)
		}
	}
	check("suppressions well there are none")
	add := strings.Fields("suppressions add kim@example.com lee@example.com")
	meddela(t, environment, "", add...).Want(t, command.ExitOK)
	check("suppressions well Redis's copy of the topic is complete")
	redis.FlushAll()
	check("suppressions WRONG the copy of the topic in Redis is 3 records behind, so that nothing is sent")
	isKim := strings.Fields("suppressions check kim@example.com")
	meddela(t, environment, "", isKim...).Says(t, "suppressed on channel email")
	check("suppressions well Redis's copy of the topic is complete")

	environment["MEDDELA_TOPIC_PREFIX"] = "anew."
	meddela(t, environment, "", "topics", "apply").Want(t, command.ExitOK)
	check("suppressions WRONG the suppressions topic has lost what Redis has a copy of: run `meddela suppressions restore`")
	got := meddela(t, environment, "", strings.Fields("suppressions check max@example.com")...)
	if got.Status == command.ExitOK {
		t.Errorf("it says %s", got.Out)
	}
	meddela(t, environment, "", "suppressions", "restore").WantOut(t, "2 suppressions written to the topic\n")
	isLee := strings.Fields("suppressions check lee@example.com")
	meddela(t, environment, "", isLee...).Says(t, "suppressed on channel email")
	meddela(t, environment, "", "suppressions", "restore").WantOut(t, "0 suppressions written to the topic\n")
	meddela(t, environment, "", "suppressions", "prune").WantOut(t, "0 suppressions that had ended taken from the topic\n")
}

func TestSuppressionsMisuse(t *testing.T) {
	environment := site(t)
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args, want string
		status     int
	}{
		{"add", "meddela suppressions add takes one or more addresses, not 0 arguments: see meddela suppressions add --help",
			command.ExitMisused},
		{"add kim@example.com --channel webhook", `--channel is "webhook": use email, sms or push`, command.ExitMisused},
		{"add kim@example.com --reason dislike", `--reason is "dislike": use unsubscribed, bounced, complaint or manual`,
			command.ExitMisused},
		{"add kim@example.com --until 2020-01-01", "--until is 2020-01-01: that is past", command.ExitMisused},
		{"add kim@example.com --for 1h --until 2999-01-01", "--until and --for are both given: use one of them",
			command.ExitMisused},
		{"add kim", "an argument is no address of channel email: correct it, or --channel", command.ExitMisused},
		{"remove 112", "an argument is no address of channel email: correct it, or --channel", command.ExitMisused},
		{"check 112", "an argument is no address of channel email: correct it, or --channel", command.ExitMisused},
		{"list --reason x", `--reason is "x": use unsubscribed, bounced, complaint or manual`, command.ExitMisused},
		{"import /no/such", "addresses cannot be read: open /no/such: no such file or directory", command.ExitFailed},
		{"import " + empty, "nothing is imported: the header row: there is none: the file is empty", command.ExitFailed},
	} {
		got := meddela(t, environment, "", append([]string{"suppressions"}, strings.Fields(test.args)...)...)
		got.Want(t, test.status)
		if got.Err != "meddela: "+test.want+"\n" {
			t.Errorf("%s:\n got %swant meddela: %s", test.args, got.Err, test.want)
		}
	}
}
