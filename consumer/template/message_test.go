package template_test

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

const address = "kim@example.com"

// record makes a template of one language on the channel that its parts are of.
func record(parts map[string]string, partials map[string]string) topology.TemplateRecord {
	r := topology.TemplateRecord{
		Name: "greeting", Version: "0a1b2c", Types: []string{"greeting"}, Channel: topology.Email,
		DefaultLanguage: "en", Bodies: map[string]map[string]string{"en": parts}, Partials: partials,
	}
	for part := range parts {
		switch part {
		case template.SMSText:
			r.Channel = topology.SMS
		case template.PushJSON:
			r.Channel = topology.Push
		case template.WebhookJSON:
			r.Channel, r.URL = topology.Webhook, "https://hooks.example.com/in"
		}
	}
	return r
}

func event(ctx string) *topology.Event {
	return &topology.Event{ID: "e-1", Type: "greeting", Channel: topology.Email, To: address, Language: "en",
		Country: "FI", Ctx: []byte(ctx)}
}

// renderText renders a template that has only that text.
func renderText(t *testing.T, text, ctx string, partials map[string]string) (string, error) {
	t.Helper()
	tmpl, err := template.Compile(record(map[string]string{template.SMSText: text}, partials))
	if err != nil {
		t.Fatalf("compile %q: %v", text, err)
	}
	m, err := tmpl.Render(event(ctx), "en")
	return m.Text, err
}

func TestRenderedText(t *testing.T) {
	for name, tt := range map[string]struct{ text, ctx, want string }{
		"a path": {`Order {{.ctx.order.number}}`, `{"order":{"number":"A-1007"}}`, "Order A-1007"},
		"numbers as they were sent": {`{{.ctx.a}} {{.ctx.b}} {{.ctx.c}}`, `{"a":129.90,"b":1e3,"c":12345678901234567890}`,
			"129.90 1e3 12345678901234567890"},
		"an empty text is a text":   {`[{{.ctx.a}}]`, `{"a":""}`, "[]"},
		"false and zero are values": {`{{.ctx.a}} {{.ctx.b}}`, `{"a":false,"b":0.00}`, "false 0.00"},
		"the event":                 {`{{.event.id}} {{.event.type}} {{.event.country}}`, `{}`, "e-1 greeting FI"},
		"a loop": {`{{range $i, $x := .ctx.l}}{{$i}}={{$x.n}};{{end}}`, `{"l":[{"n":"a"},{"n":"b"}]}`,
			"0=a;1=b;"},
		"a loop over an object": {`{{range $k, $v := .ctx.o}}{{$k}}={{$v}};{{end}}`, `{"o":{"b":2,"a":1}}`, "a=1;b=2;"},
		"the root in a loop":    {`{{range .ctx.l}}{{.}}{{$.ctx.s}}{{end}}`, `{"l":[1,2],"s":"-"}`, "1-2-"},
		"an empty loop":         {`{{range .ctx.l}}x{{else}}none{{end}}`, `{"l":[]}`, "none"},
		"break and continue": {`{{range .ctx.l}}{{if eq . 2}}{{continue}}{{end}}{{if eq . ` +
			`4}}{{break}}{{end}}{{.}}{{end}}`, `{"l":[1,2,3,4,5]}`, "13"},
		"with":                       {`{{with .ctx.o}}{{.n}}{{end}}`, `{"o":{"n":"x"}}`, "x"},
		"variables":                  {`{{$n := .ctx.n}}{{$n = print $n "!"}}{{$n}}`, `{"n":"x"}`, "x!"},
		"default of missing":         {`{{default "friend" .ctx.name}}`, `{}`, "friend"},
		"default of missing parents": {`{{default "friend" .ctx.a.b.c}}`, `{"a":"text"}`, "friend"},
		"default of null":            {`{{.ctx.name | default "friend"}}`, `{"name":null}`, "friend"},
		"default of what is there":   {`{{.ctx.name | default "friend" | upper}}`, `{"name":"Kim"}`, "KIM"},
		"has": {`{{if has .ctx.a}}a{{end}}{{if has .ctx.b}}b{{end}}{{if not (has .ctx.c)}}!c{{end}}`,
			`{"b":false,"c":null}`, "b!c"},
		"zero is false": {`{{if .ctx.n}}some{{else}}none{{end}}{{with .ctx.n}}some{{else}}none{{end}}`,
			`{"n":0.0}`, "nonenone"},
		"or picks the first true": {`{{or .ctx.n "none"}} {{or .ctx.m "none"}}`, `{"n":0,"m":5}`, "none 5"},
		"and stops early":         {`{{if and (has .ctx.a) (gt .ctx.a 5)}}x{{else}}y{{end}}`, `{}`, "y"},
		"not":                     {`{{not .ctx.n}} {{.ctx.n | not}}`, `{"n":0}`, "true true"},
		"numbers compare as numbers": {`{{lt .ctx.a .ctx.b}} {{eq .ctx.a 9}} {{ge .ctx.b 10.5}} {{ne .ctx.a 9.0}}`,
			`{"a":9,"b":10.5}`, "true true true false"},
		"texts compare as texts": {`{{lt .ctx.a "b"}} {{eq .ctx.a "x" "a"}}`, `{"a":"a"}`, "true true"},
		"index": {`{{index .ctx.l 1}} {{index .ctx "a-b"}} {{(index .ctx.o "x y").z}} {{index ` +
			`.ctx.l .ctx.i}}`, `{"l":[1,2],"a-b":3,"o":{"x y":{"z":4}},"i":0}`, "2 3 4 1"},
		"printf": {`{{printf "%.2f %d %s %5s|%v %-3d|%03d" .ctx.f .ctx.d .ctx.f .ctx.s .ctx.d .ctx.d ` +
			`.ctx.d}}`, `{"f":1.5,"d":7,"s":"100%!"}`, "1.50 7 1.5 100%!|7 7  |007"},
		"len":   {`{{len .ctx.l}}`, `{"l":[1,2]}`, "2"},
		"lower": {`{{lower .ctx.s}}`, `{"s":"ÅSA"}`, "åsa"},
		"date": {`{{date "2 Jan 2006 15:04" .ctx.t}}`, `{"t":"2026-12-01T20:00:00+02:00"}`,
			"1 Dec 2026 20:00"},
		"urlquery": {`?id={{urlquery .ctx.s}}`, `{"s":"a b&c"}`, "?id=a+b%26c"},
		"json": {`{{json .ctx}}`, `{"b":[1.50,null,"<\""],"a":true}`,
			`{"a":true,"b":[1.50,null,"<\""]}`},
		"a definition":      {`{{define "x"}}<{{.}}>{{end}}{{template "x" .ctx.n}}`, `{"n":1}`, "<1>"},
		"escapes of JSON":   {`{{.ctx.s}}`, `{"s":"\u00e5\n\"x\""}`, "å\n\"x\""},
		"keys with escapes": {`{{.ctx.å}}`, `{"\u00e5":"x"}`, "x"},
		"parentheses":       {`{{(.ctx.o).n}} {{($.ctx.o.n)}}`, `{"o":{"n":1}}`, "1 1"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := renderText(t, tt.text, tt.ctx, nil)
			if err != nil || got != tt.want {
				t.Errorf("rendered %q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestMissingDataIsNamed(t *testing.T) {
	for name, tt := range map[string]struct{ text, ctx, want string }{
		"a leaf":                  {"\n{{.ctx.order.number}}", `{"order":{}}`, "ctx.order.number"},
		"a parent":                {"\n{{.ctx.order.number}}", `{}`, "ctx.order.number"},
		"null":                    {"\n{{.ctx.order.number}}", `{"order":{"number":null}}`, "ctx.order.number"},
		"a field of a text":       {"\n{{.ctx.order.number}}", `{"order":"x"}`, "ctx.order.number"},
		"in a loop":               {"\n{{range .ctx.l}}{{.name}}{{end}}", `{"l":[{}]}`, "ctx.l[].name"},
		"an element":              {"\n{{range .ctx.l}}{{.}}{{end}}", `{"l":[null]}`, "ctx.l[]"},
		"a loop's variable":       {"\n{{range $x := .ctx.l}}{{$x.name}}{{end}}", `{"l":[{}]}`, "$x.name"},
		"a null variable":         {"\n{{range $x := .ctx.l}}{{$x}}{{end}}", `{"l":[null]}`, "$x"},
		"in with":                 {"\n{{with .ctx.o}}{{.a.b}}{{end}}", `{"o":{"x":1}}`, "ctx.o.a.b"},
		"the root from a loop":    {"\n{{range .ctx.l}}{{$.ctx.x}}{{end}}", `{"l":[1]}`, "ctx.x"},
		"what a loop is over":     {"\n{{range .ctx.l}}{{end}}", `{}`, "ctx.l"},
		"a condition":             {"\n{{if .ctx.vip}}{{end}}", `{}`, "ctx.vip"},
		"an argument":             {"\n{{upper .ctx.s}}", `{}`, "ctx.s"},
		"piped":                   {"\n{{.ctx.s | upper}}", `{}`, "ctx.s"},
		"a comparison":            {"\n{{if eq .ctx.s 1}}{{end}}", `{}`, "ctx.s"},
		"the fallback of default": {"\n{{default .ctx.a .ctx.b}}", `{}`, ""},
		"an index":                {"\n{{index .ctx.l 3}}", `{"l":[1]}`, "index .ctx.l 3"},
		"a negative index":        {"\n{{index .ctx.l .ctx.i}}", `{"l":[1],"i":-1}`, "index .ctx.l .ctx.i"},
		"a key":                   {"\n{{index .ctx \"a-b\"}}", `{}`, `index .ctx "a-b"`},
		"a field of the event":    {"\n{{.event.origin}}", `{}`, "event.origin"},
		"no field of the event":   {"\n{{.event.Raw}}", `{}`, "event.Raw"},
		"a method":                {"\n{{.event.Valid}}", `{}`, "event.Valid"},
		"no root of that name":    {"\n{{.order}}", `{}`, "order"},
		"behind index":            {"\n{{(index .ctx.l 0).x}}", `{"l":[{}]}`, "(index .ctx.l 0).x"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := renderText(t, tt.text, tt.ctx, nil)
			var e *template.Error
			if !errors.As(err, &e) {
				t.Fatalf("rendered %q, %v; want an *Error", got, err)
			}
			if tt.want == "" {
				return
			}
			if e.Reason != topology.ReasonMissingData || e.Path != tt.want || e.Part != "sms.txt" || e.Line != 2 ||
				e.Language != "en" {
				t.Errorf("error %+v; want missing %q in line 2", e, tt.want)
			}
		})
	}
}

func TestRenderFailures(t *testing.T) {
	for name, tt := range map[string]struct{ text, ctx string }{
		"writes an object":      {`{{.ctx.o}}`, `{"o":{"secret":"s3cr3t"}}`},
		"writes a list":         {`{{.ctx.o}}`, `{"o":["s3cr3t"]}`},
		"writes everything":     {`{{.}}`, `{"o":"s3cr3t"}`},
		"prints everything":     {`{{print .}}`, `{"o":"s3cr3t"}`},
		"json of everything":    {`{{json .}}`, `{"o":"s3cr3t"}`},
		"loops over a text":     {`{{range .ctx.s}}{{end}}x`, `{"s":"s3cr3t"}`},
		"a verb does not fit":   {`{{printf "%d" .ctx.s}}`, `{"s":"s3cr3t"}`},
		"compares unlike kinds": {`{{eq .ctx.s 1}}`, `{"s":"s3cr3t"}`},
		"no date":               {`{{date "2006" .ctx.s}}`, `{"s":"s3cr3t"}`},
		"len of a bool":         {`{{len .ctx.b}}`, `{"b":true,"s":"s3cr3t"}`},
		"nothing":               {`{{if false}}x{{end}}`, `{}`},
		"ctx is a list":         {`x`, `["s3cr3t"]`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := renderText(t, tt.text, tt.ctx, nil)
			var e *template.Error
			if !errors.As(err, &e) || e.Reason != topology.ReasonRenderFailed || e.Detail == "" {
				t.Fatalf("rendered %q, %v; want render_failed", got, err)
			}
			if s := err.Error(); strings.Contains(s, "s3cr3t") || strings.Contains(s, address) {
				t.Errorf("the error %q holds content", s)
			}
		})
	}
}

func TestHTMLIsEscapedByPlace(t *testing.T) {
	const hostile = `{"name":"<script>alert(1)</script>","url":"javascript:alert(1)","attr":"\" ` +
		`onclick=\"x","css":"expression(1)"}`
	for name, tt := range map[string]struct{ html, want string }{
		"text":      {`<p>{{.ctx.name}}</p>`, `<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>`},
		"piped":     {`<p>{{.ctx.name | upper}}</p>`, `<p>&lt;SCRIPT&gt;ALERT(1)&lt;/SCRIPT&gt;</p>`},
		"printf":    {`<p>{{printf "%s" .ctx.name}}</p>`, `<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>`},
		"attribute": {`<p title="{{.ctx.attr}}">`, `<p title="&#34; onclick=&#34;x">`},
		"query": {`<a href="https://x.example/?q={{.ctx.attr}}">`,
			`<a href="https://x.example/?q=%22%20onclick%3d%22x">`},
		"script": {`<script>var x = {{.ctx.name}};</script>`,
			`<script>var x = "\u003cscript\u003ealert(1)\u003c/script\u003e";</script>`},
		"partial": {`{{template "b.html" .ctx.name}}`, `<b>&lt;script&gt;alert(1)&lt;/script&gt;</b>`},
		"in a loop": {`{{range $k, $v := .ctx}}{{if eq $k "attr"}}<i title='{{$v}}'>{{end}}{{end}}`,
			`<i title='&#34; onclick=&#34;x'>`},
	} {
		t.Run(name, func(t *testing.T) {
			tmpl, err := template.Compile(record(map[string]string{template.EmailSubject: "x", template.EmailHTML: tt.html},
				map[string]string{"b.html": "<b>{{.}}</b>"}))
			if err != nil {
				t.Fatal(err)
			}
			m, err := tmpl.Render(event(hostile), "en")
			if err != nil || m.HTML != tt.want {
				t.Errorf("rendered %q, %v; want %q", m.HTML, err, tt.want)
			}
		})
	}
}

func TestMissingDataInHTML(t *testing.T) {
	tmpl, err := template.Compile(record(map[string]string{
		template.EmailSubject: "x",
		template.EmailHTML:    "<p>\n<a href=\"{{template \"u.html\" .}}\"></a></p>",
	}, map[string]string{"u.html": "{{.ctx.a.b}}"}))
	if err != nil {
		t.Fatal(err)
	}
	_, err = tmpl.Render(event(`{}`), "en")
	var e *template.Error
	if !errors.As(err, &e) || e.Path != "ctx.a.b" || e.Part != "u.html" || e.Line != 1 {
		t.Errorf("error %+v; want ctx.a.b of u.html:1", e)
	}
}

func TestSubjectIsOneLine(t *testing.T) {
	tmpl, err := template.Compile(record(map[string]string{template.EmailSubject: "  Hi {{.ctx.name}}\n",
		template.EmailText: "x"}, nil))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		`Kim\r\nBcc: all@example.com`: "Hi Kim Bcc: all@example.com",
		`Kim\n\n\tx`:                  "Hi Kim x",
		`Kim\u0000\u0085\u2028x`:      "Hi Kim x",
		"Kim\u00a0Åsa":                "Hi Kim\u00a0Åsa",
	} {
		m, err := tmpl.Render(event(`{"name":"`+name+`"}`), "en")
		if err != nil || m.Subject != want {
			t.Errorf("name %s: subject %q, %v; want %q", name, m.Subject, err, want)
		}
	}
	_, err = tmpl.Render(event(`{"name":"`+strings.Repeat("x", 1000)+`"}`), "en")
	if err == nil {
		t.Error("a subject of 1000 bytes was taken")
	}
}

func TestJSONCannotBeBrokenOutOf(t *testing.T) {
	const hostile = `{"name":"x\",\"admin\":\"1\n\\","n":1.50,"l":["a","b"],"o":{"k":null}}`
	for name, tt := range map[string]struct{ template, want string }{
		"in quotes":         {`{"a":"Hi {{.ctx.name}}!"}`, `{"a":"Hi x\",\"admin\":\"1\n\\!"}`},
		"out of quotes":     {`{"a":{{.ctx.name}}}`, `{"a":"x\",\"admin\":\"1\n\\"}`},
		"json":              {`{"a":{{json .ctx.name}}}`, `{"a":"x\",\"admin\":\"1\n\\"}`},
		"piped json":        {`{"a":{{.ctx.name | json}}}`, `{"a":"x\",\"admin\":\"1\n\\"}`},
		"a number":          {`{"a":{{.ctx.n}},"b":"{{.ctx.n}}"}`, `{"a":1.50,"b":"1.50"}`},
		"whole values":      {`{"a":{{.ctx.l}},"b":{{.ctx.o}}}`, `{"a":["a","b"],"b":{"k":null}}`},
		"after escapes":     {`{"a":"\"\\{{.ctx.n}}"}`, `{"a":"\"\\1.50"}`},
		"branches":          {`{"a":"{{if .ctx.n}}{{.ctx.name}}{{else}}no{{end}}"}`, `{"a":"x\",\"admin\":\"1\n\\"}`},
		"a loop":            {`[{{range $i, $x := .ctx.l}}{{if $i}},{{end}}"{{$x}}"{{end}}]`, `["a","b"]`},
		"a partial":         {`{"a":{{template "v.json" .ctx.name}}}`, `{"a":{"v":"x\",\"admin\":\"1\n\\"}}`},
		"comparisons":       {`{"a":{{gt .ctx.n 1}}}`, `{"a":true}`},
		"text put together": {`{"a":{{print .ctx.n " kr"}}}`, `{"a":"1.50 kr"}`},
	} {
		t.Run(name, func(t *testing.T) {
			tmpl, err := template.Compile(record(map[string]string{template.PushJSON: tt.template},
				map[string]string{"v.json": `{"v":"{{.}}"}`}))
			if err != nil {
				t.Fatal(err)
			}
			m, err := tmpl.Render(event(hostile), "en")
			if err != nil || string(m.Body) != tt.want {
				t.Errorf("rendered %s, %v; want %s", m.Body, err, tt.want)
			}
			if !json.Valid(m.Body) {
				t.Errorf("%s is not JSON", m.Body)
			}
		})
	}
}

func TestJSONPartMustBeJSON(t *testing.T) {
	tmpl, err := template.Compile(record(map[string]string{template.WebhookJSON: `{"a":{{.ctx.n}},}`}, nil))
	if err != nil {
		t.Fatal(err)
	}
	_, err = tmpl.Render(event(`{"n":1}`), "en")
	var e *template.Error
	if !errors.As(err, &e) || e.Reason != topology.ReasonRenderFailed {
		t.Errorf("error %v; want render_failed", err)
	}
}

func TestRunawaysAreStopped(t *testing.T) {
	for name, text := range map[string]string{
		"an endless loop that writes nothing": `{{range 2000000000}}{{end}}`,
		"a loop within loops":                 `{{range 100000}}{{range 100000}}{{end}}{{end}}`,
		"an endless loop that writes":         `{{range 2000000000}}xxxxxxxxxx{{end}}`,
		"a text that doubles":                 `{{$x := "xx"}}{{range 60}}{{$x = print $x $x}}{{end}}`,
		"a text that grows by escaping":       `{{$x := "%"}}{{range 60}}{{$x = urlquery $x}}{{$x = print $x $x}}{{end}}`,
		"huge widths":                         `{{printf "%1000000d%1000000d%1000000d" 1 1 1}}`,
		"a width from an argument":            `{{printf "%*d" 1000000 1}}`,
		"an indexed width":                    `{{printf "%[1]*d" 1000000 1}}`,
		"a huge precision":                    `{{printf "%.1000000f" .ctx.f}}`,
		"costly turns":                        `{{range 1000000}}{{$x := json $.ctx.l}}{{end}}`,
		"inclusions that multiply": `{{define "a"}}{{template "b"}}{{template "b"}}{{end}}{{define ` +
			`"b"}}{{template "c"}}{{template "c"}}{{end}}{{define "c"}}{{range 300000}}{{template ` +
			`"d"}}{{end}}{{end}}{{define "d"}}{{end}}{{template "a"}}`,
		"json in a loop": `{{range .ctx.l}}{{json $.ctx.l}}{{end}}`,
	} {
		t.Run(name, func(t *testing.T) {
			ctx := `{"f":1.5,"l":[` + strings.Repeat("1,", 5000) + `1]}`
			_, err := renderText(t, text+"x", ctx, nil)
			var e *template.Error
			if !errors.As(err, &e) || e.Reason != topology.ReasonRenderFailed {
				t.Errorf("error %v; want render_failed", err)
			}
		})
	}
}

func TestAHugeValueIsRefused(t *testing.T) {
	tmpl, err := template.Compile(record(map[string]string{template.EmailSubject: "x",
		template.EmailHTML: "<p>{{.ctx.a}}</p>"}, nil))
	if err != nil {
		t.Fatal(err)
	}
	_, err = tmpl.Render(event(`{"a":"`+strings.Repeat("&lt;", 300_000)+`"}`), "en")
	var e *template.Error
	if !errors.As(err, &e) || e.Reason != topology.ReasonRenderFailed || len(err.Error()) > 200 {
		t.Errorf("error %.300v; want a short render_failed", err)
	}
}

// TestNearestLanguage: by CLDR, whoever wrote the tag. Bodies are a template's, of which the first is the
// default.
func TestNearestLanguage(t *testing.T) {
	const other = template.DefaultDistance
	for _, test := range []struct{ bodies, wanted, want string }{
		{"en sv sv-FI", "sv-FI", "sv-FI"}, {"en sv", "SV", "sv"}, {"en sv", "sv_SE", "sv"}, {"en sv", "sv-Latn-FI", "sv"},
		{"en sv", "sv_SE.UTF-8", "sv"}, {"en sv", "swe", "sv"}, {"en sv", "sv-x-shop", "sv"}, {"en sv", "sv-XX", "sv"},
		{"en no", "nb-NO", "no"}, {"en no", "nb", "no"}, {"en no", "nn", "no"}, {"en nb", "no", "nb"},
		{"en nb nn", "nn-NO", "nn"},
		{"en pt-BR pt-PT", "pt", "pt-BR"}, {"en pt-BR pt-PT", "pt-AO", "pt-PT"}, {"en pt", "pt-PT", "pt"},
		{"en pt-BR", "pt-PT", "pt-BR"}, {"en pt-BR", "pt-br", "pt-BR"},
		{"en zh zh-Hant", "zh-Hant-TW", "zh-Hant"}, {"en zh zh-Hant", "zh-HK", "zh-Hant"},
		{"en zh zh-Hant", "zh-SG", "zh"}, {"en zh-TW", "zh-Hant-HK", "zh-TW"},
		{"en sr-Latn", "sr-Latn-RS", "sr-Latn"}, {"en sr sr-Latn", "sr_Latn", "sr-Latn"}, {"en sr-Latn", "sh", "sr-Latn"},
		{"en he", "iw", "he"}, {"en iw", "he-IL", "iw"}, {"en id", "in", "id"}, {"en fil", "tl", "fil"},
		{"en es es-419", "es-MX", "es-419"}, {"en es es-419", "es-ES", "es"}, {"en es", "es-419", "es"},
		{"en en-GB", "en-AU", "en-GB"}, {"en en-GB", "en-US", "en"}, {"sv en-US", "en-GB", "en-US"},
		{"en de", "de-AT", "de"},
		{"en sv", "sv-SE,sv;q=0.9,en-US;q=0.8,en;q=0.7", "sv"}, {"en de", "sv-SE,sv;q=0.9,de;q=0.8,en;q=0.7", "de"},
		{"sv en", "en;q=0.1,sv", "sv"}, {"en sv", "fr,*;q=0.5", "en"}, {"en sv", "sv;q=0,de", "en"},
		{"en sv", "de", "en"}, {"en sv", "", "en"}, {"en sv", "svenska", "en"}, {"en sv", "-", "en"}, {"en sv", "und", "en"},
		{"en sv", strings.Repeat("sv-", 90), "en"}, {"en sv", "sv;;q=,,x", "en"}, {"en xx", "xx", "xx"},
		{"sv xx", "zz", "sv"}, {"sv xx", "en", "sv"}, {"en ru", "uk", "en"},
		// A macrolanguage and what it has, beside one that is near to both.
		{"en nn", "no", "nn"}, {"en nn", "no-NO", "nn"}, {"en nn", "nb", "nn"}, {"en nb nn", "no", "nb"},
		{"en da no", "nb", "no"}, {"en da no", "nn-NO", "no"}, {"da no", "nb-NO", "no"}, {"en da nb", "no", "nb"},
		{"en da nn", "nb", "nn"}, {"en no nb", "nb-NO", "nb"}, {"en no nb", "no-NO", "no"}, {"en da sv", "nn", "en"},
		{"en da", "no", "da"}, {"en da", "nb-NO", "da"}, {"en no", "da-DK", "no"}, {"en nb", "da", "nb"},
		{"en sv", "no", "en"}, {"en da", "sv", "en"}, {"da en", "sv", "da"}, {"en da", "no,en;q=0.5", "en"},
		// One that is merely related, or often learnt, is not read.
		{"en be", "ru", "en"}, {"en ru", "be", "en"}, {"en ru", "kk", "en"}, {"en tr", "ku", "en"}, {"en ru", "ka", "en"},
		{"en es", "eu", "en"}, {"en es", "ca", "en"}, {"en es", "pt", "en"}, {"en es", "gl", "en"}, {"en fr", "br", "en"},
		{"sv en", "cy", "sv"}, {"sv en", "ta", "sv"}, {"sv en", "zu", "sv"}, {"en nl", "af", "en"}, {"en cs", "sk", "en"},
		{"en id", "ms", "en"}, {"en zh", "ug", "en"}, {"en hi", "ur", "en"}, {"en hi", "mr", "en"}, {"en fi", "et", "en"},
		{"en de", "nds", "en"}, {"en de", "rm", "en"}, {"sv en", "i-klingon", "sv"},
		// By CLDR these are understood, in the script that is read.
		{"en de", "gsw-CH", "de"}, {"en de", "lb", "de"}, {"en gsw", "de", "en"}, {"en hr", "bs", "hr"},
		{"en bs", "hr", "bs"},
		{"en sr-Latn", "hr", "sr-Latn"}, {"en sr", "hr", "en"}, {"en hr", "sr-Latn", "hr"}, {"en hr", "sr", "en"},
		{"en sr", "sr-Latn", "sr"}, {"en sr-Latn", "sr-Cyrl-RS", "sr-Latn"}, {"en hr", "sh", "hr"}, {"en sr", "sr-ME", "sr"},
		// What is written as its macrolanguage, with its extended subtags or without.
		{"en zh-Hant", "yue", "zh-Hant"}, {"en zh zh-Hant", "zh-yue-HK", "zh-Hant"}, {"en zh", "zh-wuu", "zh"},
		{"en zh", "zh-cmn-Hans-CN", "zh"}, {"en ar", "ar-arz", "ar"}, {"en ar", "arz-EG", "ar"}, {"en ku", "kmr", "ku"},
		{"en ms", "zsm", "ms"}, {"en zh", "i-hak", "zh"}, {"en zh", "zh-min-nan", "zh"},
		{"en zh zh-Hant", "zh-TW,zh;q=0.9,en;q=0.8", "zh-Hant"}, {"en zh", "zh-TW,en;q=0.8", "en"}, {"en ro", "mo", "ro"},
		{"en zh-Hans", "zh", "zh-Hans"}, {"en zh-Hant", "zh-CN", "zh-Hant"}, {"en pt-BR", "pt", "pt-BR"},
		// Parts of tags that name no language.
		{"en sv", "x-shop", "en"}, {"en sv", "und-SE", "sv"}, {"en sv", "*", "en"}, {"en sv", "*;q=0.1,sv;q=0.2", "sv"},
		{"en sv", "sv-SE-u-ca-gregory-x-a", "sv"}, {"en sv", "sv-a-foo", "sv"}, {"en sv", "mul", "en"}, {"en sv", "C", "en"},
		{"en sv", "sv@euro", "sv"}, {"en sv", "sv_SE@euro", "sv"}, {"en sv", "sv;q=1.0000, en;q=0.5", "sv"},
		{"en sv", "SV-se ; q=0.9 , EN", "en"},
	} {
		bodies := strings.Fields(test.bodies)
		languages := template.NewLanguages(bodies, bodies[0])
		for range 2 { // the second time from memory
			name, distance := languages.Nearest(test.wanted)
			asWritten := strings.EqualFold(name, strings.ReplaceAll(test.wanted, "_", "-"))
			if name != test.want || asWritten != (distance == 0) || name != bodies[0] && distance == other {
				t.Errorf("%s for %q: %s at %d; want %s", test.bodies, test.wanted, name, distance, test.want)
			}
		}
	}
}

// TestNearnessOrders: of several templates the one whose language is nearer comes first.
func TestNearnessOrders(t *testing.T) {
	last := -1
	for _, body := range []string{"zh-HK", "zh-Hant-HK", "zh-TW", "zh-CN", "de"} {
		_, distance := template.NewLanguages([]string{body}, body).Nearest("zh-HK")
		if distance <= last {
			t.Errorf("%s is at %d, and the one before at %d", body, distance, last)
		}
		last = distance
	}
}

// TestNearestIsRemembered: tags are read once, and however many there are, it stays correct.
func TestNearestIsRemembered(t *testing.T) {
	languages := template.NewLanguages([]string{"en", "no"}, "en")
	for i := range 1000 {
		if name, _ := languages.Nearest("nb-x-" + strconv.Itoa(i)); name != "no" {
			t.Fatalf("the %d. is %s", i, name)
		}
	}
	languages.Nearest("nb-NO")
	if n := testing.AllocsPerRun(100, func() { languages.Nearest("nb-NO") }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestAddress(t *testing.T) {
	for part, want := range map[string]string{template.SMSText: address, template.PushJSON: address,
		template.WebhookJSON: "https://hooks.example.com/in"} {
		tmpl, err := template.Compile(record(map[string]string{part: `"x"`}, nil))
		if err != nil {
			t.Fatal(err)
		}
		m, err := tmpl.Render(event(`{}`), "en")
		if err != nil || m.To != want {
			t.Errorf("%s: to %q, %v; want %q", part, m.To, err, want)
		}
	}
}

func TestRenderByMany(t *testing.T) {
	tmpl, err := template.Compile(record(map[string]string{
		template.EmailSubject: "{{.ctx.n}}", template.EmailText: "{{.ctx.n}}", template.EmailHTML: "<b>{{.ctx.n}}</b>",
	}, nil))
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for _, n := range []string{"a", "b", "c", "d"} {
		all.Go(func() {
			for range 200 {
				m, err := tmpl.Render(event(`{"n":"`+n+`"}`), "en")
				if err != nil || m.Subject != n || m.Text != n || m.HTML != "<b>"+n+"</b>" {
					t.Errorf("rendered %+v, %v; want %s", m, err, n)
					return
				}
			}
		})
	}
	all.Wait()
}
