package template_test

import (
	"strings"
	"testing"

	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

// smsOf is a template of one SMS text.
func smsOf(text string) topology.TemplateRecord {
	return topology.TemplateRecord{
		Name: "a", Version: "1", Types: []string{"a"}, Channel: topology.SMS, DefaultLanguage: "en",
		Bodies: map[string]map[string]string{"en": {template.SMSText: text}},
	}
}

// TestSyntaxFaultsSayWhere: the line, and what the parser itself says.
func TestSyntaxFaultsSayWhere(t *testing.T) {
	for body, want := range map[string]string{
		"a\n{{.ctx\nb\n{{.x}}":            `en/sms.txt:4: is not a template: unexpected "{" in operand`,
		"{{.ctx.a} and\n{{.ctx.b}}":       `en/sms.txt:1: is not a template: bad character U+007D '}'`,
		"{{upper\n  (lower .ctx.a)\n +}}": `en/sms.txt:3: is not a template: illegal number syntax: "+"`,
		"{{if .ctx.a}}x":                  `en/sms.txt:1: is not a template: unexpected EOF`,
		"x\n{{end}}":                      `en/sms.txt:2: is not a template: unexpected {{end}}`,
		"{{if .ctx.a == 1}}{{end}}":       `en/sms.txt:1: is not a template: unexpected "=" in operand`,
		"{{.ctx.list[0]}}":                `en/sms.txt:1: is not a template: bad character U+005B '['`,
		"{{print “x”}}":                   "en/sms.txt:1: is not a template: unrecognized character in action: U+201C '“'",
		"{{$x}}":                          `en/sms.txt:1: is not a template: undefined variable "$x"`,
		"{{}}":                            `en/sms.txt:1: is not a template: missing value for command`,
		"{{template x}}":                  `en/sms.txt:1: is not a template: unexpected "x" in template clause`,
		`{{define "a"}}x{{end}}{{define "a"}}y{{end}}`: `en/sms.txt:1: is not a template: template: multiple definition ` +
			`of template "a"`,
	} {
		_, err := template.Compile(smsOf(body))
		if err == nil || err.Error() != want {
			t.Errorf("%q: %v\nwant %s", body, err, want)
		}
	}
}

func TestUnknownFunctions(t *testing.T) {
	for body, want := range map[string]string{
		"{{upper\n  nope\n}}": `en/sms.txt:2: there is no function "nope": there are and, `,
		"{{uper .ctx.a}}":     `en/sms.txt:1: there is no function "uper": did you mean upper?`,
		"{{Upper .ctx.a}}":    `did you mean upper?`,
		"{{ctx.a}}":           `en/sms.txt:1: there is no function "ctx": there are and, `,
		"{{(_value . 0).x}}":  `en/sms.txt:1: there is no function "_value"`,
		"{{with _quoted 1}}{{else}}{{range _maybe . 0}}{{end}}{{end}}": `there is no function "_maybe"`,
		"{{template \"x\" (_text . 0)}}{{define \"x\"}}{{end}}":        `there is no function "_text"`,
		"{{$x := _falsy 1}}":                          `there is no function "_falsy"`,
		"{{.ctx.a}}\n{{a}}\n{{if b}}{{c | d}}{{end}}": `en/sms.txt:2: there is no function "a"`,
	} {
		_, err := template.Compile(smsOf(body))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v\nwant %s", body, err, want)
		}
	}
	_, err := template.Compile(smsOf("{{aaa}}\n{{if bbb}}{{ccc | ddd}}{{end}}"))
	if faults, ok := err.(template.Faults); !ok || len(faults) != 4 {
		t.Errorf("%v; want all four at once", err)
	}
}

func TestEscapingFaultsAreInWordsOfAuthors(t *testing.T) {
	for body, want := range map[string]string{
		"<a href='{{.ctx.a}}":                           "ends within a tag, an attribute",
		"<a {{if .ctx.a}}href='{{end}}x'>":              ":1: the branches of this if",
		"<p>\n<a href='x' b='{{range .ctx.x}}'{{end}}>": ":2: the HTML is broken: on range loop re-entry",
		"<b title=a\"b>{{.ctx.x}}</b>":                  "put attributes' values into quotes",
	} {
		record := smsOf("x")
		record.Channel = topology.Email
		record.Bodies = map[string]map[string]string{"en": {template.EmailSubject: "x", template.EmailHTML: body}}
		_, err := template.Compile(record)
		if err == nil || !strings.Contains(err.Error(), "en/email.html") || !strings.Contains(err.Error(), want) ||
			strings.Contains(err.Error(), "state") {
			t.Errorf("%q: %v\nwant %s", body, err, want)
		}
	}
}

func TestEscapingFaultsOfPartialsSayWhere(t *testing.T) {
	record := smsOf("x")
	record.Channel = topology.Email
	record.Bodies = map[string]map[string]string{"en": {template.EmailSubject: "x",
		template.EmailHTML: "\n\n<p {{template \"p.html\" .}}></p>"}}
	record.Partials = map[string]string{"p.html": "\n{{if .ctx.a}}title='{{end}}x"}
	_, err := template.Compile(record)
	if err == nil || !strings.HasPrefix(err.Error(), "p.html:2: the branches of this if") {
		t.Errorf("%v", err)
	}
}

// Whatever the parser says, the line is in the source.
func FuzzSyntaxFaults(f *testing.F) {
	f.Add("a\n{{.ctx\nb\n{{.x}}")
	f.Add("{{define \"x\"}}{{template \"x\"}}{{end}}{{template \"x\"}}\n")
	f.Add("{{/*\n*/}}{{\"\n")
	f.Fuzz(func(t *testing.T, body string) {
		_, err := template.Compile(smsOf(body))
		if err == nil {
			return
		}
		for _, fault := range err.(template.Faults) {
			if fault.Line < 0 || fault.Line > 1+strings.Count(body, "\n") || fault.Detail == "" {
				t.Errorf("%q: line %d: %q", body, fault.Line, fault.Detail)
			}
		}
	})
}
