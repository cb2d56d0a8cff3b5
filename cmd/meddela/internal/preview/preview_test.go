package preview

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
	"github.com/meddela/meddela/cmd/meddela/internal/faults"
	"github.com/meddela/meddela/cmd/meddela/samples"
	"github.com/meddela/meddela/topology"
)

var update = flag.Bool("update", false, "write the golden files anew")

func text(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }

// tiny is a folder of two templates.
func tiny() fstest.MapFS {
	return fstest.MapFS{
		"hello/template.yaml":      text("types: [hello]\nchannel: email\ndefault_language: en\n"),
		"hello/en/email.subject":   text("Hello {{.ctx.name}}"),
		"hello/en/email.txt":       text("Dear {{.ctx.name}},\nthis is it.\n"),
		"hello/en/email.html":      text("<p title=\"{{.ctx.name}}\">Dear {{.ctx.name}}</p>\n"),
		"hello/sv/email.subject":   text("Hej {{.ctx.name}}"),
		"hello/sv/email.txt":       text("Hej {{.ctx.name}}!\n{{template \"end.txt\"}}"),
		"hello/samples/kim.json":   text(`{"id":"1","type":"hello","email":"kim@example.com","language":"sv","ctx":{"name":"Kim"}}`),
		"code/template.yaml":       text("types: [code]\nchannel: push\n"),
		"code/en/push.json":        text(`{"title":"{{.ctx.code}}"}`),
		"code/samples/app.json":    text(`{"id":"2","type":"code","channel":"push","registrationToken":"t","ctx":{"code":"123"}}`),
		"_partials/end.txt":        text("Bye\n"),
		"hello/samples/README.md":  text("not a sample"),
		"hello/samples/.hidden.md": text("nor this"),
	}
}

const hostile = `</pre></iframe><script>document.title='x'</script>"'><img src=x onerror=alert(1)>{{.}}`

func load(t *testing.T, folder fs.FS) authoring.Report {
	t.Helper()
	f, err := authoring.Check(folder)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func render(t *testing.T, f *authoring.Report, s Selection) []Rendering {
	t.Helper()
	all, err := Render(f, s)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func page(t *testing.T, p *Page) string {
	t.Helper()
	var b strings.Builder
	if err := p.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestPage(t *testing.T) {
	f := load(t, tiny())
	if len(f.Faults) > 0 {
		t.Fatal(f.Faults)
	}
	html := page(t, &Page{Name: "tiny", Renderings: render(t, &f, Selection{})})
	// The style and the script have files of their own.
	html = strings.Replace(strings.Replace(html, pageCSS, "…", 1), pageJS, "…", 1)
	golden := filepath.Join("testdata", "page.html")
	if *update {
		if err := os.WriteFile(golden, []byte(html), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if html != string(want) {
		t.Errorf("differs from %s (go test -update writes it anew):\n%s", golden, html)
	}
	if again := page(t, &Page{Name: "tiny", Renderings: render(t, &f, Selection{})}); !strings.Contains(again, pageJS) ||
		!strings.Contains(again, pageCSS) {
		t.Error("the page lacks its style or script as they are in their files")
	}
}

// TestHostileValuesAreInert: what a sample says is text, wherever it stands.
func TestHostileValuesAreInert(t *testing.T) {
	folder := tiny()
	quoted := strings.NewReplacer(`"`, `\"`).Replace(hostile)
	folder["hello/samples/kim.json"] = text(`{"id":"1","type":"hello","email":"kim@example.com","ctx":{"name":"` + quoted +
		`"}}`)
	f := load(t, folder)
	f.Faults = append(f.Faults, faults.Fault{File: hostile, Detail: hostile})
	html := page(t, &Page{Name: hostile, Problem: hostile, Renderings: render(t, &f, Selection{})})
	for _, live := range []string{"<script>document", "<img", "</iframe><script", "onerror=alert(1)>{{"} {
		if strings.Contains(html, live) {
			t.Errorf("the page has %q as markup", live)
		}
	}
	if n := strings.Count(html, "<script"); n != 1 {
		t.Errorf("the page has %d scripts, want its own", n)
	}
	// Within the frame's document the value is escaped once more.
	if !strings.Contains(html, "Dear &amp;lt;/pre&amp;gt;") {
		t.Error("the frame's document does not have the name as text")
	}
	if !strings.Contains(html, "<iframe sandbox ") {
		t.Error("the frame is not in a sandbox")
	}
}

// TestPageAsksForNothing: neither the page nor its policy names another place.
func TestPageAsksForNothing(t *testing.T) {
	f := load(t, samples.Templates())
	if len(f.Faults) > 0 {
		t.Fatal(f.Faults)
	}
	html := page(t, &Page{Name: "samples", Renderings: render(t, &f, Selection{})})
	for _, fetched := range []string{"<link", "src=\"", "@import", "url("} {
		outside, _, _ := strings.Cut(html, "srcdoc=")
		if strings.Contains(outside, fetched) {
			t.Errorf("the page has %q", fetched)
		}
	}
	if !strings.Contains(html, "default-src &#39;none&#39;") {
		t.Error("the page has no policy")
	}
}

// TestFaults: what has a fault is told, and all else is shown.
func TestFaults(t *testing.T) {
	folder := tiny()
	folder["code/en/push.json"] = text(`{"title":"{{.ctx.code}"}`)
	folder["hello/samples/nobody.json"] = text(`{"id":"3","type":"hello","email":"k@example.com","ctx":{}}`)
	f := load(t, folder)
	var files []string
	for _, fault := range f.Faults {
		files = append(files, fault.File)
	}
	if !slices.Contains(files, "code/en/push.json") || !slices.Contains(files, "hello/samples/nobody.json") {
		t.Errorf("faults in %v", files)
	}
	all := render(t, &f, Selection{})
	var got []string
	for i := range all {
		r := &all[i]
		line := r.SampleName() + " " + r.Language + " " + r.Message.Subject
		if r.Err != nil {
			line += r.Where() + " " + r.Err.Detail
		}
		got = append(got, line)
	}
	want := []string{
		"kim en Hello Kim", "kim sv Hej Kim",
		"nobody en hello/en/email.html:1 ctx.name is missing", "nobody sv hello/sv/email.subject:1 ctx.name is missing",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	html := page(t, &Page{Renderings: all, Faults: f.Faults})
	for _, said := range []string{"code/en/push.json:1</code>", "hello/sv/email.subject:1</code>",
		"2 cannot be rendered"} {
		if !strings.Contains(html, said) {
			t.Errorf("the page does not say %q", said)
		}
	}
}

func TestSelection(t *testing.T) {
	event, err := topology.DecodeEvent(topology.Record{Value: []byte(`{"type":"hello","ctx":{"name":"Eve"}}`)},
		topology.Realtime)
	if err != nil {
		t.Fatal(err)
	}
	eve := &authoring.Sample{File: "eve.json", Event: event}
	f := load(t, tiny())
	for _, test := range []struct {
		name string
		Selection
		want string // sample.wanted.used, or the error
	}{
		{"all", Selection{}, "app.en.en kim.en.en kim.sv.sv"},
		{"a template", Selection{Templates: []string{"code"}}, "app.en.en"},
		{"a language by its longer tag", Selection{Languages: []string{"sv-FI"}}, "app.sv-FI.en kim.sv-FI.sv"},
		{"a sample", Selection{Sample: "kim", Languages: []string{"en"}}, "kim.en.en"},
		{"a sample by its file", Selection{Sample: "./templates/hello/samples/kim.json", Languages: []string{"en"}},
			"kim.en.en"},
		{"an event, by what covers it", Selection{Event: eve}, "eve.en.en eve.sv.sv"},
		{"an event, by a template that does not cover it", Selection{Event: eve, Templates: []string{"code"}}, "eve.en.!"},
		{"no such sample", Selection{Sample: "him"}, `there is no sample "him": there is code/app, hello/kim`},
		{"no such template", Selection{Templates: []string{"helo"}}, `there is no template "helo": did you mean hello?`},
	} {
		all, err := Render(&f, test.Selection)
		var got []string
		for i := range all {
			used := all[i].Message.Language
			if all[i].Err != nil {
				used = "!"
			}
			got = append(got, all[i].SampleName()+"."+all[i].Language+"."+used)
		}
		if err != nil {
			got = []string{err.Error()}
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func TestFiles(t *testing.T) {
	folder := t.TempDir()
	f := load(t, tiny())
	all := render(t, &f, Selection{Languages: []string{"sv", "../en"}})
	n, err := WriteFiles(folder, all)
	if err != nil || n != 7 {
		t.Fatalf("%d files, %v", n, err)
	}
	var names []string
	if err := fs.WalkDir(os.DirFS(folder), ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			names = append(names, name)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"code/app.___en.push.json", "code/app.sv.push.json",
		"hello/kim.___en.email.html", "hello/kim.___en.email.subject", "hello/kim.___en.email.txt",
		"hello/kim.sv.email.subject", "hello/kim.sv.email.txt",
	}
	if !slices.Equal(names, want) {
		t.Errorf("files %q\nwant  %q", names, want)
	}
	body, err := os.ReadFile(filepath.Join(folder, "hello", "kim.sv.email.txt"))
	if err != nil || string(body) != "Hej Kim!\nBye\n" {
		t.Errorf("%q, %v", body, err)
	}
}

// TestTextMessagesOnThePage: of a text message the page says how many parts it takes, and what makes it so many.
func TestTextMessagesOnThePage(t *testing.T) {
	event := `{"id":"1","type":"code","channel":"sms","mobilePhone":"+46701234567","ctx":{"text":"` +
		strings.Repeat("x", 80) + `–"}}`
	f := load(t, fstest.MapFS{
		"code/template.yaml":    text("types: [code]\nchannel: sms\n"),
		"code/en/sms.txt":       text("{{.ctx.text}}"),
		"code/samples/kim.json": text(event),
	})
	html := page(t, &Page{Name: "texts", Renderings: render(t, &f, Selection{})})
	if !strings.Contains(html, `<small>81 of 134, 2 parts, UCS-2 because of &#34;\u2013&#34;, character 81</small>`) {
		t.Errorf("the page does not tell:\n%s", html)
	}
}
