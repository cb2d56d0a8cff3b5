package templates

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/clitest"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/explain"
	"github.com/meddela/meddela/consumer/scan"
	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/topology"
)

// explainFolder is a folder of templates that a code may be covered by.
func explainFolder(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	writeTemplate(t, folder, "code", "types: [code]\nttl: 10m", "Your code is {{.ctx.code}}")
	writeTemplate(t, folder, "code_long", "types: [code]\nwhen: size(ctx.code) > 4", "Your long code is {{.ctx.code}}")
	writeTemplate(t, folder, "parcel", "types: [parcel]", "Your parcel {{.ctx.number}}")
	return folder
}

const codeEvent = `{"id":"c1","type":"code","channel":"sms","mobilePhone":"+46701740605","language":"sv-FI","ctx":{"code":"1111"}}`

func TestExplainWithAFolder(t *testing.T) {
	folder := explainFolder(t)
	file := filepath.Join(t.TempDir(), "event.json")
	if err := os.WriteFile(file, []byte(codeEvent), 0o644); err != nil {
		t.Fatal(err)
	}
	got := meddela(t, nil, "", "templates", "explain", file, "--folder", folder, "--at", "2026-12-01T08:00:00Z")
	got.Want(t, command.ExitOK)
	clitest.Golden(t, "explained.txt", got.Out)
	noContent(t, got, "1111", "4670")

	fromInput := meddela(t, nil, codeEvent, "templates", "explain", "--folder", folder, "--at", "2026-12-01T08:00:00Z")
	fromInput.WantOut(t, got.Out)

	shown := meddela(t, nil, codeEvent, "templates", "explain", "--folder", folder, "--show")
	shown.Want(t, command.ExitOK)
	for _, want := range []string{"to +46701740605", "Your code is 1111"} {
		if !strings.Contains(shown.Out, want) {
			t.Errorf("no %q in\n%s", want, shown.Out)
		}
	}
}

func TestExplainWhatIsNotSent(t *testing.T) {
	folder := explainFolder(t)
	for _, test := range []struct{ change, to, want string }{
		{`"code","channel"`, `"kode","channel"`, "there are templates for the type code: is that meant?"},
		{`"sms"`, `"email"`, "is for channel sms"},
		{`"1111"`, `7`, "✗ code_long@"},
		{`{"code":"1111"}`, `[]`, "it breaks the contract: ctx: must be an object (wrong_type)"},
		{`"mobilePhone":"+46701740605",`, "", "the event has no address: delivery ignores it (missing_address)"},
		{`"type":"code"`, `"type":"parcel"`, "parcel/en/sms.txt:1: ctx.number is missing (missing_data)"},
		{`"ctx"`, `"expiration":"2026-11-30T00:00:00Z","ctx"`, "it ended 32h0m0s ago"},
		{`"ctx"`, `"scheduled":"2026-12-02T08:00:00Z","ctx"`, "not to be sent for another 24h0m0s"},
		{`"id":"c1"`, `"id":"\u001b[2J"`, "it breaks the contract: id: must be"},
	} {
		event := strings.Replace(codeEvent, test.change, test.to, 1)
		got := meddela(t, nil, event, "templates", "explain", "--folder", folder, "--at", "2026-12-01T08:00:00Z")
		got.Want(t, command.ExitOK)
		if !strings.Contains(got.Out, test.want) {
			t.Errorf("%s: no %q in\n%s", event, test.want, got.Out)
		}
		noContent(t, got, "1111", "4670", "\x1b")
	}
}

// TestExplainFromKafkaAndRedis explains the same event by its coordinates and by
// its id, with the templates that are published.
func TestExplainFromKafkaAndRedis(t *testing.T) {
	environment := templatesSite(t)
	redis := clitest.StartRedis(t, nil)
	environment["MEDDELA_REDIS_ADDRS"] = redis.Addr()
	meddela(t, environment, "", "templates", "publish", explainFolder(t)).Want(t, command.ExitOK)
	meddela(t, environment, codeEvent, "publish", "--lane", "realtime").Want(t, command.ExitOK)
	record := readOne(t, environment["MEDDELA_KAFKA_BROKERS"], "c1")
	redis.HSet("meddela:event:c1", "status", "sent", "rank", "1", "source", string(record.Source()), "lane", "realtime",
		"template", "code@old")

	read := func(args ...string) explanation {
		t.Helper()
		got := meddela(t, environment, "", append([]string{"templates", "explain", "-o", "json"}, args...)...)
		got.Want(t, command.ExitOK)
		noContent(t, got, "1111", "4670")
		var view explanation
		if err := json.Unmarshal([]byte(got.Out), &view); err != nil {
			t.Fatalf("%v: %s", err, got.Out)
		}
		return view
	}
	for _, event := range []string{string(record.Source()), "c1"} {
		view := read(event, "--at", "received")
		if view.Event.Source != record.Source() || view.Event.IDFrom != explain.FromValue ||
			!view.Validity.Received.Equal(view.Decision.At) ||
			view.Decision.Status != topology.PendingDelivery || len(view.Candidates) != 2 {
			t.Errorf("%s: %+v", event, view.Explanation)
		}
		if known := view.State != nil; known != (event == "c1") || known && view.State.Status != topology.Sent {
			t.Errorf("%s: state %+v", event, view.State)
		}
	}
	if late := read("c1", "--at", "2100-01-01T00:00:00Z"); late.Decision.Status != topology.Expired ||
		late.Validity.State != explain.Ended || late.Message != nil {
		t.Errorf("%+v", late.Explanation)
	}
	cards := meddela(t, environment, "", "templates", "explain", "c1")
	cards.Want(t, command.ExitOK)
	if !strings.Contains(cards.Out, "What Redis has\n● Sent  c1") {
		t.Errorf("no status in\n%s", cards.Out)
	}
}

func TestExplainMisuse(t *testing.T) {
	environment := templatesSite(t)
	redis := clitest.StartRedis(t, nil)
	environment["MEDDELA_REDIS_ADDRS"] = redis.Addr()
	redis.HSet("meddela:event:lost", "status", "sent", "rank", "1", "source", "meddela.realtime.events/0/77")
	folder := t.TempDir()
	writeTemplate(t, folder, "code", "types: [code]", "{{.ctx.code")
	for _, test := range []struct {
		name   string
		args   []string
		status int
		says   string
	}{
		{"two events", []string{"a", "b"}, command.ExitMisused, "takes one event, not 2 arguments"},
		{"nothing of the kind", []string{"no such file.json"}, command.ExitMisused,
			`"no such file.json" is no file, no event id, and no TOPIC/PARTITION/OFFSET`},
		{"another topic", []string{"meddela.realtime.jobs/0/0"}, command.ExitMisused,
			"meddela.realtime.jobs is not a topic of events: they are on meddela.realtime.events and meddela.batch.events"},
		{"a record that is not there", []string{"meddela.realtime.events/0/7"}, command.ExitFailed,
			"the event cannot be read: offset 7 of meddela.realtime.events/0 is not there"},
		{"an unknown id", []string{"nobody"}, command.ExitFailed, "nothing is known of nobody"},
		{"a record that is gone", []string{"lost"}, command.ExitFailed, "(Redis has the event as sent)"},
		{"no time", []string{"--at", "noon"}, command.ExitMisused,
			`--at is "noon": use a time such as 2026-12-01T08:00:00Z, or received`},
		{"no folder", []string{"--folder", "/no/such"}, command.ExitFailed, "there is no folder /no/such"},
		{"a folder with faults", []string{"--folder", folder}, command.ExitFailed, "code/en/sms.txt:1: "},
	} {
		got := meddela(t, environment, codeEvent, append([]string{"templates", "explain"}, test.args...)...)
		if got.Status != test.status || !strings.Contains(got.Err, test.says) {
			t.Errorf("%s: exit status %d, %q, want %d, %q", test.name, got.Status, got.Err, test.status, test.says)
		}
	}
}

// readOne reads the record of an event.
func readOne(t *testing.T, broker, id string) topology.Record {
	t.Helper()
	names := topology.Topics{Prefix: topology.DefaultPrefix}
	transport := producer.Connection{}.Transport()
	defer transport.CloseIdleConnections()
	topics := &scan.Topics{Addr: kafka.TCP(broker), Transport: transport}
	ranges, err := topics.Ranges(t.Context(), names.Events(topology.Realtime), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	found := make(chan topology.Record, 10)
	err = topics.Scan(t.Context(), ranges, nil, func(records []topology.Record) error {
		for _, r := range records {
			if event, _ := topology.DecodeEvent(r, topology.Realtime); string(event.ID) == id {
				found <- r
			}
		}
		return nil
	})
	if err != nil || len(found) != 1 {
		t.Fatalf("%d records of %s, %v", len(found), id, err)
	}
	return <-found
}
