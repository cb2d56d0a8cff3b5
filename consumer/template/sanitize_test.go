package template_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/meddela/meddela/consumer/template"
)

func TestValuesAreSanitized(t *testing.T) {
	const (
		lre, rle, pdf, lro, rlo = "\u202a", "\u202b", "\u202c", "\u202d", "\u202e"
		lri, rli, fsi, pdi      = "\u2066", "\u2067", "\u2068", "\u2069"
	)
	same := func(s string) [2]string { return [2]string{s, s} }
	mail, err := template.Compile(record(map[string]string{template.EmailSubject: "-{{.ctx.v}}-",
		template.EmailText: "{{.ctx.v}}", template.EmailHTML: "{{.ctx.v}}"}, nil))
	if err != nil {
		t.Fatal(err)
	}
	hook, err := template.Compile(record(map[string]string{template.WebhookJSON: `{{.ctx.v}}`}, nil))
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		value string
		want  [2]string // in a text, in a subject
	}{
		"plain":                  {"Kim", same("Kim")},
		"Arabic":                 {"مرحبا 5 \u200f!", same("مرحبا 5 \u200f!")},
		"Hebrew":                 {"שלום\u200e", same("שלום\u200e")},
		"Persian joiners":        {"می\u200cخواهم", same("می\u200cخواهم")},
		"a family":               {"👨‍👩‍👧‍👦", same("👨‍👩‍👧‍👦")},
		"quotes and dashes":      {"“Kim’s” – …", same("“Kim’s” – …")},
		"an override":            {"a" + rlo + "gpj.exe", same("agpj.exe")},
		"a closed override":      {"a" + rlo + "b" + pdf + "c" + lro + "d" + pdf, same("abcd")},
		"an open embedding":      {rle + "a", same("a")},
		"a closed embedding":     {lre + "a" + rle + "b" + pdf + pdf, [2]string{lre + "a" + rle + "b" + pdf + pdf, "ab"}},
		"a closed isolate":       {fsi + "a" + lri + "b" + pdi + pdi, [2]string{fsi + "a" + lri + "b" + pdi + pdi, "ab"}},
		"an open isolate":        {"a" + rli + "b", same("ab")},
		"closers alone":          {"a" + pdf + pdi + "b", same("ab")},
		"crossed":                {rli + rle + "a" + pdi + pdf, [2]string{rli + "a" + pdi, "a"}},
		"open at a line end":     {rli + "a\n" + pdi + "b", [2]string{"a\nb", "a b"}},
		"an override in a pair":  {rli + rlo + "a" + pdi, [2]string{rli + "a" + pdi, "a"}},
		"controls":               {"a\x00\x07\x1b[31m\x7f\u0085\u009b1mb\tc", [2]string{"a[31m1mb\tc", "a[31m1mb c"}},
		"a byte order mark":      {"\ufeffa\ufff9b", same("ab")},
		"spaces of no width":     {"a\u200bb\u2060c", [2]string{"a\u200bb\u2060c", "abc"}},
		"many that do not close": {strings.Repeat(rlo+lri, 100_000) + "a" + strings.Repeat(pdf, 100_000), same("a")},
		"closers by the many":    {strings.Repeat(lre, 100_000) + strings.Repeat(pdi, 100_000) + "a", same("a")},
	} {
		t.Run(name, func(t *testing.T) {
			raw, err := json.Marshal(tt.value)
			if err != nil {
				t.Fatal(err)
			}
			m, err := mail.Render(event(`{"v":`+string(raw)+`}`), "en")
			if err != nil || m.Text != tt.want[0] || m.HTML != tt.want[0] || m.Subject != "-"+tt.want[1]+"-" {
				t.Errorf("rendered %q, %q, subject %q, %v; want %q", m.Text, m.HTML, m.Subject, err, tt.want)
			}
			if m, err = hook.Render(event(`{"v":`+string(raw)+`}`), "en"); err != nil {
				t.Fatal(err)
			}
			var got string
			if err := json.Unmarshal(m.Body, &got); err != nil || got != tt.value {
				t.Errorf("a machine was sent %q, %v; want it untouched", got, err)
			}
		})
	}
}

func TestTheEventIsSanitized(t *testing.T) {
	for part, want := range map[string]string{template.SMSText: `"agpj"`, template.WebhookJSON: "\"a\u202egpj\""} {
		tmpl, err := template.Compile(record(map[string]string{part: `"{{.event.origin}}"`}, nil))
		if err != nil {
			t.Fatal(err)
		}
		ev := event(`{}`)
		ev.Origin = "a\u202egpj"
		if m, err := tmpl.Render(ev, "en"); err != nil || m.Text+string(m.Body) != want {
			t.Errorf("%s: %q, %v; want %q", part, m.Text+string(m.Body), err, want)
		}
	}
}
