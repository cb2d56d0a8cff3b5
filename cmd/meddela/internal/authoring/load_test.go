package authoring_test

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
	"github.com/meddela/meddela/cmd/meddela/internal/faults"
	"github.com/meddela/meddela/topology"
)

// folder makes a folder of templates; each file is given as its path and text.
func folder(files map[string]string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return fsys
}

const manifest = "types: [greeting]\nchannel: sms\ndefault_language: en\n"

// greeting is a folder with one good template, and with changes to it.
func greeting(changes map[string]string) fstest.MapFS {
	files := map[string]string{
		"greeting/template.yaml":      manifest,
		"greeting/en/sms.txt":         "Hi {{.ctx.name}}\n{{template \"sign.txt\" .}}",
		"greeting/sv/sms.txt":         "Hej {{.ctx.name}}",
		"greeting/samples/kim.json":   `{"type":"greeting","channel":"sms","mobilePhone":"+46701740605","ctx":{"name":"Kim"}}`,
		"_partials/sign.txt":          `{{template "us.txt"}}`,
		"_partials/us.txt":            "us",
		"_partials/unused.html":       "<b>unused</b>",
		"README.md":                   "about these templates",
		".git/config":                 "",
		"greeting/README.md":          "about this one",
		"greeting/en/.sms.txt.swp":    "",
		"_drafts/x/template.yaml":     "nothing",
		"greeting/samples/.gitignore": "",
	}
	for name, text := range changes {
		if text == "" {
			delete(files, name)
			continue
		}
		files[name] = text
	}
	return folder(files)
}

func TestLoad(t *testing.T) {
	report, err := authoring.Check(greeting(map[string]string{
		"greeting/template.yaml": "name: greeting\ntypes: [greeting, welcome]\nchannel: sms\ndefault_language: en\nttl: 90m\nurgent: true\non_ambiguous: hold\n",
	}))
	if err != nil || len(report.Faults) > 0 {
		t.Fatal(err, report.Faults)
	}
	templates := report.Templates
	if len(templates) != 1 || len(templates[0].Samples) != 1 {
		t.Fatalf("loaded %+v", templates)
	}
	r := templates[0].Record
	if r.Name != "greeting" || !slices.Equal(r.Types, []string{"greeting", "welcome"}) || r.Channel != topology.SMS ||
		r.DefaultLanguage != "en" ||
		time.Duration(r.TTL) != 90*time.Minute || !r.Urgent || r.OnAmbiguous != topology.HoldAmbiguous ||
		!r.PublishedAt.IsZero() {
		t.Errorf("record %+v", r)
	}
	if r.Bodies["sv"]["sms.txt"] != "Hej {{.ctx.name}}" || len(r.Bodies) != 2 {
		t.Errorf("bodies %v", r.Bodies)
	}
	if got := slices.Sorted(maps.Keys(r.Partials)); !slices.Equal(got, []string{"sign.txt", "us.txt"}) {
		t.Errorf("partials %v; want those included, directly or not", got)
	}
	if len(r.Version) != 12 {
		t.Errorf("version %q", r.Version)
	}
}

func TestDefaults(t *testing.T) {
	records, err := authoring.Load(folder(map[string]string{
		"a/template.yaml":    "types: a\nchannel: webhook\nurl: https://example.com/in\n",
		"a/sv/webhook.json":  `{}`,
		"b2/template.yaml":   "types:\n  - \"b\"\n  - c\nchannel: 'push'\n",
		"b2/sv-FI/push.json": "\ufeff{\r\n}\r\n",
	}))
	if err != nil {
		t.Fatal(err)
	}
	if len(records) != 2 || records[0].Name != "a" || records[0].DefaultLanguage != "sv" || records[0].URL == "" ||
		records[0].Types[0] != "a" {
		t.Errorf("records %+v", records)
	}
	if got := records[1].Bodies["sv-FI"]["push.json"]; got != "{\n}\n" {
		t.Errorf("the body is %q; want it without mark and carriage returns", got)
	}
}

func TestVersionIsOfTheContent(t *testing.T) {
	version := func(changes map[string]string) string {
		t.Helper()
		records, err := authoring.Load(greeting(changes))
		if err != nil {
			t.Fatal(err)
		}
		return records[0].Version
	}
	base := version(nil)
	for name, changes := range map[string]map[string]string{
		"a comment":          {"greeting/template.yaml": "# about\n" + manifest},
		"the order of keys":  {"greeting/template.yaml": "default_language: en\nchannel: sms\ntypes: [greeting]\nname: greeting\n"},
		"line ends":          {"greeting/en/sms.txt": "Hi {{.ctx.name}}\r\n{{template \"sign.txt\" .}}"},
		"samples":            {"greeting/samples/kim.json": ""},
		"a partial not used": {"_partials/unused.html": "other"},
		"another template":   {"b/template.yaml": "types: b\nchannel: sms\n", "b/en/sms.txt": "x"},
	} {
		if name == "another template" {
			records, err := authoring.Load(greeting(changes))
			if err != nil || records[1].Version != base {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if version(changes) != base {
			t.Errorf("%s changes the version", name)
		}
	}
	for name, changes := range map[string]map[string]string{
		"a body":     {"greeting/sv/sms.txt": "Hej hej {{.ctx.name}}"},
		"a language": {"greeting/sv/sms.txt": ""},
		"a partial":  {"_partials/us.txt": "we"},
		"a type":     {"greeting/template.yaml": manifest + "ttl: 1h\n"},
	} {
		if version(changes) == base {
			t.Errorf("%s does not change the version", name)
		}
	}
	r := topology.TemplateRecord{Name: "a"}
	v := authoring.Version(r)
	r.PublishedAt, r.Version = time.Now(), "old"
	if authoring.Version(r) != v {
		t.Error("the time or the old version change the version")
	}
}

func TestFaults(t *testing.T) {
	const y = "greeting/template.yaml"
	for name, tt := range map[string]struct {
		changes map[string]string
		want    string
	}{
		"no manifest": {map[string]string{y: ""}, y + ": is not there"},
		"not YAML":    {map[string]string{y: "types: [a\nchannel: ]"}, y + ":"},
		"a list":      {map[string]string{y: "- types"}, y + ": it must be lines of key: value"},
		"two documents": {map[string]string{y: manifest + "---\n" + manifest}, y +
			": there are several YAML documents"},
		"a key twice": {map[string]string{y: manifest + "channel: sms\n"}, y +
			":4: channel: it is there already, in line 2: remove one of the two"},
		"a misspelt key": {map[string]string{y: manifest + "tll: 1h\n"}, y +
			":4: tll: there is no such key: did you mean ttl?"},
		"an unknown key": {map[string]string{y: manifest + "colour: red\n"}, y +
			":4: colour: there is no such key: known are channel, "},
		"a merge": {map[string]string{y: manifest + "<<: {ttl: 1h}\n"}, y + ":4: <<: there is no such key"},
		"another name": {map[string]string{y: "name: hello\n" + manifest}, y +
			`:1: name: it must be the folder's name, "greeting"`},
		"no types": {map[string]string{y: "channel: sms\ndefault_language: en\n"}, y +
			": types: it is missing"},
		"empty types": {map[string]string{y: "types: []\nchannel: sms\ndefault_language: en\n"}, y +
			":1: types: it must be a list of texts"},
		"a number for a type": {map[string]string{y: "types: [greeting, 1]\nchannel: sms\ndefault_language: en\n"}, y +
			":1: types: it must be a list of texts: put 1 into quotes"},
		"a type twice": {map[string]string{y: "types: [greeting, greeting]\nchannel: sms\ndefault_language: en\n"}, y + `:1: types: "greeting" is there twice`},
		"no channel": {map[string]string{y: "types: [greeting]\ndefault_language: en\n"}, y +
			": channel: it is missing: say one of email, sms, push, webhook"},
		"an unknown channel": {map[string]string{y: "types: [greeting]\nchannel: fax\ndefault_language: en\n"}, y +
			`:2: channel: "fax" must be one of`},
		"no default language": {map[string]string{y: "types: [greeting]\nchannel: sms\n"}, y +
			": default_language: it is missing"},
		"no folder for it": {map[string]string{y: "types: [greeting]\nchannel: sms\ndefault_language: de\n"}, y +
			`:3: default_language: there is no folder "de"`},
		"an empty value": {map[string]string{y: "types: [greeting]\nchannel: sms\ndefault_language:\n"}, y +
			":3: default_language: it says nothing: give it a value, or remove it"},
		"a condition": {map[string]string{y: manifest + "when: ctx.vip >\n"}, y + ":4: when: "},
		"a bad length of time": {map[string]string{y: manifest + "ttl: 3 days\n"}, y +
			":4: ttl: it must be a length of time"},
		"a number for a time": {map[string]string{y: manifest + "ttl: 3\n"}, y + ":4: ttl: it must be a length of time"},
		"no length of time": {map[string]string{y: manifest + "ttl: 0s\n"}, y +
			":4: ttl: it must be a length of time"},
		"neither true nor false": {map[string]string{y: manifest + "urgent: very\n"}, y +
			":4: urgent: it must be true or false"},
		"a bad word": {map[string]string{y: manifest + "on_ambiguous: shrug\n"}, y +
			`:4: on_ambiguous: "shrug" must be one of resend, hold`},
		"a url too many": {map[string]string{y: manifest + "url: https://example.com\n"}, y +
			":4: url: it belongs to channel webhook only"},
		"no url": {map[string]string{y: "types: [greeting]\nchannel: webhook\ndefault_language: en\n"}, y +
			": url: it is missing"},
		"a bad url":             {map[string]string{y: "types: [greeting]\nchannel: webhook\nurl: example.com\ndefault_language: en\n"}, y + ":3: url: it must be a whole URL"},
		"a url with a password": {map[string]string{y: "types: [greeting]\nchannel: webhook\nurl: https://a:b@example.com\ndefault_language: en\n"}, y + ":3: url: it must not hold a password"},
		"a fault in a body": {map[string]string{"greeting/sv/sms.txt": "a\n{{.ctx"},
			"greeting/sv/sms.txt:2: is not a template: unclosed action"},
		"a fault in a partial": {map[string]string{"_partials/us.txt": "\n{{nope}}"},
			`_partials/us.txt:2: there is no function "nope"`},
		"no such partial": {map[string]string{"_partials/us.txt": ""}, `_partials/sign.txt:1: includes "us.txt"`},
		"a partial of no kind": {map[string]string{"_partials/x.css": "x"},
			"_partials/x.css: must end in .txt, .html or .json"},
		"no such part": {map[string]string{"greeting/sv/push.json": "{}"},
			"greeting/sv/push.json: is no part of a message on channel sms"},
		"an empty language": {map[string]string{"greeting/sv/sms.txt": "", "greeting/sv/.keep": "x"},
			"greeting/sv: there is no sms.txt: add it"},
		"no language": {map[string]string{"greeting/all languages/sms.txt": "x"},
			"greeting/all languages: is not a language tag"},
		"a stray file": {map[string]string{"greeting/sms.txt": "x"}, "greeting/sms.txt: does not belong here"},
		"a folder in a language": {map[string]string{"greeting/sv/old/sms.txt": "x"},
			"greeting/sv/old: is a folder, where only files"},
		"a sample that is none": {map[string]string{"greeting/samples/kim.json": "{"},
			"greeting/samples/kim.json:1: is not an event: "},
		"a sample in YAML": {map[string]string{"greeting/samples/kim.yaml": "x"},
			"greeting/samples/kim.yaml: does not end in .json"},
		"a sample of other type": {
			map[string]string{"greeting/samples/kim.json": `{"type":"x","channel":"sms","ctx":{"name":"Kim"}}`},
			`greeting/samples/kim.json: its type "x" is none`,
		},
		"a sample elsewhere":  {map[string]string{"greeting/samples/kim.json": `{"type":"greeting","ctx":{"name":"Kim"}}`}, "greeting/samples/kim.json: its channel is email, and the template's sms"},
		"a sample that lacks": {map[string]string{"greeting/samples/kim.json": `{"type":"greeting","channel":"sms","ctx":{}}`}, "greeting/samples/kim.json: sv/sms.txt:1 reads ctx.name, which the sample does not have"},
		"a sample that fails": {map[string]string{"greeting/samples/kim.json": `{"type":"greeting","channel":"sms","ctx":{"name":{}}}`}, "greeting/samples/kim.json: sv/sms.txt:1: ctx.name is not a text or a number"},
		"a folder with a bad name": {map[string]string{"Greeting/template.yaml": manifest, "Greeting/en/sms.txt": "x"},
			"Greeting/template.yaml: name: the folder's name is the template's"},
		"a template's own folder": {map[string]string{"template.yaml": manifest, "en/sms.txt": "x"},
			"template.yaml: this is a template's own folder: name the folder that it is in"},
		"a huge file": {map[string]string{"greeting/sv/sms.txt": strings.Repeat("x", 600<<10)},
			"greeting/sv/sms.txt: is larger than"},
		"huge together": {map[string]string{"greeting/sv/sms.txt": strings.Repeat("x", 400<<10),
			"greeting/de/sms.txt": strings.Repeat("x", 400<<10), "greeting/fi/sms.txt": strings.Repeat("x", 400<<10)},
			y + ": the template has 122"},
		"not UTF-8": {map[string]string{"greeting/sv/sms.txt": "\xff"}, "greeting/sv/sms.txt: is not UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			records, err := authoring.Load(greeting(tt.changes))
			var found faults.List
			if !errors.As(err, &found) || !strings.Contains("\n"+err.Error(), "\n"+tt.want) || records != nil {
				t.Errorf("faults:\n%v\nwant %q", err, tt.want)
			}
		})
	}
}

func TestAllFaultsAtOnceAndInOrder(t *testing.T) {
	_, err := authoring.Load(greeting(map[string]string{
		"greeting/template.yaml":    "types: [greeting]\nchanel: sms\nttl: x\ndefault_language: en\n",
		"greeting/sv/sms.txt":       "{{",
		"_partials/us.txt":          "{{",
		"b/template.yaml":           "types: b\nchannel: sms\ndefault_language: en\n",
		"b/en/sms.txt":              `{{template "us.txt"}}`,
		"b/sv/sms.txt":              `{{template "us.txt"}}`,
		"greeting/samples/kim.json": "x",
	}))
	var found faults.List
	if !errors.As(err, &found) {
		t.Fatal(err)
	}
	var where []string
	for _, f := range found {
		where = append(where, strings.SplitN(f.Error(), ": ", 2)[0])
	}
	want := []string{"_partials/us.txt:1", "greeting/samples/kim.json", "greeting/sv/sms.txt", "greeting/template.yaml",
		"greeting/template.yaml:2", "greeting/template.yaml:3"}
	for _, w := range want {
		if !slices.ContainsFunc(where, func(s string) bool { return strings.HasPrefix(s, w) }) {
			t.Errorf("nothing at %s", w)
		}
	}
	if !slices.IsSortedFunc(found, func(a, b faults.Fault) int { return strings.Compare(a.File, b.File) }) ||
		bytes.Count([]byte(err.Error()), []byte("_partials/us.txt")) != 1 {
		t.Errorf("faults out of order, or several times:\n%v", err)
	}
}

func FuzzManifest(f *testing.F) {
	f.Add(manifest + "ttl: 1h\nurgent: true\nwhen: |\n  ctx.a\nurl: &x https://example.com\n")
	f.Add("? [a]\n: b\n*x : y\n!!str 1: 2\n<<: *x\n")
	f.Add("{types: [a, {b: c}], \"channel\": 'sms'}\n...\n---\n")
	f.Fuzz(func(t *testing.T, text string) {
		_, err := authoring.Load(greeting(map[string]string{"greeting/template.yaml": text + "\n"}))
		var found faults.List
		if err != nil && !errors.As(err, &found) {
			t.Errorf("the error is a %T", err)
		}
	})
}
