package template_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

// renderIn renders a text of an e-mail in a language.
func renderIn(t *testing.T, language, text, ctx string) (string, error) {
	t.Helper()
	r := record(map[string]string{template.EmailSubject: "x", template.EmailText: text}, nil)
	r.Bodies = map[string]map[string]string{language: r.Bodies["en"]}
	r.DefaultLanguage = language
	tmpl, err := template.Compile(r)
	if err != nil {
		t.Fatalf("compile %s: %v", text, err)
	}
	m, err := tmpl.Render(event(ctx), language)
	return m.Text, err
}

func TestFunctionsInLanguages(t *testing.T) {
	const ctx = `{"t":"2026-12-01T18:25:00+02:00","day":"2026-12-01","total":"1249.00","n":1249.5,"share":0.25,
		"parcels":3,"one":1,"none":0,"c":"SEK"}`
	for _, tt := range []struct{ text, wants string }{
		{`{{date "long" .ctx.t}}`, `sv 1 december 2026|sv-FI 1 december 2026|fi 1. joulukuuta 2026|de 1. Dezember 2026|en December 1, 2026|en-GB 1 December 2026|
			en-US December 1, 2026|fr 1 décembre 2026|nb 1. desember 2026|da 1. december 2026|pl 1 grudnia 2026|
			ar 1 ديسمبر 2026|ja 2026年12月1日`},
		{`{{.ctx.day | date "full"}}`,
			`sv tisdag 1 december 2026|de Dienstag, 1. Dezember 2026|en Tuesday, December 1, 2026|fi tiistai 1. joulukuuta ` +
				`2026|da tirsdag den 1. december 2026`},
		{`{{date "short" .ctx.day}}`, `sv 2026-12-01|sv-FI 1.12.2026|de 01.12.26|en 12/1/26|en-GB 01/12/2026|ja 2026/12/01`},
		{`{{date "long" .ctx.day "America/New_York"}}`, `sv 1 december 2026|en December 1, 2026`},
		{`{{date "Monday 2 January" .ctx.t}}`,
			`sv tisdag 1 december|de Dienstag 1 Dezember|pl wtorek 1 grudnia|en Tuesday 1 December`},
		{`{{date "2006-01-02" .ctx.t}}`, `sv 2026-12-01|ja 2026-12-01`},
		{`{{time "short" .ctx.t}}`, `sv 18:25|sv-FI 18.25|fi 18.25|de 18:25|en 6:25 PM|en-GB 18:25|en-US 6:25 PM|fr ` +
			`18:25|nb 18:25|da 18.25|pl 18:25|ar 6:25 م|ja 18:25`},
		{`{{time "short" .ctx.t "Asia/Tokyo"}} {{date "long" .ctx.t "Asia/Tokyo"}}`,
			`sv 01:25 2 december 2026|en 1:25 AM December 2, 2026`},
		{`{{time "15:04:05 -07:00" .ctx.t "UTC"}}`, `sv 16:25:00 +00:00`},
		{`{{datetime "long" .ctx.t "Europe/Stockholm"}}`,
			`sv 1 december 2026 kl. 17:25|de 1. Dezember 2026 um 17:25|en December 1, 2026 at 5:25 PM|en-GB 1 December 2026 ` +
				`at 17:25|fr 1 décembre 2026 à 17:25`},
		{`{{number .ctx.n}}`, `sv 1 249,5|de 1.249,5|en 1,249.5|fr 1 249,5|pl 1249,5|ja 1,249.5`},
		{`{{number .ctx.n 2}} {{number "-0.005" 2}} {{number 12345678901234567 0}}`,
			`en 1,249.50 -0.01 12,345,678,901,234,567|sv 1 249,50 −0,01 12 345 678 901 234 567`},
		{`{{percent .ctx.share}} {{percent 0.12345 1}}`, `sv 25 % 12,3 %|en 25% 12.3%|pl 25% 12,3%`},
		{`{{.ctx.total | currency .ctx.c}}`,
			`sv 1 249,00 kr|sv-FI 1 249,00 kr|fi 1 249,00 SEK|de 1.249,00 SEK|en SEK 1,249.00|nb 1 249,00 SEK|da 1.249,00 ` +
				`SEK|pl 1249,00 SEK|ja SEK 1,249.00`},
		{`{{currency "EUR" .ctx.total}} {{currency "jpy" 1249}}`,
			`sv 1 249,00 € 1 249 JPY|de 1.249,00 € 1.249 ¥|en €1,249.00 ¥1,249|en-GB €1,249.00 JP¥1,249|ja €1,249.00 ￥1,249`},
		{`{{upper "iı"}} {{lower "Iİ"}}`, "tr İI ıi|sv II ii"},
		{`{{plural .ctx.parcels "=0" "no #" "one" "# parcel" "other" "# parcels"}}`, `sv 3 parcels|en 3 parcels`},
		{`{{plural .ctx.none "=0" "no # or ##" "one" "# parcel" "other" "# parcels"}}`, `sv no 0 or #|fr no 0 or #`},
		{`{{plural .ctx.none "one" "# colis" "other" "# colis!"}}`, `fr 0 colis|en 0 colis!`},
		{`{{plural .ctx.n "one" "#-" "other" "#+"}}`, `en 1,249.5+|sv 1 249,5+`},
		{`{{range $n := .ctx}}{{end}}{{plural .ctx.one "one" "# paczka" "few" "# paczki" "many" "# paczek" "other" "# ` +
			`paczki"}}{{plural .ctx.parcels "one" "a" "few" "b" "many" "c" "other" "d"}}{{plural 5 "one" "a" "few" "b" ` +
			`"many" "c" "other" "d"}}{{plural 22 "one" "a" "few" "b" "many" "c" "other" "d"}}{{plural "1.5" "one" "a" ` +
			`"few" "b" "many" "c" "other" "d"}}`, `pl 1 paczkabcbd`},
		{`{{plural 0 "zero" "0" "one" "1" "two" "2" "few" "f" "many" "m" "other" "o"}}{{plural 2 "zero" "0" "one" "1" ` +
			`"two" "2" "few" "f" "many" "m" "other" "o"}}{{plural 11 "zero" "0" "one" "1" "two" "2" "few" "f" "many" "m" ` +
			`"other" "o"}}{{plural 100 "zero" "0" "one" "1" "two" "2" "few" "f" "many" "m" "other" "o"}}`, `ar 02mo`},
		{`{{plural .ctx.parcels "other" "荷物#個"}}`, `ja 荷物3個`},
	} {
		for want := range strings.SplitSeq(tt.wants, "|") {
			language, want, _ := strings.Cut(strings.TrimSpace(want), " ")
			got, err := renderIn(t, language, tt.text, ctx)
			// Spaces that do not break are tested where the texts are made.
			if got = strings.NewReplacer("\u00a0", " ", "\u202f", " ").Replace(got); err != nil || got != want {
				t.Errorf("%s %s: %q, %v; want %q", language, tt.text, got, err, want)
			}
		}
	}
}

func TestFunctionsOnTexts(t *testing.T) {
	const family, flag, zalgo = "👨‍👩‍👧‍👦", "🇸🇪", "e\u0301"
	ctx := `{"s":"  Kim & Åsa ","l":["a",1.50,true],"family":"` + family + flag + zalgo + `x","marks":"ab` +
		strings.Repeat("\u0301", 5000) + `c"}`
	for text, want := range map[string]string{
		`[{{trim .ctx.s}}]`:                                    "[Kim & Åsa]",
		`{{join ", " .ctx.l}}`:                                 "a, 1.50, true",
		`{{.ctx.l | join ""}}`:                                 "a1.50true",
		`{{truncate 4 .ctx.family}}`:                           family + flag + zalgo + "x",
		`{{truncate 3 .ctx.family}}`:                           family + flag + "…",
		`{{truncate 2 .ctx.family}}`:                           family + "…",
		`{{truncate 1 .ctx.family}}`:                           family,
		`{{.ctx.s | trim | truncate 5}}`:                       "Kim…",
		`{{truncate 9 .ctx.s}}`:                                "Kim &…",
		`{{truncate 10 .ctx.marks}}`:                           "a…",
		`{{truncate 100 "short"}}`:                             "short",
		`{{link "https://x.example/a"}}`:                       "https://x.example/a",
		`{{link "https://x.example/a?b=c#d" "é k" "&="}}`:      "https://x.example/a?b=c&%C3%A9%20k=%26%3D#d",
		`{{link "https://x.example/å?q=å" "n" 1.50}}`:          "https://x.example/%C3%A5?q=%C3%A5&n=1.5",
		`{{link "mailto:help@x.example" "subject" "Order 5"}}`: "mailto:help@x.example?subject=Order%205",
		`{{link "tel:+358-9-123"}}`:                            "tel:+358-9-123",
		`{{link "HTTP://x.example:8080/a%20b"}}`:               "http://x.example:8080/a%20b",
	} {
		got, err := renderIn(t, "en", text, ctx)
		if err != nil || got != strings.TrimLeft(want, " ") && got != "  "+want {
			t.Errorf("%s: %q, %v; want %q", text, got, err, want)
		}
	}
}

// TestSMSKeepsToItsAlphabet makes sure that one space of a price does not halve
// what an SMS has room for.
func TestSMSKeepsToItsAlphabet(t *testing.T) {
	r := record(map[string]string{template.SMSText: `{{currency "SEK" -1249}} {{number 1249.5}} {{truncate 6 ` +
		`"Försenad"}} {{truncate 2 "abc"}} {{plural 1249 "one" "#" "other" "# st"}}`}, nil)
	r.Bodies["sv"], r.DefaultLanguage = r.Bodies["en"], "sv"
	delete(r.Bodies, "en")
	tmpl, err := template.Compile(r)
	if err != nil {
		t.Fatal(err)
	}
	m, err := tmpl.Render(event(`{}`), "sv")
	if want := "-1 249,00 kr 1 249,5 För... ab 1 249 st"; err != nil || m.Text != want {
		t.Errorf("rendered %q, %v; want %q", m.Text, err, want)
	}
}

// TestMoneyAsItWasSent: amounts and currencies that are no plain numbers and no
// ISO codes are written as they are.
func TestMoneyAsItWasSent(t *testing.T) {
	for ctx, want := range map[string]string{
		`{"v":"1 249,00","c":"kr"}`: "1 249,00 kr", `{"v":"129.90","c":"kr"}`: "129.90 kr",
		`{"v":1e400,"c":"EUR"}`:     "1e400 EUR",
		`{"v":"about 5","c":"SEK"}`: "about 5 SEK", `{"v":5,"c":"ZZZ"}`: "5 ZZZ", `{"v":"5","c":"sek"}`: "5,00 kr",
	} {
		got, err := renderIn(t, "sv", "{{currency .ctx.c .ctx.v}}", ctx)
		if got = strings.ReplaceAll(got, "\u00a0", " "); err != nil || got != want {
			t.Errorf("%s is written %q, %v; want %q", ctx, got, err, want)
		}
	}
}

func TestFunctionsRefuse(t *testing.T) {
	const ctx = `{"s":"s3cr3t","word":"secret","up":"../../etc/passwd","minus":-1,
		"half":1.5,"zzz":"ZZZ","empty":"","l":["s3cr3t"],"ll":[["s3cr3t"]],
		"o":{"a":"s3cr3t"},"n":5,"t":"2026-12-01T18:25:00Z","day":"2026-12-01","big":"1e101",
		"js":"javascript:alert(1)//s3cr3t","data":"data:text/html,s3cr3t",
		"user":"https://paypal.example:s3cr3t@evil.example/","rel":"//evil.example/s3cr3t",
		"space":"https://x.example/s3cr3t x","line":"https://x.example/\ns3cr3t","back":"https://x.example\\@s3cr3t.example",
		"no":"https:///s3cr3t","port":"https://:80/s3cr3t","hide":"https://s3\u200bcr3t.example","vb":"VBScript:s3cr3t"}`
	for _, text := range []string{
		`{{date "long" .ctx.s}}`, `{{date "long" .ctx.n}}`, `{{date "long" .ctx.o}}`, `{{date .ctx.word .ctx.t}}`,
		`{{date .ctx.empty .ctx.t}}`, `{{date "long" .ctx.t .ctx.s}}`,
		`{{date "long" .ctx.t .ctx.empty}}`, `{{date "long" .ctx.t "UTC" | date "long"}}`, `{{date "15:04" .ctx.day}}`,
		`{{time "short" .ctx.day}}`, `{{datetime "long" .ctx.day}}`,
		`{{date "long" "0000-01-01T00:00:00Z"}}`, `{{time .ctx.word .ctx.t}}`, `{{datetime .ctx.word .ctx.t}}`,
		`{{date "long" .ctx.t .ctx.up}}`,
		`{{number .ctx.s}}`, `{{number .ctx.l}}`, `{{number .ctx.big}}`, `{{number .ctx.n .ctx.s}}`,
		`{{number .ctx.n .ctx.minus}}`, `{{number true}}`, `{{percent .ctx.empty}}`,
		`{{currency .ctx.empty .ctx.n}}`, `{{currency "EUR" .ctx.empty}}`, `{{currency "EUR" .ctx.l}}`,
		`{{currency "EUR" .ctx.o}}`,
		`{{plural .ctx.s "one" "x" "other" "y"}}`, `{{plural .ctx.n .ctx.s "y" "other" "x"}}`,
		`{{plural .ctx.n "one" "x" "other" .ctx.l}}`, `{{plural .ctx.n "one" "x" (print "o" "ne") "y"}}`,
		`{{truncate .ctx.s "x"}}`, `{{truncate .ctx.n .ctx.o}}`, `{{truncate .ctx.half "x"}}`, `{{join "," .ctx.s}}`,
		`{{join "," .ctx.ll}}`, `{{join .ctx.n .ctx.l}}`, `{{trim .ctx.l}}`,
		`{{link .ctx.s}}`, `{{link .ctx.js}}`, `{{link .ctx.data}}`, `{{link .ctx.user}}`, `{{link .ctx.rel}}`,
		`{{link .ctx.space}}`, `{{link .ctx.line}}`, `{{link .ctx.back}}`,
		`{{link .ctx.no}}`, `{{link .ctx.port}}`, `{{link .ctx.hide}}`, `{{link .ctx.vb}}`, `{{link .ctx.empty}}`,
		`{{link .ctx.l}}`, `{{link "https://x.example" "k" .ctx.o}}`, `{{link "https://x.example" .ctx.empty 1}}`,
	} {
		got, err := renderIn(t, "en", "\n"+text, ctx)
		var e *template.Error
		if !errors.As(err, &e) || e.Reason != topology.ReasonRenderFailed || e.Line != 2 || e.Part != template.EmailText {
			t.Errorf("%s rendered %q, %v; want render_failed at line 2", text, got, err)
		} else if strings.Contains(err.Error(), "s3cr3t") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error %q holds content", text, err)
		}
	}
}
