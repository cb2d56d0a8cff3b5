package templates

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/clitest"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/faults"
	"github.com/meddela/meddela/cmd/meddela/internal/testenv"
)

// renderFolder is a folder of one e-mail in two languages and one SMS.
func renderFolder(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	writeTemplate(t, folder, "code", "types: [code]", "Your code is {{.ctx.code}}\x1b[2J")
	writeFiles(t, folder, map[string]string{
		"code/samples/web.json":    codeEvent,
		"hello/template.yaml":      "types: [hello]\nchannel: email\ndefault_language: en\n",
		"hello/en/email.subject":   "Hello {{.ctx.name}}",
		"hello/en/email.txt":       "Dear {{.ctx.name}},\nhello.\n",
		"hello/en/email.html":      "<p>Dear {{.ctx.name}}</p>\n",
		"hello/sv/email.subject":   "Hej {{.ctx.name}}",
		"hello/sv/email.txt":       "Hej {{.ctx.name}}!\n",
		"hello/samples/kim.json":   `{"id":"1","type":"hello","email":"kim@example.com","language":"sv","ctx":{"name":"Kim"}}`,
		"hello/samples/marks.json": `{"id":"2","type":"hello","email":"kim@example.com","ctx":{"name":"<b>\u0007"}}`,
	})
	return folder
}

func writeFiles(t *testing.T, folder string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		file := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRender(t *testing.T) {
	folder := renderFolder(t)
	got := meddela(t, nil, "", "templates", "render", folder)
	got.Want(t, command.ExitOK)
	clitest.Golden(t, "rendered.txt", got.Out)

	meddela(t, nil, "", "templates", "render", folder, "hello", "--sample", "kim", "--language", "en-GB", "--part",
		"email.html").
		WantOut(t, "<p>Dear Kim</p>\n")

	event := filepath.Join(t.TempDir(), "event.json")
	writeFiles(t, filepath.Dir(event),
		map[string]string{"event.json": `{"type":"hello","email":"eve@example.com","ctx":{"name":"Eve"}}`})
	got = meddela(t, nil, "", "templates", "render", folder, "--event", event, "--language", "sv-FI")
	got.WantOut(t, "── hello  event  sv-FI → sv ──\nTo: eve@example.com\nSubject: Hej Eve\n\nHej Eve!\n\n")

	out := filepath.Join(t.TempDir(), "rendered")
	meddela(t, nil, "", "templates", "render", folder, "--out", out).WantOut(t, "11 files written to "+out+"\n")
	if text, err := os.ReadFile(filepath.Join(out, "hello", "kim.sv.email.txt")); string(text) != "Hej Kim!\n" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestRenderOfWhatFails(t *testing.T) {
	folder := renderFolder(t)
	writeFiles(t, folder, map[string]string{
		"code/en/sms.txt":          "Your code is {{.ctx.code",
		"hello/samples/empty.json": `{"id":"3","type":"hello","email":"kim@example.com","ctx":{}}`,
	})
	page := filepath.Join(t.TempDir(), "page.html")
	for _, flags := range [][]string{nil, {"--page", page}, {"-o", "json"}, {"--part", "email.txt"}} {
		got := meddela(t, nil, "", append([]string{"templates", "render", folder}, flags...)...)
		got.Want(t, command.ExitFailed)
		for _, want := range []string{"2 of 6 messages could not be rendered", "code/en/sms.txt:1: "} {
			if !strings.Contains(got.Err, want) {
				t.Errorf("%v: no %q in\n%s", flags, want, got.Err)
			}
		}
		shown := got.Out
		if flags != nil && flags[0] == "--page" {
			html, err := os.ReadFile(page)
			if err != nil {
				t.Fatal(err)
			}
			shown = string(html)
		}
		for _, want := range []string{"hello/sv/email.subject:1", "ctx.name is missing", "Hej Kim"} {
			if !strings.Contains(shown, want) {
				t.Errorf("%v: no %q in\n%s", flags, want, shown)
			}
		}
	}
	var all struct {
		Messages []renderingView
		Faults   faults.List
	}
	got := meddela(t, nil, "", "templates", "render", folder, "-o", "json")
	if err := json.Unmarshal([]byte(got.Out), &all); err != nil || len(all.Messages) != 6 || len(all.Faults) != 3 {
		t.Errorf("%v: %s", err, got.Out)
	}
}

func TestRenderMisuse(t *testing.T) {
	folder := renderFolder(t)
	for _, test := range []struct {
		name   string
		args   []string
		status int
		says   string
	}{
		{"no folder", []string{"/no/such"}, command.ExitFailed, "there is no folder /no/such"},
		{"nothing in it", []string{t.TempDir()}, command.ExitFailed, "there is nothing to render"},
		{"no such template", []string{folder, "helo"}, command.ExitMisused,
			`there is no template "helo": did you mean hello?`},
		{"no such sample", []string{folder, "--sample", "kin"}, command.ExitMisused, `there is no sample "kin": there is `},
		{"no such part", []string{folder, "--part", "email.text"}, command.ExitMisused,
			`--part is "email.text": use email.subject, `},
		{"two targets", []string{folder, "--page", "x", "--out", "y"}, command.ExitMisused,
			"--out and --page cannot be used together: use one"},
		{"a sample and an event", []string{folder, "--sample", "kim", "--event", "x"}, command.ExitMisused,
			"--event and --sample cannot be used together: use one"},
		{"no such event", []string{folder, "--event", "/no/such"}, command.ExitFailed, "the event cannot be read: "},
		{"no event", []string{folder, "--event", filepath.Join(folder, "hello", "template.yaml")}, command.ExitFailed,
			"is not an event: "},
		{"all of the network", []string{folder, "--serve", "0.0.0.0:0"}, command.ExitMisused,
			"--serve 0.0.0.0:0 can be reached from other machines"},
	} {
		got := meddela(t, nil, "", append([]string{"templates", "render"}, test.args...)...)
		if got.Status != test.status || !strings.Contains(got.Err, test.says) {
			t.Errorf("%s: exit status %d, %q, want %d, %q", test.name, got.Status, got.Err, test.status, test.says)
		}
	}
}

// TestRenderServes until it is told to stop.
func TestRenderServes(t *testing.T) {
	testenv.OnlyThese(t, nil)
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	out := clitest.NewTail()
	var errOut bytes.Buffer
	env := &command.Env{In: strings.NewReader(""), Out: out, ErrOut: &errOut}
	done := make(chan int, 1)
	go func() {
		done <- env.Execute(ctx, []string{"templates", "render", renderFolder(t), "--serve", "127.0.0.1:0"}, commands()...)
	}()
	url, _, _ := strings.Cut(out.Await(t, "Ctrl-C ends it"), " ")
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	html, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if err != nil || !strings.Contains(string(html), "Dear Kim") {
		t.Errorf("%v: %s", err, html)
	}
	stop()
	if status := <-done; status != command.ExitOK {
		t.Errorf("exit status %d: %s", status, errOut.String())
	}
}
