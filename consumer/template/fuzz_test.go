package template_test

import (
	"encoding/json"
	"errors"
	"html"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/meddela/meddela/consumer/template"
)

// FuzzTemplate renders whatever compiles: it ends, within its bounds, and an
// error shows nothing of the event.
func FuzzTemplate(f *testing.F) {
	for _, source := range []string{
		`{{.ctx.a}}`, `{"x":"{{range $i, $x := .ctx.l}}{{$x}}{{else}}{{with .ctx.o}}{{.b}}{{end}}{{end}}"}`,
		`<a href="{{default "x" .ctx.o.z}}">{{if and (has .ctx.a) (gt .ctx.n 1)}}{{(index .ctx.l 0)}}{{end}}</a>`,
		`{{define "x"}}{{.}}{{end}}{{template "x" .ctx.a | print | printf "%s"}}`, `<script>x({{.ctx.o}})</script>`,
		`{{date "Jan 2" "2026-12-01"}}{{datetime "full" .ctx.t "Asia/Tokyo"}}{{time "short" .ctx.t}}`,
		`{{number .ctx.n 3}}{{percent .ctx.n}}{{currency "SEK" .ctx.n}}`,
		`{{plural .ctx.n "=0" "no" "one" "#" "other" "##"}}{{truncate 3 .ctx.a}}{{join "," .ctx.l}}`,
		`<a href="{{link .ctx.u "a" .ctx.a}}">{{trim .ctx.u}}</a>`, `{{print}}{{printf}}{{and}}{{len}}`,
		"<!--[if mso]><a href=\"{{.ctx.u}}\">{{.ctx.a}}<![endif]--><!--[if !mso]><!-->x<!--<![endif]-->", "<!--[if <\ufdd07;",
		`{{_html_template_htmlescaper}}`, `{{.ctx.a | _html_template_urlfilter | _eval_args_}}`,
	} {
		f.Add(source)
	}
	const ctx = `{"t":"2026-12-01T18:25:00+02:00","u":"https://x.example/s3cr3t","a":"s3cr3t","n":1.50,
		"l":["s3cr3t",1,null],"o":{"b":"s3cr3t"}}`
	f.Fuzz(func(t *testing.T, source string) {
		for _, part := range []string{template.SMSText, template.PushJSON, template.EmailHTML} {
			parts := map[string]string{part: source}
			if part == template.EmailHTML {
				parts[template.EmailSubject] = source
			}
			tmpl, err := template.Compile(record(parts, nil))
			if err != nil {
				continue
			}
			m, err := tmpl.Render(event(ctx), "en")
			var e *template.Error
			switch {
			case err == nil && part == template.PushJSON && !json.Valid(m.Body):
				t.Errorf("rendered %q, which is not JSON", m.Body)
			case err == nil && strings.ContainsAny(m.Subject, "\r\n"):
				t.Errorf("the subject %q has line ends", m.Subject)
			case err == nil && len(m.Text)+len(m.HTML)+len(m.Body) > 2*template.MaxPartBytes:
				t.Error("the message is too large")
			case err != nil && !errors.As(err, &e):
				t.Errorf("the error is a %T", err)
			case err != nil && strings.Contains(err.Error(), "s3cr3t") && !strings.Contains(source, "s3cr3t"):
				t.Errorf("the error %q holds content", err)
			}
		}
	})
}

// isSanitized reports whether a character may be removed from values.
func isSanitized(r rune) bool {
	return r < ' ' && r != '\n' && r != '\t' && r != '\r' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e ||
		r >= 0x2066 && r <= 0x2069 ||
		r == 0xfeff || r >= 0xfff9 && r <= 0xfffb
}

// isNeverShown reports whether a character is always removed from them.
func isNeverShown(r rune) bool {
	return isSanitized(r) && (r < 0x202a || r == 0x202d || r == 0x202e || r > 0x2069)
}

// FuzzValue puts any text into every kind of part, and expects to find it
// there again, as that text and nothing else.
func FuzzValue(f *testing.F) {
	for _, value := range []string{"", "Kim", "\"\\\r\n\x00", "<b>'&amp;", "\u2028%!s", "{{.ctx}}", "å\u202e"} {
		f.Add(value)
	}
	parts := map[string]string{template.WebhookJSON: `{"a":"-{{.ctx.v}}","b":{{.ctx.v}},"c":{{json .ctx.v}}}`}
	body, err := template.Compile(record(parts, nil))
	if err != nil {
		f.Fatal(err)
	}
	mail, err := template.Compile(record(map[string]string{template.EmailSubject: "-{{.ctx.v}}",
		template.EmailText: "-{{.ctx.v}}", template.EmailHTML: "-{{.ctx.v}}"}, nil))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, v string) {
		if !utf8.ValidString(v) || len(v) > 900 {
			return
		}
		ctx, err := json.Marshal(map[string]string{"v": v})
		if err != nil {
			t.Fatal(err)
		}
		m, err := body.Render(event(string(ctx)), "en")
		if err != nil {
			t.Fatal(err)
		}
		var got struct{ A, B, C string }
		if err := json.Unmarshal(m.Body, &got); err != nil || got.A != "-"+v || got.B != v || got.C != v {
			t.Errorf("%q became %s: %v", v, m.Body, err)
		}
		m, err = mail.Render(event(string(ctx)), "en")
		if strings.ContainsFunc(v, isSanitized) {
			if strings.ContainsFunc(m.Text+m.HTML+m.Subject, isNeverShown) {
				t.Errorf("%q became %q, %q, %q", v, m.Subject, m.Text, m.HTML)
			}
			return
		}
		switch {
		case err != nil:
			t.Fatal(err)
		case m.Text != "-"+v:
			t.Errorf("%q became the text %q", v, m.Text)
		case html.UnescapeString(m.HTML) != "-"+v, strings.ContainsAny(m.HTML, "<>"):
			t.Errorf("%q became the HTML %q", v, m.HTML)
		case strings.ContainsAny(m.Subject, "\r\n\x00"):
			t.Errorf("%q became the subject %q", v, m.Subject)
		}
	})
}

// FuzzCtx renders events whose data nobody has checked: the message is a message,
// or there is an error that says why.
func FuzzCtx(f *testing.F) {
	for _, ctx := range []string{`{"a":{"b":"x"},"l":[1,2]}`, `{"a`, `{"a":{"b":`, `{"l":[1,{"x":[`, `{]`, "", "[]",
		`{"a":1,"a":2}`,
		strings.Repeat(`{"a":`, 200) + `1` + strings.Repeat(`}`, 200)} {
		f.Add(ctx)
	}
	tmpl, err := template.Compile(record(map[string]string{template.WebhookJSON: `{"a":"{{default 1 .ctx.a.b}}","l":` +
		`[{{if has .ctx.l}}{{range $i, $x := .ctx.l}}{{if $i}},{{end}}{{$x}}{{end}}{{end}}],"all":{{json .ctx}}}`}, nil))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, ctx string) {
		m, err := tmpl.Render(event(ctx), "en")
		var e *template.Error
		if err == nil && !json.Valid(m.Body) || err != nil && (!errors.As(err, &e) || e.Detail == "") {
			t.Errorf("%q: rendered %s, %v", ctx, m.Body, err)
		}
	})
}
