package difflog_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
	"github.com/meddela/meddela/cmd/meddela/internal/difflog"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

func email(subject, text, html string) topology.TemplateRecord {
	body := map[string]string{template.EmailSubject: subject, template.EmailText: text}
	if html != "" {
		body[template.EmailHTML] = html
	}
	r := topology.TemplateRecord{
		Name: "hello", Types: []string{"a"}, Channel: topology.Email, DefaultLanguage: "en",
		Bodies: map[string]map[string]string{"en": body}, PublishedAt: noon,
	}
	r.Version = authoring.Version(r)
	return r
}

// example compares one event, which is Kim's, under two templates.
func example(t *testing.T, live, proposed topology.TemplateRecord, show bool) difflog.Example {
	t.Helper()
	l, p := catalogues(t, records{live}, records{proposed})
	c := &difflog.Comparison{Live: l, Proposed: p, Examples: 1, ShowContent: show}
	value := `{"id":"e1","type":"a","email":"kim+new@example.com","ctx":{"name":"Kim\u001b[2J","mail":"kim+new@example.com"}}`
	c.Add(topology.Realtime, []topology.Record{{Topic: "t", Time: noon, Value: []byte(value)}})
	report := c.Report()
	if len(report.Changes) != 1 || len(report.Changes[0].Examples) != 1 {
		t.Fatalf("%+v", report)
	}
	return report.Changes[0].Examples[0]
}

func TestPartsThatDiffer(t *testing.T) {
	live := email("Hi", "one\ntwo\nthree\nfour\n", "")
	for _, test := range []struct {
		proposed topology.TemplateRecord
		want     string
	}{
		{email("Ho", "one\ntwo\nthree\nfour\n", ""), "email.subject: line 1"},
		{email("Hi", "one\nTWO\nthree\nfour\n", ""), "email.txt: line 2"},
		{email("Hi", "one\nfour\n", ""), "email.txt: line 2-3"},
		{email("Hi", "one\ntwo\nadded\nthree\nfour\n", ""), "email.txt: line after 2"},
		{email("Hi", "ONE\ntwo\nthree\nFOUR\n", ""), "email.txt: line 1, 4"},
		{email("Hi", "one\ntwo\nthree\nfour\n", "<p>new</p>"), "email.html: not there before"},
		{email("Ho", "one\ntwo\nthree\n",
			"<p>new</p>"), "email.subject: line 1; email.txt: line 4; email.html: not there before"},
		{email("Hi", strings.Repeat("long line\n", 40_000), ""), "email.txt: too large to compare line by line"},
	} {
		var got []string
		for _, p := range example(t, live, test.proposed, false).Parts {
			got = append(got, p.Name+": "+p.Where)
		}
		if joined := strings.Join(got, "; "); joined != test.want {
			t.Errorf("%s\nwant %s", joined, test.want)
		}
	}
}

func TestDiffsAreShortAndPrintable(t *testing.T) {
	long := strings.Repeat("x", 1000)
	live := email("Hi {{.ctx.name}}", "Hi {{.ctx.name}}", "")
	proposed := email("Hello {{.ctx.name}}", "Hi\n"+strings.Repeat(long+"\n", 50), "")
	parts := example(t, live, proposed, true).Parts
	if len(parts) != 2 {
		t.Fatalf("%+v", parts)
	}
	if got, want := strings.Join(parts[0].Diff, "\n"), "@@ -1 +1 @@\n-Hi Kim[2J\n+Hello Kim[2J"; got != want {
		t.Errorf("%q\nwant %q", got, want)
	}
	if n := len(parts[1].Diff); n != 25 {
		t.Errorf("%d lines", n)
	}
	for _, line := range parts[1].Diff {
		if n := len([]rune(line)); n > 161 || strings.ContainsRune(line, 0x1b) {
			t.Errorf("a line of %d characters: %q", n, line)
		}
	}
}

// TestContentStaysOut: neither the recipient's address nor what the event says
// is in a report, but for what it says when that was asked for.
func TestContentStaysOut(t *testing.T) {
	body := "{{.event.to}} {{.ctx.name}} {{.ctx.mail}} {{upper .event.to}}"
	link := `<a href="https://example.com/?to={{.event.to}}&m={{.ctx.mail}}">{{.event.to}} {{.ctx.name}} {{.ctx.mail}}</a>`
	for _, show := range []bool{false, true} {
		e := example(t, email("Hi "+body, body, link), email("Ho "+body, "-"+body, "<p>"+link), show)
		encoded, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		plain := strings.ReplaceAll(fmt.Sprintf("%+v %s", e, encoded), `\u0026`, "&")
		for _, secret := range []string{"kim+new", "kim%2bnew", "kim%2Bnew", "kim&#43;new", "KIM+NEW"} {
			if strings.Contains(plain, secret) {
				t.Errorf("with content %v, the report has the address as %s: %s", show, secret, plain)
			}
		}
		if strings.Contains(plain, "Kim") != show {
			t.Errorf("with content %v: %s", show, plain)
		}
	}
}
