package templates

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/clitest"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/consumer/scan"
	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/topology"
)

// TestUncovered lists what the delivery log says, and heals it.
func TestUncovered(t *testing.T) {
	environment, _ := diffLogSite(t)
	environment["MEDDELA_REDIS_ADDRS"] = clitest.StartRedis(t, nil).Addr()
	meddela(t, environment, "", "uncovered", "list").WantOut(t, "no events of the last 168h0m0s are not covered\n")
	meddela(t, environment, diffLogEvents, "publish", "--lane", "realtime").Want(t, command.ExitOK)
	logUncovered(t, environment["MEDDELA_KAFKA_BROKERS"])

	got := meddela(t, environment, "", "uncovered", "list")
	got.Want(t, command.ExitOK)
	for _, want := range []string{"EVENTS", "no_template_for_type", "sv-FI", "2 events are not covered",
		"uncovered heal"} {
		if !strings.Contains(got.Out, want) {
			t.Errorf("the list has no %q:\n%s", want, got.Out)
		}
	}
	meddela(t, environment, "", "uncovered", "list", "--type", "parcel").WantOut(t,
		"no events of the last 168h0m0s are not covered\n")

	got = meddela(t, environment, "", "uncovered", "heal", "--dry-run")
	got.Want(t, command.ExitOK)
	if !strings.Contains(got.Out, "1  would be published again, covered by code@") ||
		!strings.Contains(got.Out, "1  left as they are: no_template_for_type") {
		t.Errorf("the dry run says:\n%s", got.Out)
	}
	var outcome struct {
		Uncovered, Healed, Gone int
		DryRun                  bool `json:"dry_run"`
	}
	got = meddela(t, environment, "", "uncovered", "heal", "-o", "json", "--rate", "1000")
	got.Want(t, command.ExitOK)
	if err := json.Unmarshal([]byte(got.Out), &outcome); err != nil || outcome.Uncovered != 2 || outcome.Healed != 1 ||
		outcome.DryRun {
		t.Errorf("healing says %s, %v", got.Out, err)
	}
	again := readOne(t, environment["MEDDELA_KAFKA_BROKERS"], "c1", 1)
	if receipt := topology.ReceiptOf(&again); receipt.Redrives != 1 {
		t.Errorf("published again: %+v", receipt)
	}
}

// logUncovered writes entries that say that c1 and n1 are not covered.
func logUncovered(t *testing.T, broker string) {
	t.Helper()
	names := topology.Topics{Prefix: topology.DefaultPrefix}
	link := producer.Connection{Brokers: []string{broker}}
	transport := link.Transport()
	defer transport.CloseIdleConnections()
	writer := producer.Publisher{Addr: link.Addr(), Transport: transport}
	for id, eventType := range map[string]string{"c1": "code", "n1": "news"} {
		r := readOne(t, broker, id, 0)
		entry := topology.Entry{
			EventID: topology.EventID(id), Lane: topology.Realtime, Status: topology.NotCovered,
			Reason: topology.ReasonNoTemplateForType,
			Type:   eventType, Channel: topology.SMS, Language: "sv-FI", Source: r.Source(), ReceivedAt: r.Time, At: r.Time,
		}
		_, err := writer.Publish(t.Context(), r.Partition,
			[]topology.Record{{Topic: names.DeliveryLog(topology.Realtime), Value: entry.Append(nil)}})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// readOne reads the record of an event that was redriven so many times.
func readOne(t *testing.T, broker, id string, redrives int) topology.Record {
	t.Helper()
	names := topology.Topics{Prefix: topology.DefaultPrefix}
	transport := producer.Connection{}.Transport()
	defer transport.CloseIdleConnections()
	topics := &scan.Topics{Addr: kafka.TCP(broker), Transport: transport}
	from := names.Events(topology.Realtime)
	if redrives > 0 {
		from = names.Redrive(topology.Realtime)
	}
	ranges, err := topics.Ranges(t.Context(), from, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	found := make(chan topology.Record, 10)
	err = topics.Scan(t.Context(), ranges, nil, func(records []topology.Record) error {
		for _, r := range records {
			if event, _ := topology.DecodeEvent(r, topology.Realtime); string(event.ID) == id &&
				topology.ReceiptOf(&r).Redrives == redrives {
				found <- r
			}
		}
		return nil
	})
	if err != nil || len(found) != 1 {
		t.Fatalf("%d records of %s redriven %d times, %v", len(found), id, redrives, err)
	}
	return <-found
}

func TestUncoveredMisuse(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"list --since -1h", `meddela: --since is "-1h": it must be a length of time such as 24h`},
		{"list --channel fax", `meddela: --channel is "fax": use email, sms, push or webhook`},
		{"heal --reason sent",
			`meddela: --reason is "sent": use invalid, internal_error, no_template_for_type, no_template_for_channel, conditions_false or condition_failed`},
		{"heal --rate -5", `meddela: --rate is "-5": it must be a positive number of events a second`},
	} {
		got := meddela(t, nil, "", append([]string{"uncovered"}, strings.Fields(test.args)...)...)
		got.Want(t, command.ExitMisused)
		if got.Err != test.want+"\n" {
			t.Errorf("%s:\n got %swant %s", test.args, got.Err, test.want)
		}
	}
}
