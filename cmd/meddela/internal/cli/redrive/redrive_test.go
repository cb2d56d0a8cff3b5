package redrive

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/clitest"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/cluster"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/publish"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/templates"
	"github.com/meddela/meddela/consumer/scan"
	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/topology"
)

const lane = topology.Realtime

var names = topology.Topics{Prefix: topology.DefaultPrefix, Build: "1.0"}

// place is a broker with topics and one template, and a store.
type place struct {
	t           *testing.T
	environment map[string]string
	kafka       *kfake.Cluster
	redis       *miniredis.Miniredis
}

func newPlace(t *testing.T) *place {
	t.Helper()
	p := &place{t: t, kafka: clitest.StartKafka(t), redis: clitest.StartRedis(t, nil)}
	p.environment = map[string]string{"MEDDELA_KAFKA_BROKERS": p.kafka.ListenAddrs()[0],
		"MEDDELA_REDIS_ADDRS": p.redis.Addr(), "MEDDELA_TOPICS_PARTITIONS": "2"}
	folder := t.TempDir()
	for file, content := range map[string]string{
		"template.yaml": "types: [code]\nchannel: sms\n", "en/sms.txt": "Your code",
	} {
		path := filepath.Join(folder, "code", file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p.run("topics", "apply").Want(t, command.ExitOK)
	p.run("templates", "publish", folder).Want(t, command.ExitOK)
	return p
}

var commands = clitest.Commands{NewUncovered, NewDeadLetters, NewResend, NewTasks, cluster.NewTopics, publish.New,
	templates.New}

func (p *place) run(args ...string) clitest.Result {
	p.t.Helper()
	return commands.Run(p.t, p.environment, "", args...)
}

// write writes records.
func (p *place) write(records ...topology.Record) {
	p.t.Helper()
	link := producer.Connection{Brokers: []string{p.environment["MEDDELA_KAFKA_BROKERS"]}}
	transport := link.Transport()
	defer transport.CloseIdleConnections()
	to := producer.Publisher{Addr: link.Addr(), Transport: transport}
	for _, r := range records {
		if refused, err := to.Publish(p.t.Context(), r.Partition, []topology.Record{r}); err != nil || len(refused) > 0 {
			p.t.Fatalf("refused %v, %v", refused, err)
		}
	}
}

// read reads a topic of which partition 0 has something.
func (p *place) read(topic topology.Topic) (all []topology.Record) {
	p.t.Helper()
	link := producer.Connection{Brokers: []string{p.environment["MEDDELA_KAFKA_BROKERS"]}}
	transport := link.Transport()
	defer transport.CloseIdleConnections()
	topics := &scan.Topics{Addr: link.Addr(), Transport: transport}
	ranges, err := topics.Ranges(p.t.Context(), topic, time.Time{})
	for _, r := range ranges {
		if err == nil {
			err = topics.Scan(p.t.Context(), []scan.Range{r}, nil, func(records []topology.Record) error {
				all = append(all, records...)
				return nil
			})
		}
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return all
}

// ended writes what the delivery log and Redis say of an event that is at an offset of partition 0.
func (p *place) ended(id string, offset int64, eventType string, status topology.Status, reason topology.Reason) {
	p.t.Helper()
	entry := topology.Entry{EventID: topology.EventID(id), Lane: lane, Status: status, Reason: reason, Type: eventType,
		Channel: topology.SMS, Language: "sv-FI", Source: topology.SourceOf(names.Events(lane), 0, offset), At: time.Now(),
		Attempt: 1, ReceivedAt: time.Now()}
	p.write(topology.Record{Topic: names.DeliveryLog(lane), Value: entry.Append(nil)})
	state := topology.StateOf(&entry)
	for field, value := range map[string]string{"status": string(status), "reason": string(reason),
		"rank": string(state.Rank), "source": string(state.Source), "lane": string(lane)} {
		p.redis.HSet("meddela:event:"+id, field, value)
	}
}

const (
	good = `{"id":"good","type":"code","channel":"sms","mobilePhone":"+46701740605","ctx":{"kim@example.com":[1,"Kim"]}}`
	bad  = `{"id":"bad","type":"code"`
)

// letters are one of another build's crash, and one that is no JSON.
func (p *place) letters() {
	p.t.Helper()
	for offset, value := range []string{good, bad} {
		r := topology.Record{Topic: names.Events(lane), Partition: 1, Offset: int64(offset), Value: []byte(value),
			Headers: []topology.Header{{Key: "secret", Value: []byte("hunter2")}, {Key: "traceparent", Value: []byte("00-x")}}}
		reason := []topology.Reason{topology.ReasonInternalError, topology.ReasonNotJSON}[offset]
		p.write(names.DeadLetter(lane, &r, &topology.Fault{Reason: reason, Detail: "it went wrong"}, topology.RoleMatch,
			time.Now()))
	}
	p.ended("good", 7, "code", topology.NotCovered, topology.ReasonInternalError)
	p.ended("realtime-1-1", 8, "", topology.NotCovered, topology.ReasonInvalid)
}

func TestDeadLetters(t *testing.T) {
	p := newPlace(t)
	p.run("dead-letters", "list").WantOut(t, "no dead letters of the last 168h\n")
	p.letters()
	p.run("dead-letters", "list").Says(t, "internal_error  match  meddela.realtime.events  1.0", "not_json  match",
		"meddela.realtime.dead-letters/0/")
	p.run("dead-letters", "list", "--reason", "not_json", "--until", "1h").WantOut(t,
		"no dead letters of the last 168h\n")
	positions := map[string]string{}
	for _, r := range p.read(names.DeadLetters(lane)) {
		positions[string(r.Value)] = string(r.Source())
	}

	raw := filepath.Join(t.TempDir(), "raw.json")
	shown := p.run("dead-letters", "show", positions[good], "--raw", raw)
	shown.Says(t, `"it went wrong"`, `"build": "1.0"`, `"original": "meddela.realtime.events/1/0"`,
		`"traceparent": "00-x"`, `"mobilePhone": "(12 bytes)"`, `"secret": "(7 bytes)"`, `"(15 bytes)": [`)
	for _, secret := range []string{"4670", "kim", "Kim", "hunter2"} {
		if strings.Contains(shown.Out, secret) {
			t.Errorf("it shows %q", secret)
		}
	}
	if text, err := os.ReadFile(raw); err != nil || string(text) != good {
		t.Errorf("the raw value is %q, %v", text, err)
	}
	if got := p.run("dead-letters", "show", positions[bad], "--raw", raw); got.Status != command.ExitFailed ||
		!strings.Contains(got.Err, "raw.json") {
		t.Errorf("a file is overwritten: %s", got.Err)
	}
	p.run("dead-letters", "show", positions[bad]).Says(t, `"payload": null`, `"bytes": 25`)

	p.run("dead-letters", "redrive", "--dry-run").Says(t, "lane realtime: 2 dead letters, 1 to be published again",
		"1  failed by internal_error", "1  left as they are: not_json", "covered by code@", "for instance  good")
	if got := p.run("dead-letters", "redrive"); got.Status != command.ExitFailed ||
		!strings.Contains(got.Err, "nothing is published: 1 events would be; --yes confirms that") {
		t.Errorf("unconfirmed: %d %s", got.Status, got.Err)
	}
	if got := p.run("dead-letters", "redrive", "--count", "2"); got.Status != command.ExitFailed {
		t.Errorf("another number confirms: %s", got.Out)
	}
	p.run("dead-letters", "redrive", positions[bad], "--yes").Says(t, "nothing is to be published")
	for position, want := range map[string]string{
		"meddela.realtime.dead-letters/9/0":     "meddela.realtime.dead-letters has no partition 9: it has 0 to ",
		"meddela.realtime.dead-letters/0/99999": "offset 99999 of meddela.realtime.dead-letters/0 is not there",
	} {
		got := p.run("dead-letters", "redrive", positions[good], position, "--dry-run")
		if got.Status != command.ExitFailed || !strings.Contains(got.Err, want) {
			t.Errorf("%s: %d %s%s", position, got.Status, got.Out, got.Err)
		}
	}
	p.run("dead-letters", "redrive", "--build", "1.0", "--yes", "--why", "mended", "--by", "kim").Says(t,
		"is done: 1 published again, 1 not_json")
	again := p.read(names.Redrive(lane))
	if len(again) != 1 || string(again[0].Value) != good || again[0].Partition != 1 {
		t.Fatalf("published again: %+v", again)
	}
	if event, err := topology.DecodeEvent(again[0], lane); err != nil || event.ID != "good" ||
		topology.ReceiptOf(&again[0]).Redrives != 1 || topology.ReceiptOf(&again[0]).Source != "meddela.realtime.events/1/0" {
		t.Errorf("published again: %+v, %v", topology.ReceiptOf(&again[0]), err)
	}
	for _, h := range again[0].Headers {
		if strings.HasPrefix(h.Key, "x-original") || h.Key == topology.HeaderBuild {
			t.Errorf("it has the dead letter's %s", h.Key)
		}
	}

	var list struct {
		Tasks []struct {
			Task, State string
			Counts      map[string]int
			Log         []topology.TaskRecord
		}
	}
	if err := json.Unmarshal([]byte(p.run("tasks", "list", "-o", "json").Out), &list); err != nil || len(list.Tasks) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	task := list.Tasks[0]
	if task.State != "done" || task.Counts["published"] != 1 || len(task.Log) != 2 || task.Log[0].By != "kim" ||
		task.Log[0].Why != "mended" || task.Log[0].Spec.Count != 1 || task.Log[1].Action != topology.TaskEnd {
		t.Errorf("the task is %+v", task)
	}
	p.run("tasks", "list").Says(t, "done  realtime  dead-letters  1  1  kim  mended")
	p.run("tasks", "show", task.Task).Says(t, "is done", "start  by kim  mended", "end  by kim")
	p.run("tasks", "resume", task.Task).Says(t, "is done: 1 published again")
	if got := p.run("tasks", "cancel", task.Task); got.Status != command.ExitFailed ||
		!strings.Contains(got.Err, "is done already") {
		t.Errorf("what is done is cancelled: %s", got.Err)
	}

	// The other lane is not asked for, and an answer that does not come is asked for again.
	var here, other atomic.Int64
	asked := map[string]*atomic.Int64{"meddela.realtime.dead-letters": &here, "meddela.batch.dead-letters": &other}
	p.kafka.ControlKey(int16(kmsg.Metadata), func(request kmsg.Request) (kmsg.Response, error, bool) {
		p.kafka.KeepControl()
		if request.GetVersion() < 12 { // by which no id is asked for
			return nil, nil, false
		}
		n := asked[*request.(*kmsg.MetadataRequest).Topics[0].Topic]
		return nil, errors.New("away"), n != nil && n.Add(1) == 1
	})
	p.run("dead-letters", "redrive", positions[good], "--dry-run").Says(t, "lane realtime: 1 dead letter, ")
	if here.Load() < 2 || other.Load() > 0 {
		t.Errorf("asked %d times, and %d of the other lane", here.Load(), other.Load())
	}
}

// TestOrdersAboutTasks: what nobody does is paused, resumed and cancelled; meanwhile the lane has no other.
func TestOrdersAboutTasks(t *testing.T) {
	p := newPlace(t)
	p.letters()
	start := topology.TaskRecord{Task: "20261128-103000-dead", Action: topology.TaskStart, Epoch: 1, Actor: "a",
		At: time.Now(), Spec: &topology.TaskSpec{Kind: topology.RedriveLetters, Lane: lane, Rate: 100,
			Ranges: []topology.TaskRange{{To: 1}}}}
	p.write(topology.Record{Topic: names.Tasks(), Key: []byte(start.Key()), Value: start.Append(nil)})
	if got := p.run("dead-letters", "redrive", "--yes"); got.Status != command.ExitFailed ||
		!strings.Contains(got.Err, "lane realtime has task 20261128-103000-dead, which is running") {
		t.Errorf("a second task: %d %s", got.Status, got.Err)
	}
	p.run("tasks", "pause", start.Task, "--by", "kim").Says(t, "is paused")
	if got := p.run("tasks", "resume", start.Task); got.Status != command.ExitFailed ||
		!strings.Contains(got.Err, "was paused by kim: no reason given: meddela tasks resume --paused "+start.Task) {
		t.Errorf("resumed unasked: %s %s", got.Out, got.Err)
	}
	got := p.run("tasks", "resume", "--paused", start.Task)
	if got.Status != command.ExitOK || !strings.Contains(got.Out, "is done") {
		t.Errorf("resumed: %s %s", got.Out, got.Err)
	}
	start.Task, start.At = "20261128-103001-dead", time.Now().Add(-time.Minute)
	p.write(topology.Record{Topic: names.Tasks(), Key: []byte(start.Key()), Value: start.Append(nil)})
	p.run("tasks", "list").Says(t, "running, unattended")
	p.run("tasks", "list", "-o", "json").Says(t, `"unattended":true`)
	p.run("tasks", "show", start.Task).Says(t, "unattended: nobody has said a word of it for 10s: meddela tasks resume "+
		start.Task)
	p.run("tasks", "cancel", start.Task, "--why", "wrong").Says(t, "is cancelled")
	if got := p.run("tasks", "resume", "none"); got.Status != command.ExitFailed ||
		got.Err != "meddela: there is no task \"none\": see meddela tasks list\n" {
		t.Errorf("no task: %s", got.Err)
	}
}

// TestUncoveredAndResend: what the delivery log says is listed, healed and sent again, each as one redrive more.
func TestUncoveredAndResend(t *testing.T) {
	p := newPlace(t)
	p.run("uncovered", "list").WantOut(t, "no events of the last 168h are not covered\n")
	for i, id := range []string{"c1", "n1", "f1", "s1"} {
		eventType := map[string]string{"n1": "news"}[id]
		if eventType == "" {
			eventType = "code"
		}
		p.write(topology.Record{Topic: names.Events(lane), Value: []byte(
			`{"id":"` + id + `","type":"` + eventType + `","channel":"sms","mobilePhone":"+46701740605","ctx":{}}`)})
		status := []topology.Status{topology.NotCovered, topology.NotCovered, topology.DeliveryError, topology.Sent}[i]
		reason := []topology.Reason{topology.ReasonNoTemplateForType, topology.ReasonNoTemplateForType,
			topology.ReasonProviderRejected, ""}[i]
		p.ended(id, int64(i), eventType, status, reason)
	}
	p.run("uncovered", "list").Says(t, "EVENTS", "no_template_for_type", "sv-FI", "2 events are not covered",
		"uncovered heal")
	p.run("uncovered", "list", "--type", "parcel").WantOut(t, "no events of the last 168h are not covered\n")
	p.run("uncovered", "heal", "--dry-run").Says(t, "1  would be published again, covered by code@",
		"1  left as they are: no_template_for_type")
	var outcome struct {
		Published int
		DryRun    bool `json:"dry_run"`
		Lanes     []struct {
			Task    string
			Matched int
			Refused map[string]int
			Done    map[string]int
		}
	}
	got := p.run("uncovered", "heal", "-o", "json", "--rate", "1000", "--yes")
	got.Want(t, command.ExitOK)
	if err := json.Unmarshal([]byte(got.Out), &outcome); err != nil || outcome.Published != 1 || outcome.DryRun ||
		len(outcome.Lanes) != 1 || outcome.Lanes[0].Matched != 2 || outcome.Lanes[0].Done["published"] != 1 {
		t.Errorf("healing says %s, %v", got.Out, err)
	}
	p.run("resend", "--yes", "--provider", "other").Says(t, "nothing is to be published: ",
		" records in meddela.realtime.delivery-log and meddela.batch.delivery-log since "+
			time.Now().Add(-7*24*time.Hour).UTC().Format("2006-01-02 15:"), "(--since), none of which matches\n")
	p.run("resend", "--yes", "--until", "1h").Says(t, " (--since) until "+
		time.Now().Add(-time.Hour).UTC().Format("2006-01-02 15:"), " (--until), none of which matches\n")
	p.run("resend", "--yes", "--reason", "provider_rejected").Says(t, "is done: 1 published again")
	p.run("resend", "s1", "--dry-run").Says(t, "1  left as they are: sent: it was sent, or may have been: --new-message")
	p.run("resend", "s1", "--new-message", "--yes").Says(t, "is done: 1 published again")
	if got := p.run("resend", "none", "--yes"); got.Status != command.ExitFailed ||
		!strings.Contains(got.Err, "nothing is known of none") {
		t.Errorf("an unknown event: %s", got.Err)
	}
	redriven := map[topology.EventID]int{}
	for _, r := range p.read(names.Redrive(lane)) {
		event, _ := topology.DecodeEvent(r, lane)
		redriven[event.ID] += topology.ReceiptOf(&r).Redrives
	}
	if len(redriven) != 3 || redriven["c1"] != 1 || redriven["f1"] != 1 || redriven["s1"] != 1 {
		t.Errorf("redriven %v", redriven)
	}
}

func TestMisuse(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"uncovered list --since -1h", `--since is "-1h": it must be a length of time such as 24h`},
		{"uncovered list --channel fax", `--channel is "fax": use email, sms, push or webhook`},
		{"uncovered heal --reason sent",
			`--reason is "sent": use invalid, internal_error, no_template_for_type, no_template_for_channel, ` +
				`conditions_false or condition_failed`},
		{"uncovered heal --rate 0", `--rate is "0": it must be a positive number of events a second`},
		{"resend --status pending", `--status is "pending": use sent, ignored, expired, not_covered or delivery_error`},
		{"resend --status sent", "--status sent: what was sent would be another message: say so with --new-message"},
		{"dead-letters redrive meddela.realtime.dead-letters/0/1 --reason invalid",
			"--reason is about what is found, and not about what is named: leave out one of the two"},
		{"resend x --type y", "--type is about what is found, and not about what is named: leave out one of the two"},
		{"resend a,b", `"a,b" is no event id`},
		{"dead-letters show x/1/2", `"x/1/2" is no position of a dead letter: use one that dead-letters list shows`},
		{"dead-letters redrive meddela.realtime.events/0/1",
			`"meddela.realtime.events/0/1" is no position of a dead letter: use one that dead-letters list shows`},
		{"tasks resume", "meddela tasks resume takes the id of a task, not 0 arguments: see meddela tasks resume --help"},
		{"resend x --why " + strings.Repeat("y", 201), "--by and --why must each be one line of at most 200 bytes"},
	} {
		got := commands.Run(t, nil, "", strings.Fields(test.args)...)
		got.Want(t, command.ExitMisused)
		if got.Err != "meddela: "+test.want+"\n" {
			t.Errorf("%s:\n got %swant meddela: %s", test.args, got.Err, test.want)
		}
	}
}

// TestConfirm: many events want their number.
func TestConfirm(t *testing.T) {
	for _, test := range []struct {
		n     int64
		yes   bool
		count int64
		want  string
	}{
		{1000, true, 0, ""}, {1000, false, 1000, ""}, {1001, false, 1001, ""},
		{1000, false, 0, "nothing is published: 1000 events would be; --yes confirms that"},
		{1001, true, 0, "nothing is published: 1001 events would be; --count 1001 confirms that"},
		{5, true, 6, "nothing is published: 5 events would be; --yes confirms that"},
	} {
		env := command.Env{In: strings.NewReader("yes\n")}
		got := ""
		if err := env.Confirm(test.n, test.yes, test.count); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%+v: %q", test, got)
		}
	}
}
