package control

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/clitest"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/topology"
)

// controlSite is a Kafka with its topics.
func controlSite(t *testing.T) map[string]string {
	t.Helper()
	environment := map[string]string{
		"MEDDELA_KAFKA_BROKERS":     clitest.StartKafka(t).ListenAddrs()[0],
		"MEDDELA_TOPICS_PARTITIONS": "1", "MEDDELA_TOPICS_REPLICATION": "1",
	}
	meddela(t, environment, "", "topics", "apply").Want(t, command.ExitOK)
	return environment
}

func TestControl(t *testing.T) {
	environment := controlSite(t)
	run := func(args ...string) clitest.Result {
		t.Helper()
		return meddela(t, environment, "", append([]string{"control"}, args...)...)
	}
	run("list").WantOut(t, "nothing is paused or killed\n")
	run("pause", "type:sale", "lane:batch", "--dry-run").WantOut(t, "type:sale would be paused\n"+
		"lane:batch would be paused\ntype:sale: no live template is for events of that type: see meddela templates list\n")
	run("list").WantOut(t, "nothing is paused or killed\n")
	run("pause", "type:sale", "provider:smtp", "type:sale", "--by", "kim", "--reason", "wrong price").Says(t,
		"type:sale is paused\nprovider:smtp is paused\nseen in force ")
	run("kill", "type:sale", "--for", "2h", "--by", "lee").Says(t, "type:sale is killed until ", "; it was paused since ",
		" by kim\n")
	run("list").Says(t, "SUBJECT", "provider:smtp  pause  kim", "wrong price\n", "type:sale  kill  lee")

	var list struct {
		Orders []struct {
			topology.ControlRecord
			InForce bool `json:"in_force"`
		}
	}
	got := run("list", "-o", "json")
	if err := json.Unmarshal([]byte(got.Out), &list); err != nil || len(list.Orders) != 2 {
		t.Fatalf("the list is %s, %v", got.Out, err)
	}
	if o := list.Orders[1]; o.Subject != "type:sale" || o.Action != topology.Kill || o.By != "lee" || !o.InForce ||
		time.Until(o.Until) < time.Hour || time.Since(o.At) > time.Minute {
		t.Errorf("the kill is %+v", o)
	}

	run("resume", "type:sale", "type:other").Says(t, "type:sale is resumed; it was killed since ",
		"type:other is neither paused nor killed\n")
	run("resume", "type:sale").WantOut(t, "type:sale is neither paused nor killed\n")
	run("list", "--all").Says(t, "type:sale  resume")
	if got := run("list"); strings.Contains(got.Out, "type:sale") {
		t.Errorf("what is resumed is in the list:\n%s", got.Out)
	}
}

// TestControlOfAnEndedOrder: it is in force no more, and nobody need resume it.
func TestControlOfAnEndedOrder(t *testing.T) {
	environment := controlSite(t)
	meddela(t, environment, "", "control", "pause", "lane:batch", "--for", "1ms").Want(t, command.ExitOK)
	meddela(t, environment, "", "control", "list").WantOut(t, "nothing is paused or killed\n")
	meddela(t, environment, "", "control", "list", "--all").Says(t, "lane:batch  pause, ended")
	meddela(t, environment, "", "control", "resume", "lane:batch").WantOut(t, "lane:batch is neither paused nor killed\n")
}

// TestControlOfTheUnknown: who mistypes a name is told, and the order is given all the same: one of that name may
// be published later.
func TestControlOfTheUnknown(t *testing.T) {
	environment := controlSite(t)
	meddela(t, environment, "", "templates", "publish", "../../../samples/templates").Want(t, command.ExitOK)
	run := func(args ...string) clitest.Result {
		return meddela(t, environment, "", append([]string{"control"}, args...)...)
	}
	const says = ": see meddela templates list"
	known := []string{"template:order_confirmation", "type:password_reset", "channel:sms", "lane:batch", "provider:any"}
	for _, action := range []string{"pause", "kill"} {
		for _, subject := range known {
			if got := run(action, subject); got.Status != command.ExitOK || strings.Contains(got.Out+got.Err, says) {
				t.Errorf("%s %s: %+v", action, subject, got)
			}
		}
		run(action, "template:order_confirmatoin", known[0]).Says(t, "template:order_confirmatoin is ",
			"template:order_confirmatoin: there is no template of that name"+says+"\n")
		run(action, "type:order_confirmation_", "-o", "json").Says(t, `"unknown":["type:order_confirmation_"]`)
	}
	if got := run("resume", "template:order_confirmatoin"); strings.Contains(got.Out, says) {
		t.Errorf("%+v", got)
	}
}

func TestControlInJSON(t *testing.T) {
	environment := controlSite(t)
	meddela(t, environment, "", "control", "pause", "channel:sms", "--by", "kim").Want(t, command.ExitOK)
	got := meddela(t, environment, "", "control", "kill", "channel:sms", "--by", "lee", "--until", "2999-01-31", "-o",
		"json")
	got.Want(t, command.ExitOK)
	var view struct {
		Orders []struct {
			topology.ControlRecord
			Before *topology.ControlRecord
		}
		Idle []string
	}
	if err := json.Unmarshal([]byte(got.Out), &view); err != nil || len(view.Orders) != 1 || len(view.Idle) != 0 {
		t.Fatalf("it says %s, %v", got.Out, err)
	}
	o := view.Orders[0]
	if o.Action != topology.Kill || o.Until.Year() != 2999 || o.Before == nil || o.Before.Action != topology.Pause ||
		o.Before.By != "kim" {
		t.Errorf("it says %s", got.Out)
	}
}

func TestControlMisuse(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"pause", "meddela control pause takes one or more subjects, not 0 arguments: see meddela control pause --help"},
		{"pause sale", `"sale" is nothing that can be controlled: use template:NAME, type:NAME, channel:NAME, provider:NAME or lane:NAME`},
		{"kill channel:fax", `"channel:fax" is nothing that can be controlled: use template:NAME, type:NAME, channel:NAME, provider:NAME or lane:NAME`},
		{"kill lane:batch --until 2020-01-01", "--until is 2020-01-01: that is past"},
		{"kill lane:batch --until soon",
			`--until is "soon": use a date such as 2027-01-31, or a time such as 2027-01-31T08:00:00Z`},
		{"kill lane:batch --until 2999-01-01 --for 2h", "--until and --for are both given: use one of them"},
		{"kill lane:batch --for -2h", "--for is -2h0m0s: it must be a length of time such as 2h"},
		{"resume lane:batch --for 2h", "unknown flag: --for: see meddela control resume --help"},
		{"pause lane:batch --reason " + strings.Repeat("x",
			201), "--by and --reason must each be one line of at most 200 bytes"},
		{"pause lane:batch --timeout 0s", `--timeout is "0s": it must be a length of time such as 30s`},
		{"stop lane:batch", `unknown command "stop" for meddela control: see meddela control --help`},
	} {
		got := meddela(t, nil, "", append([]string{"control"}, strings.Fields(test.args)...)...)
		got.Want(t, command.ExitMisused)
		if got.Err != "meddela: "+test.want+"\n" {
			t.Errorf("%s:\n got %swant meddela: %s", test.args, got.Err, test.want)
		}
	}
}
