package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSuppressions(t *testing.T) {
	environment := map[string]string{"MEDDELA_REDIS_ADDRS": startRedis(t, nil).Addr()}
	run := func(args ...string) result {
		t.Helper()
		return meddela(t, environment, "", append([]string{"suppressions"}, args...)...)
	}
	run("list").wantOut(t, "no addresses are suppressed\n")
	run("check", "kim@example.com").wantOut(t, "not suppressed on channel email\n")
	run("add", "kim@example.com", "LEE@example.com", "--reason", "unsubscribed").wantOut(t, "2 addresses suppressed for good, 0 for as long already\n")
	run("add", "lee@example.com", "max@example.com").wantOut(t, "1 address suppressed for good, 1 for as long already\n")
	run("add", "+46 70 123 45 67", "--channel", "sms", "--for", "720h").says(t, "1 address suppressed until ")
	run("check", "Kim@Example.com").says(t, "suppressed on channel email: unsubscribed, since ", ", for good\n")
	run("check", "0046701234567", "--channel", "sms").says(t, "suppressed on channel sms: manual, since ", ", until ")
	run("list").says(t, "CHANNEL", "email  manual  1", "email  unsubscribed  2", "sms  manual  1  1", "\n4 addresses are suppressed\n")
	run("list", "--channel", "sms").says(t, "\n1 address is suppressed\n")
	got := run("list", "--entries", "--reason", "unsubscribed")
	got.want(t, exitOK)
	if strings.Count(got.out, "\n") != 2 || strings.Count(got.out, "  email   unsubscribed  ") != 2 || strings.Contains(got.out, "kim") {
		t.Errorf("the entries are\n%s", got.out)
	}
	run("remove", "kim@example.com", "nobody@example.com").wantOut(t, "1 address removed, 1 not suppressed\n")
	run("check", "kim@example.com").wantOut(t, "not suppressed on channel email\n")
}

func TestSuppressionsInJSON(t *testing.T) {
	environment := map[string]string{"MEDDELA_REDIS_ADDRS": startRedis(t, nil).Addr()}
	for _, test := range []struct{ args, want string }{
		{"list", `{"addresses":0,"counts":[]}`},
		{"check kim@example.com", `{"suppressed":false}`},
		{"add kim@example.com --reason bounced --until 2999-01-31", `{"channel":"email","reason":"bounced","until":"2999-01-31T00:00:00Z","added":1,"known":0}`},
		{"list", `{"addresses":1,"counts":[{"channel":"email","reason":"bounced","addresses":1,"ending":1}]}`},
		{"list --channel push", `{"addresses":0,"counts":[]}`},
		{"remove kim@example.com lee@example.com", `{"removed":1,"unknown":1}`},
	} {
		meddela(t, environment, "", strings.Fields("suppressions "+test.args+" -o json")...).wantOut(t, test.want+"\n")
	}
	meddela(t, environment, "", strings.Fields("suppressions add kim@example.com -o json")...).want(t, exitOK)
	got := meddela(t, environment, "", strings.Fields("suppressions check kim@example.com -o json")...)
	got.says(t, `{"suppressed":true,"channel":"email","hash":"339ddf2e8137246f604b58d371b67a01","reason":"manual","added":"`)
}

// TestSuppressionsImport: bad lines are told, and keep the others from nothing.
func TestSuppressionsImport(t *testing.T) {
	environment := map[string]string{"MEDDELA_REDIS_ADDRS": startRedis(t, nil).Addr()}
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
	got.want(t, exitFailed)
	if !strings.HasPrefix(got.out, "5000 addresses suppressed, 0 for as long already, 2 lines not imported; 5002 lines read in ") {
		t.Errorf("it says %s", got.out)
	}
	want := "line 5002: address: it is none of channel email\n" +
		"line 5003: until: use a date such as 2027-01-31, or a time such as 2027-01-31T08:00:00Z\n" +
		"meddela: 2 of 5002 lines were not imported\n"
	if got.err != want {
		t.Errorf("it complains\n%s\nwant\n%s", got.err, want)
	}

	again := meddela(t, environment, file.String(), "suppressions", "import", "-", "--reason", "bounced", "-o", "json")
	again.want(t, exitFailed)
	var view struct {
		Read, Added, Known, Bad int
		BadLines                []struct{ Line int } `json:"bad_lines"`
	}
	if err := json.Unmarshal([]byte(again.out), &view); err != nil || view.Added != 0 || view.Known != lines || view.Bad != 2 || len(view.BadLines) != 2 || view.BadLines[1].Line != 5003 {
		t.Errorf("again: %s, %v", again.out, err)
	}
	meddela(t, environment, "", "suppressions", "list").says(t, "email  bounced  5000  0")
}

// TestSuppressionsPepper: another pepper than was used before is told, and
// changes nothing.
func TestSuppressionsPepper(t *testing.T) {
	environment := map[string]string{"MEDDELA_REDIS_ADDRS": startRedis(t, nil).Addr()}
	peppered := map[string]string{"MEDDELA_REDIS_ADDRS": environment["MEDDELA_REDIS_ADDRS"], "MEDDELA_SUPPRESS_PEPPER": "secret"}
	meddela(t, peppered, "", strings.Fields("suppressions add kim@example.com")...).want(t, exitOK)
	meddela(t, peppered, "", strings.Fields("suppressions check kim@example.com")...).says(t, "suppressed on channel email: manual")
	for _, args := range []string{"add lee@example.com", "check kim@example.com", "remove kim@example.com"} {
		got := meddela(t, environment, "", strings.Fields("suppressions "+args)...)
		got.want(t, exitFailed)
		if want := "meddela: the suppressed addresses in Redis are hashed with another pepper than this process was given: correct MEDDELA_SUPPRESS_PEPPER\n"; got.err != want {
			t.Errorf("%s: %s", args, got.err)
		}
	}
}

func TestSuppressionsMisuse(t *testing.T) {
	environment := map[string]string{"MEDDELA_REDIS_ADDRS": startRedis(t, nil).Addr()}
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args, want string
		status     int
	}{
		{"add", "meddela suppressions add takes one or more addresses, not 0 arguments: see meddela suppressions add --help", exitMisused},
		{"add kim@example.com --channel webhook", `--channel is "webhook": use email, sms or push`, exitMisused},
		{"add kim@example.com --reason dislike", `--reason is "dislike": use unsubscribed, bounced, complaint or manual`, exitMisused},
		{"add kim@example.com --until 2020-01-01", "--until is 2020-01-01: that is past", exitMisused},
		{"add kim@example.com --for 1h --until 2999-01-01", "--until and --for are both given: use one of them", exitMisused},
		{"add kim", "an argument is no address of channel email: correct it, or --channel", exitMisused},
		{"remove 112", "an argument is no address of channel email: correct it, or --channel", exitMisused},
		{"check 112", "an argument is no address of channel email: correct it, or --channel", exitMisused},
		{"list --reason x", `--reason is "x": use unsubscribed, bounced, complaint or manual`, exitMisused},
		{"import /no/such", "addresses cannot be read: open /no/such: no such file or directory", exitFailed},
		{"import " + empty, "nothing is imported: the header row: there is none: the file is empty", exitFailed},
	} {
		got := meddela(t, environment, "", append([]string{"suppressions"}, strings.Fields(test.args)...)...)
		got.want(t, test.status)
		if got.err != "meddela: "+test.want+"\n" {
			t.Errorf("%s:\n got %swant meddela: %s", test.args, got.err, test.want)
		}
	}
}
