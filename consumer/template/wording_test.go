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

func TestSyntaxFaultsAreInWordsOfAuthors(t *testing.T) {
	for body, want := range map[string]string{
		"a\n{{.ctx\nb\n{{.x}}":            `:2: {{ is not closed: add }}`,
		"{{.ctx.a} and\n{{.ctx.b}}":       `:1: {{ is not closed: add }}`,
		"{{upper\n  (lower .ctx.a)\n +}}": `:3: + has no meaning here: templates do not calculate`,
		"{{upper\n  nope\n}}":             `:2: there is no function "nope"`,
		"{{uper .ctx.a}}":                 `:1: there is no function "uper": did you mean upper?`,
		"{{Upper .ctx.a}}":                `did you mean upper?`,
		"{{ctx.a}}":                       `:1: there is no function "ctx": write .ctx, with a dot before it`,
		"{{if .ctx.a}} x {{endif}}":       `there is no function "endif": an if ends with {{end}}`,
		"{{if .ctx.a}}x":                  `:1: ends within an if, range, with, block or define: add the {{end}}`,
		"x\n{{end}}":                      `:2: {{end}} has no if, range, with, block or define before it`,
		"{{if .ctx.a == 1}}{{end}}":       `= has no meaning here: compare with {{if eq A B}}`,
		"{{if .ctx.a && .ctx.b}}{{end}}":  `& has no meaning here: join with {{if and A B}}`,
		"{{.ctx.order-number}}":           `- has no meaning here: templates do not calculate; a key with a hyphen is read with {{index`,
		"{{.ctx.list[0]}}":                `[ has no meaning here: read an element with {{index .ctx.list 0}}`,
		"{{print “x”}}":                   "“ has no meaning here: write \" instead",
		"{{$x}}":                          `there is no variable $x here: declare it before`,
		"{{}}":                            `there is nothing between {{ and }}`,
		"{{template x}}":                  `template takes the name of a partial in quotes`,
		`{{define "a"}}x{{end}}{{define "a"}}y{{end}}`: `defines "a" a second time`,
	} {
		_, err := template.Compile(smsOf(body))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v\nwant %s", body, err, want)
			continue
		}
		for _, jargon := range []string{"unexpected", "operand", "U+", "pipeline", "not defined"} {
			if strings.Contains(err.Error(), jargon) {
				t.Errorf("%q: %v has %s in it", body, err, jargon)
			}
		}
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
		if err == nil || !strings.Contains(err.Error(), "en/email.html") || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "state") {
			t.Errorf("%q: %v\nwant %s", body, err, want)
		}
	}
}

// Whatever the parser says, the place is in the source.
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
