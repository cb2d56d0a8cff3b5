package main

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
	got.want(t, exitOK)
	golden(t, "rendered.txt", got.out)

	meddela(t, nil, "", "templates", "render", folder, "hello", "--sample", "kim", "--language", "en-GB", "--part", "email.html").
		wantOut(t, "<p>Dear Kim</p>\n")

	event := filepath.Join(t.TempDir(), "event.json")
	writeFiles(t, filepath.Dir(event), map[string]string{"event.json": `{"type":"hello","email":"eve@example.com","ctx":{"name":"Eve"}}`})
	got = meddela(t, nil, "", "templates", "render", folder, "--event", event, "--language", "sv-FI")
	got.wantOut(t, "── hello  event  sv-FI → sv ──\nTo: eve@example.com\nSubject: Hej Eve\n\nHej Eve!\n\n")

	out := filepath.Join(t.TempDir(), "rendered")
	meddela(t, nil, "", "templates", "render", folder, "--out", out).wantOut(t, "11 files written to "+out+"\n")
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
		got.want(t, exitFailed)
		for _, want := range []string{"2 of 6 messages could not be rendered", "code/en/sms.txt:1: "} {
			if !strings.Contains(got.err, want) {
				t.Errorf("%v: no %q in\n%s", flags, want, got.err)
			}
		}
		shown := got.out
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
	var all renderingsView
	got := meddela(t, nil, "", "templates", "render", folder, "-o", "json")
	if err := json.Unmarshal([]byte(got.out), &all); err != nil || len(all.Messages) != 6 || len(all.Faults) != 3 {
		t.Errorf("%v: %s", err, got.out)
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
		{"no folder", []string{"/no/such"}, exitFailed, "there is no folder /no/such"},
		{"nothing in it", []string{t.TempDir()}, exitFailed, "there is nothing to render"},
		{"no such template", []string{folder, "helo"}, exitMisused, `there is no template "helo": did you mean hello?`},
		{"no such sample", []string{folder, "--sample", "kin"}, exitMisused, `there is no sample "kin": there is `},
		{"no such part", []string{folder, "--part", "email.text"}, exitMisused, `"email.text" is no part of a message: use email.subject, `},
		{"two targets", []string{folder, "--page", "x", "--out", "y"}, exitMisused, "--out and --page cannot be used together: use one"},
		{"a sample and an event", []string{folder, "--sample", "kim", "--event", "x"}, exitMisused, "--event and --sample cannot be used together: use one"},
		{"no such event", []string{folder, "--event", "/no/such"}, exitFailed, "the event cannot be read: "},
		{"no event", []string{folder, "--event", filepath.Join(folder, "hello", "template.yaml")}, exitFailed, "is not an event: "},
		{"all of the network", []string{folder, "--serve", "0.0.0.0:0"}, exitMisused, "--serve 0.0.0.0:0 can be reached from other machines"},
	} {
		got := meddela(t, nil, "", append([]string{"templates", "render"}, test.args...)...)
		if got.status != test.status || !strings.Contains(got.err, test.says) {
			t.Errorf("%s: exit status %d, %q, want %d, %q", test.name, got.status, got.err, test.status, test.says)
		}
	}
}

// TestRenderServes until it is told to stop.
func TestRenderServes(t *testing.T) {
	onlyThese(t, nil)
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	out := newTail()
	var errOut bytes.Buffer
	a := &app{in: strings.NewReader(""), out: out, errOut: &errOut}
	done := make(chan int, 1)
	go func() {
		done <- a.execute(ctx, []string{"templates", "render", renderFolder(t), "--serve", "127.0.0.1:0"})
	}()
	url, _, _ := strings.Cut(out.await(t, "Ctrl-C ends it"), " ")
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
	if status := <-done; status != exitOK {
		t.Errorf("exit status %d: %s", status, errOut.String())
	}
}
