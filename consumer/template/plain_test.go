package template

import (
	"bytes"
	"encoding/json"
	"errors"
	htmltemplate "html/template"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"text/template"

	"github.com/tidwall/gjson"

	"github.com/meddela/meddela/topology"
)

const plainCtx = `{"a":"Kim <b> & O'Neil \"+46\"","n":1.50,"i":3,"yes":true,"no":false,"l":["x",1,true,"<ü>"],
	"o":{"b":"s","c":[{"d":1,"e":"é"},{"d":2,"e":"x y"}]},"u":"https://x.example/a b?c=d&e=ü#f",
	"t":"2026-12-01T18:25:00+02:00","css":"red","path":"a/b?c","key-x":{"y":7}}`

// executePlainly renders a source as Go's own packages do, with our functions.
func executePlainly(part, source string) (string, error) {
	functions := make(map[string]any)
	for name, f := range newLocalized("en", part).functions() {
		if f.do != nil && name != "len" && name != "index" {
			functions[name] = func(args ...any) (any, error) {
				var in []value
				for _, arg := range args {
					in = append(in, valueOf(arg))
				}
				var v value
				why := refusal(func(args []value) value { v = f.do(args); return v }, in)
				if why != "" {
					return nil, errors.New(string(why))
				}
				return v.bare(), nil
			}
		}
	}
	var ctx any
	decoder := json.NewDecoder(strings.NewReader(plainCtx))
	decoder.UseNumber()
	if err := decoder.Decode(&ctx); err != nil {
		return "", err
	}
	data := map[string]any{"ctx": ctx, "event": map[string]any{"id": "e-1", "origin": "shop <1>"}}
	var out bytes.Buffer
	if syntaxOf(part) != html {
		t, err := template.New(part).Funcs(functions).Parse(source)
		if err != nil {
			return "", err
		}
		err = t.Execute(&out, data)
		return out.String(), err
	}
	t, err := htmltemplate.New(part).Funcs(functions).Parse(source)
	if err != nil {
		return "", err
	}
	_ = t.Execute(io.Discard, nil)
	t.Funcs(map[string]any{added + "urlfilter": func(v any) (string, error) {
		s := valueOf(v).text
		if why := refusal(func([]value) value { checkAddress(s); return value{} }, nil); why != "" {
			return "", errors.New(string(why))
		}
		return s, nil
	}})
	err = t.Execute(&out, data)
	return out.String(), err
}

// valueOf is what is bare.
func valueOf(bare any) value {
	switch v := bare.(type) {
	case int:
		return ofInt(v)
	case float64:
		known, _ := json.Marshal(v)
		return value{kind: fraction, text: string(known)}
	}
	raw, _ := json.Marshal(bare)
	return (&reader{clean: func(s string) string { return s }}).valueOf(gjson.ParseBytes(raw))
}

// FuzzPlain renders whatever can be rendered, and expects what Go's own packages
// make of it.
func FuzzPlain(f *testing.F) {
	for _, source := range []string{
		`{{.ctx.a}} {{.ctx.n}} {{.ctx.yes}} {{1}} {{1.0}} {{1e21}} {{0x10}} {{'a'}} {{"<"}} {{true}} {{.event.origin}}`,
		`{{range $i, $x := .ctx.l}}{{if $i}},{{end}}{{$i}}={{$x}}{{else}}none{{end}}`,
		`{{range .ctx.o.c}}{{.d}}{{.e}}{{if eq .d 1}}{{continue}}{{end}}!{{break}}{{end}}{{range $k, $v := .ctx.o.c}}{{$k}}{{end}}`,
		`{{range $k, $v := .ctx}}{{$k}};{{end}}{{range 3}}{{.}}{{end}}{{range $i := 2}}{{$i}}{{end}}{{range 0}}{{else}}0{{end}}`,
		`{{$x := 1}}{{range .ctx.l}}{{$x = .}}{{end}}{{$x}}{{with $y := .ctx.o}}{{.b}}{{$y.b}}{{$.ctx.n}}{{else}}x{{end}}`,
		`{{range .ctx.l}}{{.}}{{break}}{{.}}{{else}}{{end}}{{define "x"}}{{.}}{{end}}`,
		`{{with .ctx.no}}a{{else with .ctx.yes}}b{{.}}{{end}}{{if .ctx.no}}{{else if .ctx.i}}c{{end}}`,
		`{{$x := .ctx.i}}{{range $x = .ctx.l}}{{$x}}{{end}}{{range $i, $x = .ctx.l}}{{end}}{{$x}}`,
		`{{and .ctx.no 1}} {{and .ctx.yes 2}} {{or .ctx.no 3}} {{or 0 ""}} {{.ctx.i | or .ctx.no}} {{not .ctx.yes}}`,
		`{{len .ctx.l}} {{len .ctx.a}} {{len .ctx.n}} {{print}} {{index .ctx.l 1}} {{index .ctx "key-x" "y"}} {{(index .ctx.o.c 0).e}}`,
		`{{default "x" .ctx.z}} {{has .ctx.z}} {{.ctx.z | default "y" | upper}} {{print (len .ctx.l) .ctx.n 1.5}}`,
		`{{printf "%s %d %05.1f %v %q %t" .ctx.a .ctx.i .ctx.n .ctx.n .ctx.a .ctx.yes}} {{printf "%d %v %g" 5 'x' 2.0}}`,
		`{{define "x"}}<{{.}}>{{template "y" $}}{{end}}{{define "y"}}[{{.}}]{{end}}{{template "x" .ctx.i}}{{template "y" 5}}`,
		`<a href="{{.ctx.u}}" title='{{.ctx.a}}'>{{.ctx.a}}</a><a href="https://x.example/{{.ctx.path}}?q={{.ctx.a}}">x</a>`,
		`<p title={{.ctx.a}} {{if .ctx.yes}}class="{{.ctx.css}}"{{end}}><title>{{.ctx.a}}</title><textarea>{{.ctx.a}}</textarea>`,
		`<script>x({{.ctx.a}}, {{.ctx.n}}, {{.ctx.i}}, {{len .ctx.l}}, "{{.ctx.a}}", '{{.ctx.a}}', {{true}}, {{1.5}})</script>`,
		`<style>p { color: {{.ctx.css}} }</style><p style="color:{{.ctx.css}};background:url('{{.ctx.u}}')">x</p>`,
		`<img srcset="{{.ctx.path}} 2x"><!-- {{.ctx.a}} --><p onclick="f({{.ctx.a}})">x</p>`,
		`<p {{template "s"}}>{{template "s"}}<a href="{{template "u" .}}">{{.ctx.a}}</a>{{define "s"}}a="1"{{end}}{{define "u"}}{{.ctx.u}}{{end}}`,
		`<a href="https://x.example/?q={{urlquery .ctx.a}}">{{.ctx.a | urlquery}}</a><a href="{{.ctx.u | urlquery}}">x</a>`,
		`{{with $x := .ctx.n}}{{$x}}{{end}}{{(.ctx.o).b}}{{($.ctx.o).b}}{{(print "a" "b") | upper}}{{eq (len .ctx.l) 4 5}}`,
	} {
		f.Add(source)
	}
	f.Fuzz(func(t *testing.T, source string) {
		if markup.MatchString(source) { // which html/template drops or escapes
			return
		}
		for _, part := range []string{EmailText, EmailHTML} {
			compiled, err := Compile(topology.TemplateRecord{
				Name: "a", Version: "1", Types: []string{"a"}, Channel: topology.Email, DefaultLanguage: "en",
				Bodies: map[string]map[string]string{"en": {EmailSubject: "x", part: source}},
			})
			if err != nil {
				continue
			}
			m, err := compiled.Render(&topology.Event{ID: "e-1", Origin: "shop <1>", Ctx: []byte(plainCtx)}, "en")
			if err != nil {
				continue
			}
			want, err := executePlainly(part, source)
			if got := m.Text + m.HTML; err == nil && !strings.Contains(want, "<no value>") && got != want {
				t.Errorf("%s: %q\nrendered %q\nplainly  %q", part, source, got, want)
			}
		}
	})
}

// TestFunctionsDoc: the table in docs/templates.md has every function, and no other.
func TestFunctionsDoc(t *testing.T) {
	page, err := os.ReadFile("../../docs/templates.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rows, _ := strings.Cut(string(page), "| Function | Gives |\n")
	rows, _, _ = strings.Cut(rows, "\n\n")
	call, word := regexp.MustCompile("`([^`]+)`"), regexp.MustCompile(`^[a-z]+$`)
	told := make(map[string]bool)
	for row := range strings.Lines(rows) {
		for _, m := range call.FindAllStringSubmatch(strings.Split(row, "|")[1], -1) {
			for _, name := range strings.Fields(m[1]) { // several, or one and its arguments
				if !word.MatchString(name) {
					break
				}
				told[name] = true
			}
		}
	}
	there := newLocalized("en", EmailText).functions()
	for name := range there {
		if !told[name] {
			t.Errorf("%s is not in docs/templates.md", name)
		}
	}
	for name := range told {
		if _, ok := there[name]; !ok {
			t.Errorf("docs/templates.md has %s, which there is not", name)
		}
	}
}
