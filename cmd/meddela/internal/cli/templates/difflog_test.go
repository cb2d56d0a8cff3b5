package templates

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/clitest"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/difflog"
	"github.com/meddela/meddela/cmd/meddela/samples"
	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/producer/embedded"
	"github.com/meddela/meddela/topology"
)

// writeTemplate writes a template of one SMS text in English.
func writeTemplate(t testing.TB, folder, name, manifest, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(folder, name, "en"), 0o755); err != nil {
		t.Fatal(err)
	}
	for file, content := range map[string]string{"template.yaml": manifest + "\nchannel: sms\n", "en/sms.txt": text} {
		if err := os.WriteFile(filepath.Join(folder, name, file), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// diffLogSite is a broker with topics and two live templates, and the folder
// that they were published from.
func diffLogSite(t *testing.T) (environment map[string]string, folder string) {
	t.Helper()
	environment = map[string]string{
		"MEDDELA_KAFKA_BROKERS": clitest.StartKafka(t).ListenAddrs()[0], "MEDDELA_TOPICS_PARTITIONS": "2",
	}
	folder = t.TempDir()
	writeTemplate(t, folder, "code", "types: [code]", "Your code is {{.ctx.code}}")
	writeTemplate(t, folder, "parcel", "types: [parcel]", "Your parcel {{.ctx.number}}\ncomes {{.ctx.day}}")
	meddela(t, environment, "", "topics", "apply").Want(t, command.ExitOK)
	meddela(t, environment, "", "templates", "publish", folder).Want(t, command.ExitOK)
	return environment, folder
}

const diffLogEvents = `{"id":"c1","type":"code","channel":"sms","mobilePhone":"+46701740605","ctx":{"code":"1111"}}
{"id":"c2","type":"code","channel":"sms","mobilePhone":"+46701740606","ctx":{"code":"2222","minutes":5}}
{"id":"p1","type":"parcel","channel":"sms","mobilePhone":"+46701740607","ctx":{"number":"SE-77","day":"Friday"}}
{"id":"n1","type":"news","channel":"sms","mobilePhone":"+46701740608","ctx":{}}
`

func TestDiffLog(t *testing.T) {
	environment, folder := diffLogSite(t)
	for _, lane := range []string{"realtime", "batch"} {
		meddela(t, environment, diffLogEvents, "publish", "--lane", lane).Want(t, command.ExitOK)
	}
	got := meddela(t, environment, "", "templates", "diff-log", folder)
	got.Want(t, command.ExitOK)
	if !strings.HasPrefix(got.Out, "everything in the folder is live already: nothing changes for 8 events\n") {
		t.Errorf("the live folder: %s", got.Out)
	}

	writeTemplate(t, folder, "code", "types: [code]", "Your code is {{.ctx.code}}, for {{.ctx.minutes}} minutes")
	writeTemplate(t, folder, "parcel", "types: [parcel]",
		"Your parcel {{.ctx.number}}\nis here on {{.ctx.day}}, {{.event.to}}")
	writeTemplate(t, folder, "news", "types: [news]", "News")

	var result diffLogResult
	got = meddela(t, environment, "", "templates", "diff-log", folder, "--lane", "realtime", "-o", "json")
	got.Want(t, command.ExitOK)
	if err := json.Unmarshal([]byte(got.Out), &result); err != nil {
		t.Fatal(err)
	}
	if result.Events != 4 || result.Unchanged != 0 || len(result.Versions) != 3 || len(result.Lanes) != 1 {
		t.Errorf("%s", got.Out)
	}
	var kinds []string
	for _, c := range result.Changes {
		kinds = append(kinds, fmt.Sprint(c.Kind, " ", c.Events, " ", c.Examples[0].ID))
	}
	if want := "newly_failing 1 c1; newly_covered 1 n1; other_text 1 c2; other_text 1 p1"; strings.Join(kinds,
		"; ") != want {
		t.Errorf("%q, want %q", kinds, want)
	}

	got = meddela(t, environment, "", "templates", "diff-log", folder)
	got.Want(t, command.ExitOK)
	for _, want := range []string{
		"newly failing", "en/sms.txt:1: ctx.minutes is missing",
		"newly covered", "no_template_for_type",
		"sms.txt: line 2", "8 events would change, 0 would not: on realtime and batch since ", "with 3 versions published",
	} {
		if !strings.Contains(got.Out, want) {
			t.Errorf("no %q in\n%s", want, got.Out)
		}
	}
	noContent(t, got, "1111", "2222", "SE-77", "Friday", "+4670")

	got = meddela(t, environment, "", "templates", "diff-log", folder, "--show-content")
	got.Want(t, command.ExitOK)
	if want := "      -comes Friday\n      +is here on Friday, RECIPIENT\n"; !strings.Contains(got.Out, want) {
		t.Errorf("no %q in\n%s", want, got.Out)
	}
	noContent(t, got, "+4670")

	// Nothing was published.
	list := meddela(t, environment, "", "templates", "list", "-o", "json")
	list.Want(t, command.ExitOK)
	if strings.Contains(list.Out, `"news"`) {
		t.Errorf("published: %s", list.Out)
	}
}

func noContent(t *testing.T, r clitest.Result, secrets ...string) {
	t.Helper()
	for _, secret := range secrets {
		if strings.Contains(r.Out+r.Err, secret) {
			t.Errorf("%s is shown:\n%s%s", secret, r.Out, r.Err)
		}
	}
}

func TestDiffLogLooksNoFurtherThanAsked(t *testing.T) {
	environment, folder := diffLogSite(t)
	meddela(t, environment, strings.Repeat(diffLogEvents, 25), "publish", "--lane", "batch").Want(t, command.ExitOK)
	for _, test := range []struct {
		args        []string
		least, most int64
	}{
		{nil, 100, 100},
		{[]string{"--limit", "20"}, 19, 21},
		{[]string{"--lane", "realtime"}, 0, 0},
		{[]string{"--since", "1ns"}, 0, 0},
	} {
		got := meddela(t, environment, "", append([]string{"templates", "diff-log", folder, "-o", "json"}, test.args...)...)
		got.Want(t, command.ExitOK)
		var result diffLogResult
		if err := json.Unmarshal([]byte(got.Out), &result); err != nil {
			t.Fatal(err)
		}
		if result.Events < test.least || result.Events > test.most {
			t.Errorf("%v: %d events, want %d to %d", test.args, result.Events, test.least, test.most)
		}
	}
}

func TestDiffLogMisuse(t *testing.T) {
	folder := t.TempDir()
	writeTemplate(t, folder, "code", "types: [code]", "{{.ctx.code")
	for _, test := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{folder, "--since",
			"-1h"}, command.ExitMisused, `--since is "-1h": it must be a length of time such as 24h`},
		{[]string{folder, "--limit", "-1"}, command.ExitMisused, `--limit is "-1": it must be a positive number of events`},
		{[]string{folder, "--examples", "101"}, command.ExitMisused, `--examples is "101": it must be 0 to 100`},
		{[]string{}, command.ExitMisused,
			"meddela templates diff-log takes one folder, not 0 arguments: see meddela templates diff-log --help"},
		{[]string{filepath.Join(folder, "none")}, command.ExitFailed, "there is no folder " + filepath.Join(folder, "none")},
		{[]string{folder}, command.ExitFailed, "code/en/sms.txt:1: "},
	} {
		got := meddela(t, map[string]string{"MEDDELA_KAFKA_BROKERS": clitest.Nowhere}, "",
			append([]string{"templates", "diff-log"}, test.args...)...)
		got.Want(t, test.status)
		if !strings.Contains(got.Err, "meddela: "+test.says) {
			t.Errorf("%v: stderr %q, want %q", test.args, got.Err, test.says)
		}
	}
}

func TestDiffLogWithoutTopics(t *testing.T) {
	environment := map[string]string{"MEDDELA_KAFKA_BROKERS": clitest.StartKafka(t).ListenAddrs()[0]}
	folder := t.TempDir()
	writeTemplate(t, folder, "code", "types: [code]", "x")
	got := meddela(t, environment, "", "templates", "diff-log", folder)
	got.Want(t, command.ExitFailed)
	if !strings.Contains(got.Err, "does not exist: create it with `meddela topics apply`") {
		t.Errorf("stderr %q", got.Err)
	}
}

// BenchmarkDiffLog compares a lane's sample events under the live sample
// templates and, first, the same again, and then templates of which every text
// differs.
func BenchmarkDiffLog(b *testing.B) {
	const events = 100_000
	broker, err := embedded.StartBroker(embedded.BrokerConfig{RetainBytes: 1 << 30})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(broker.Close)
	b.Setenv("MEDDELA_KAFKA_BROKERS", broker.Addr())
	run := func(args ...string) {
		env := &command.Env{In: strings.NewReader(""), Out: io.Discard, ErrOut: os.Stderr, ReachTimeout: 2 * time.Second}
		if status := env.Execute(b.Context(), args, commands()...); status != command.ExitOK {
			b.Fatalf("%v: exit status %d", args, status)
		}
	}
	run("topics", "apply")
	same, other := b.TempDir(), b.TempDir()
	for _, folder := range []string{same, other} {
		if err := os.CopyFS(folder, samples.Templates()); err != nil {
			b.Fatal(err)
		}
	}
	run("templates", "publish", same)
	alterTexts(b, other)
	preload(b, broker.Addr(), events)
	for _, folder := range []string{same, other} {
		b.Run(map[string]string{same: "same", other: "other"}[folder], func(b *testing.B) {
			for b.Loop() {
				run("templates", "diff-log", folder, "--lane", "realtime")
			}
			b.ReportMetric(float64(events)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// alterTexts adds a word to the subject or text of every template.
func alterTexts(b *testing.B, folder string) {
	b.Helper()
	for _, pattern := range []string{"*/*/sms.txt", "*/*/email.subject"} {
		files, err := filepath.Glob(filepath.Join(folder, pattern))
		if err != nil || len(files) == 0 {
			b.Fatal(files, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err == nil {
				err = os.WriteFile(file, append([]byte("New: "), text...), 0o644)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	if _, err := authoring.Load(os.DirFS(folder)); err != nil {
		b.Fatal(err)
	}
}

// preload writes sample events to the realtime lane.
func preload(b *testing.B, broker string, n int) {
	b.Helper()
	link := producer.Connection{Brokers: []string{broker}}
	transport := link.Transport()
	defer transport.CloseIdleConnections()
	to := &producer.Publisher{Addr: link.Addr(), Transport: transport}
	var batch []topology.Record
	partition := 0
	flush := func() {
		for i := range batch {
			batch[i].Topic = topology.Topics{Prefix: topology.DefaultPrefix}.Events(topology.Realtime)
		}
		if _, err := to.Publish(context.Background(), partition, batch); err != nil {
			b.Fatal(err)
		}
		partition, batch = (partition+1)%12, nil
	}
	for s := range samples.Events(1, time.Now) {
		if n == 0 {
			break
		}
		n--
		if batch = append(batch, topology.Record{Value: bytes.Clone(s.Event.Raw)}); len(batch) == 500 {
			flush()
		}
	}
	flush()
}

func TestDiffLogPaintsNothingOffATerminal(t *testing.T) {
	var out bytes.Buffer
	env := &command.Env{Out: &out, Output: command.Table}
	err := printExamples(env, []difflog.Change{{
		Group: difflog.Group{Kind: difflog.OtherText, Live: "a", Proposed: "a"},
		Examples: []difflog.Example{{ID: "e",
			Parts: []difflog.Part{{Name: "sms.txt", Where: "line 1", Diff: []string{"@@ -1 +1 @@", "-x", "+y", ""}}}}},
	}})
	if err != nil || strings.Contains(out.String(), "\x1b") || !strings.Contains(out.String(), "      -x\n      +y\n") {
		t.Errorf("%q, %v", out.String(), err)
	}
}
