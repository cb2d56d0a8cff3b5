package template_test

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

func TestCompileFaults(t *testing.T) {
	sms := func(text string) topology.TemplateRecord {
		return record(map[string]string{template.SMSText: text}, map[string]string{
			"loop.txt": `{{template "loop.txt" .}}`, "a.txt": `{{template "b.txt"}}`, "b.txt": `{{template "a.txt"}}`,
			"bad.txt": "line\n{{if}}", "x.html": "x", "clash.txt": `{{define "sms.txt"}}x{{end}}`,
		})
	}
	push := func(text string) topology.TemplateRecord {
		return record(map[string]string{template.PushJSON: text}, map[string]string{"x.json": `{"a":"`})
	}
	html := func(text string) topology.TemplateRecord {
		return record(map[string]string{template.EmailSubject: "x", template.EmailHTML: text}, nil)
	}
	with := func(change func(r *topology.TemplateRecord)) topology.TemplateRecord {
		r := sms("x")
		change(&r)
		return r
	}
	for name, tt := range map[string]struct {
		record topology.TemplateRecord
		want   string
	}{
		"an unknown function":      {sms("\n\n{{call .x}}"), `en/sms.txt:3: there is no function "call": there are and, `},
		"our own functions":        {sms("{{_value . 0}}"), "en/sms.txt:1: "},
		"the library's functions":  {sms("{{_html_template_htmlescaper .ctx.a}}"), "en/sms.txt:1: there is no function"},
		"its functions in HTML":    {html("{{1 | _html_template_htmlescaper}}"), "en/email.html:1: there is no function"},
		"its other function":       {html("{{_eval_args_ .ctx.a | urlquery}}"), "en/email.html:1: there is no function"},
		"an open action":           {sms("a\n{{.x"), "en/sms.txt:2: is not a template: unclosed action"},
		"a field with arguments":   {sms("{{.ctx.a 1}}"), "en/sms.txt:1: .ctx.a is no function"},
		"a field in a pipe":        {sms("{{1 | .ctx.a}}"), "en/sms.txt:1: .ctx.a is no function"},
		"too few arguments":        {sms("{{upper}}"), "en/sms.txt:1: the call must be: upper VALUE"},
		"too many arguments":       {sms("{{lt 1 2 3}}"), "en/sms.txt:1: the call must be: lt VALUE VALUE"},
		"too many piped arguments": {sms("{{.ctx.a | upper .ctx.b}}"), "en/sms.txt:1: the call must be: upper VALUE"},
		"a style of dates":         {sms("\n{{date \"lnog\" .ctx.a}}"), "en/sms.txt:2: the style of a date is"},
		"a style of times":         {sms("{{time \"full\" .ctx.a}}"), "en/sms.txt:1: the style of a time is"},
		"a zone":                   {sms("\n{{date \"full\" .ctx.a \"Europe/Stokholm\"}}"), "en/sms.txt:2: a zone is"},
		"the machine's zone":       {sms("{{datetime \"full\" .ctx.a \"Local\"}}"), "en/sms.txt:1: a zone is"},
		"two zones":                {sms("{{date \"full\" .ctx.a \"UTC\" \"UTC\"}}"), "en/sms.txt:1: a zone is"},
		"a currency":               {sms("{{currency \"EURO\" .ctx.a}}"), "en/sms.txt:1: a currency is"},
		"decimals":                 {sms("{{number .ctx.a 21}}"), "en/sms.txt:1: the number of decimals is"},
		"more decimals":            {sms("{{percent .ctx.a 2 2}}"), "en/sms.txt:1: the number of decimals is"},
		"a length":                 {sms("{{truncate 0 .ctx.a}}"), "en/sms.txt:1: the length of"},
		"a plural that lacks a form": {sms("\n{{plural .ctx.n \"other\" \"# parcels\"}}"),
			`en/sms.txt:2: plural lacks one: numbers in "en"`},
		"a plural without other":      {sms("{{plural .ctx.n \"one\" \"1 parcel\"}}"), "plural lacks other"},
		"a plural of an unknown form": {sms("{{plural .ctx.n \"some\" \"x\"}}"), "the form of a plural is"},
		"a plural with a form twice": {sms("{{plural .ctx.n \"one\" \"x\" \"one\" \"y\" \"other\" \"z\"}}"),
			`the form "one" is there twice`},
		"a plural without a count":    {sms("{{.ctx.n | plural \"one\" \"x\" \"other\"}}"), "the count comes first"},
		"a plural without a text":     {sms("{{plural .ctx.n \"one\"}}"), "plural takes a count"},
		"a link to nowhere":           {sms("{{link \"/orders\"}}"), "en/sms.txt:1: an address must be whole"},
		"a link that runs":            {sms("{{link \"javascript:alert(1)\"}}"), "en/sms.txt:1: an address must be whole"},
		"a link without a value":      {sms("{{link \"https://x.example\" \"id\"}}"), "en/sms.txt:1: link takes an address"},
		"a link with an empty key":    {sms("{{link \"https://x.example\" \"\" 1}}"), "en/sms.txt:1: link takes an address"},
		"a telephone with a query":    {sms("{{link \"tel:112\" \"id\" 1}}"), "en/sms.txt:1: link takes an address"},
		"nil":                         {sms("{{eq .ctx.a nil}}"), "en/sms.txt:1: nil is of no use"},
		"no such partial":             {sms(`{{template "no.txt" .}}`), `en/sms.txt:1: includes "no.txt", which is neither`},
		"a partial of another kind":   {sms(`{{template "x.html" .}}`), `en/sms.txt:1: includes "x.html", whose kind`},
		"a partial within itself":     {sms(`{{template "loop.txt" .}}`), "includes itself: "},
		"partials within each other":  {sms(`{{if false}}{{template "a.txt"}}{{end}}`), "includes itself: "},
		"a bad partial":               {sms(`{{template "bad.txt"}}`), "bad.txt:2: is not a template: missing value for if"},
		"a partial that is the part":  {sms(`{{template "clash.txt"}}`), `clash.txt:1: defines "sms.txt"`},
		"an open string":              {push(`{"a":"{{.ctx.a}}`), "en/push.json:1: ends within a JSON string"},
		"branches that differ":        {push(`{"a":{{if .ctx.a}}"{{end}}x"}`), "one branch ends within"},
		"a loop that opens a string":  {push(`[{{range .ctx.a}}"{{end}}]`), "the loop's body opens"},
		"a break out of a string":     {push(`[{{range .ctx.a}}"{{break}}"{{end}}]`), "leaves the loop's body"},
		"a value after a backslash":   {push(`{"a":"\{{.ctx.a}}"}`), "right after a backslash"},
		"an inclusion within quotes":  {push(`{"a":"{{template "x.json"}}"}`), "within a JSON string"},
		"a partial with an open text": {push(`{{template "x.json"}}`), "x.json:1: ends within a JSON string"},
		"branches of HTML":            {html("<p>\n{{if .ctx.a}}<a href='{{end}}x"), "en/email.html:2: "},
		"an unquoted place of HTML":   {html(`<a href={{.ctx.a}}{{if .ctx.b}} '{{end}}>`), "en/email.html: "},
		"an escaper of HTML":          {html(`{{urlquery .ctx.a | print}}`), "en/email.html:1: "},
		"no name":                     {with(func(r *topology.TemplateRecord) { r.Name = "" }), "the name must be"},
		"a bad name":                  {with(func(r *topology.TemplateRecord) { r.Name = "a@b" }), "the name must be"},
		"no version":                  {with(func(r *topology.TemplateRecord) { r.Version = "" }), "there is no version"},
		"no types":                    {with(func(r *topology.TemplateRecord) { r.Types = nil }), "there are no event types"},
		"an empty type": {with(func(r *topology.TemplateRecord) { r.Types = []string{""} }),
			"there are no event types"},
		"an unknown channel": {with(func(r *topology.TemplateRecord) { r.Channel = "fax" }), "the channel must be"},
		"no bodies":          {with(func(r *topology.TemplateRecord) { r.Bodies = nil }), "there are no bodies"},
		"a url too many": {with(func(r *topology.TemplateRecord) { r.URL = "https://x" }),
			"a url belongs to channel webhook"},
		"no url": {with(func(r *topology.TemplateRecord) { r.Channel = topology.Webhook }),
			"a url belongs to channel webhook"},
		"a bad word": {with(func(r *topology.TemplateRecord) { r.OnAmbiguous = "shrug" }),
			"on_ambiguous must be"},
		"a negative ttl": {with(func(r *topology.TemplateRecord) { r.TTL = topology.Duration(-time.Second) }),
			"the ttl must not"},
		"no default language": {with(func(r *topology.TemplateRecord) { r.DefaultLanguage = "" }),
			"there is no body in the default language"},
		"no default body": {with(func(r *topology.TemplateRecord) { r.DefaultLanguage = "sv" }),
			"there is no body in the default language"},
		"no language": {with(func(r *topology.TemplateRecord) { r.Bodies["no language"] = r.Bodies["en"] }),
			"no language: is not a language tag"},
		"no subject": {record(map[string]string{template.EmailText: "x"}, nil),
			"en: there is no email.subject"},
		"no text": {record(map[string]string{template.EmailSubject: "x"}, nil),
			"en: there is neither email.txt nor email.html"},
		"a part of another channel": {record(map[string]string{template.EmailSubject: "x", template.EmailText: "x",
			"fax.txt": "x"}, nil), "en/fax.txt: is no part of a message on channel email"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := template.Compile(tt.record)
			var faults template.Faults
			if !errors.As(err, &faults) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v; want %q", err, tt.want)
			}
		})
	}
}

func TestAllFaultsAtOnce(t *testing.T) {
	r := record(map[string]string{template.EmailSubject: "{{", template.EmailText: "{{nope}}",
		template.EmailHTML: `{{template "p.html"}}`}, map[string]string{"p.html": "{{if}}"})
	r.Bodies["sv"] = map[string]string{template.EmailSubject: "x", template.EmailHTML: `{{template "p.html"}}`}
	r.Types = nil
	_, err := template.Compile(r)
	var faults template.Faults
	if !errors.As(err, &faults) || len(faults) != 4 {
		t.Errorf("faults %v; want one each of types, subject, text and the partial", err)
	}
}

func TestIncludes(t *testing.T) {
	r := record(map[string]string{template.SMSText: `{{define "own"}}{{template "b.txt"}}{{end}}{{template "own"}}{{range .x}}{{else}}{{with ` +
		`.y}}{{template "a.txt" .}}{{end}}{{end}}{{if .x}}{{template "b.txt"}}{{end}}`},
		map[string]string{"a.txt": `a{{template "c.txt"}}`, "b.txt": "b", "c.txt": "c", "d.txt": "d", "own": "o"})
	compiled, err := template.Compile(r)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"a.txt": r.Partials["a.txt"], "b.txt": "b", "c.txt": "c"}
	if !maps.Equal(compiled.Partials, want) {
		t.Errorf("Partials = %v; want %v", compiled.Partials, want)
	}
}
