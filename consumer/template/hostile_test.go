package template_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
	"weak"

	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

// hostileValues are what somebody puts in a name in the hope of doing harm.
var hostileValues = map[string]string{
	"a script":                `<script>alert(1)</script>`,
	"an end of a script":      `</script><script>alert(1)</script>`,
	"an end of a style":       `</style><script>alert(1)</script>`,
	"an end of a title":       `</title><svg onload=alert(1)>`,
	"a comment":               `--><img src=x onerror=alert(1)>`,
	"an attribute":            `" onmouseover="alert(1)`,
	"an attribute, unquoted":  `x onmouseover=alert(1)`,
	"an attribute, by ticks":  "` onmouseover=`alert(1)",
	"an attribute, by quotes": `' onmouseover='alert(1)`,
	"a script's address":      `javascript:alert(1)`,
	"a script's address, hid": "java\tscript:alert(1)",
	"a page in an address":    `data:text/html;base64,PHNjcmlwdD4=`,
	"a style":                 `expression(alert(1))`,
	"a style that loads":      `x;background:url(//evil.example)`,
	"an end of a JS string":   `";alert(1);//`,
	"an end of a JS quote":    `';alert(1);//`,
	"an end of a JS template": "`;alert(1);${alert(1)}",
	"JSON":                    `","admin":true,"x":"`,
	"JSON with a backslash":   `\","admin":true,"x":"`,
	"a header":                "x\r\nBcc: everybody@example.com",
	"a header, by LF":         "x\nBcc: everybody@example.com",
	"a header, by CR":         "x\rBcc: everybody@example.com",
	"a header, by NEL":        "x\u0085Bcc: everybody@example.com",
	"a header, by LS":         "x\u2028Bcc: everybody@example.com",
	"a header, encoded":       "=?utf-8?q?x=0D=0ABcc:_everybody@example.com?=",
	"a body":                  "x\r\n\r\n<html>",
	"an end of a mail":        "x\r\n.\r\nMAIL FROM:<evil@example.com>",
	"a NUL":                   "x\x00y",
	"an escape":               "\x1b]0;x\x07",
	"a template":              `{{.ctx.secret}}{{template "x"}}`,
	"a verb":                  `%s%d%n%!%1000000d`,
	"an override":             "x\u202egpj.exe",
	"many overrides":          strings.Repeat("\u202e\u2067", 300),
	"marks":                   "a" + strings.Repeat("\u0301", 400),
	"half a character":        `\ud83d`,
	"a long exponent":         "1e999999999",
	"nothing":                 "",
}

// hugeValues are what somebody puts there in the hope of using something up.
var hugeValues = map[string]string{
	"1 MB":               strings.Repeat("a", 1<<20),
	"1 MB of what grows": strings.Repeat("<", 1<<20),
	"1 MB of marks":      "a" + strings.Repeat("\u0301", 1<<19),
	"1 MB of overrides":  strings.Repeat("\u202e", 350_000),
	"1 MB of line ends":  strings.Repeat("\r\n", 1<<19),
	"1 MB of words":      strings.Repeat("a ", 1<<19),
	"1 MB of emoji":      strings.Repeat("👨‍👩‍👧‍👦", 40_000),
	"a long number":      strings.Repeat("9", 100_000),
}

// fence is only for what would never end: the machine may be busy.
const fence = 2 * time.Minute

// TestHostileValues puts each into every kind of place. The message is right or
// is an error; it is never another message.
func TestHostileValues(t *testing.T) {
	for place, parts := range hostilePlaces {
		renderHostile(t, place, parts, hostileValues)
	}
}

// TestHugeValues puts each where most is done with it.
func TestHugeValues(t *testing.T) {
	for _, place := range []string{"subject", "text by functions", "html", "html query", "html script", "push", "keys",
		"dates"} {
		renderHostile(t, place, hostilePlaces[place], huge(place))
	}
}

// huge are the values for a place. With the race detector html/template writes
// an address fifty times slower, byte by byte; there a sixteenth must do.
func huge(place string) map[string]string {
	if place != "html query" || !raced {
		return hugeValues
	}
	smaller := make(map[string]string)
	for name, value := range hugeValues {
		smaller[name] = strings.ToValidUTF8(value[:len(value)/16], "")
	}
	return smaller
}

func renderHostile(t *testing.T, place string, parts, values map[string]string) {
	tmpl, err := template.Compile(record(parts, map[string]string{"p.html": `<b title="{{.}}">{{.}}</b>`,
		"p.json": `{"v":"{{.}}"}`}))
	if err != nil {
		t.Fatalf("%s: %v", place, err)
	}
	for name, value := range values {
		t.Run(place+"/"+name, func(t *testing.T) {
			t.Parallel()
			ev := event(hostileCtx(t, value))
			start := time.Now()
			m, err := tmpl.Render(ev, "en")
			if took := time.Since(start); took > fence {
				t.Errorf("it took %v", took)
			}
			checkHarmless(t, m, err)
		})
	}
}

func hostileCtx(t *testing.T, value string) string {
	t.Helper()
	var ctx strings.Builder
	encoder := json.NewEncoder(&ctx)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(map[string]any{"v": value, "secret": "s3cr3t", "l": []string{value},
		"o": map[string]string{value: value}}); err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(ctx.String(), `\\ud83d`, `\ud83d`)
}

// hostilePlaces are where a template may put a value.
var hostilePlaces = map[string]map[string]string{
	"subject": {template.EmailSubject: "Hi {{.ctx.v}}", template.EmailText: "x"},
	"text":    {template.EmailSubject: "x", template.EmailText: "Hi {{.ctx.v}}, {{range .ctx.l}}{{.}}{{end}}"},
	"text by functions": {template.EmailSubject: "{{truncate 50 .ctx.v}}",
		template.EmailText: `{{upper .ctx.v}}{{printf "%s" .ctx.v}}{{plural 1 "one" .ctx.v "other" .ctx.v}}{{join .ctx.v ` +
			`.ctx.l}}{{link "https://x.example" "q" .ctx.v}}`},
	"numbers": {template.EmailSubject: "x",
		template.EmailText: `{{number .ctx.v}}{{currency "EUR" .ctx.v}}{{plural .ctx.v "one" "#" "other" "#"}}`},
	"dates": {template.EmailSubject: "x", template.EmailText: `{{date "long" .ctx.v}}`},
	"zones": {template.EmailSubject: "x",
		template.EmailText: `{{date "long" "2026-12-01T18:25:00Z" .ctx.v}}`},
	"layouts": {template.EmailSubject: "x", template.EmailText: `{{date .ctx.v "2026-12-01T18:25:00Z"}}`},
	"keys":    {template.EmailSubject: "x", template.EmailText: `{{range $k, $v := .ctx.o}}{{$k}}{{end}}`},
	"html": {template.EmailSubject: "x",
		template.EmailHTML: `<p>Hi {{.ctx.v}}</p>{{template "p.html" .ctx.v}}`},
	"html title": {template.EmailSubject: "x", template.EmailHTML: `<title>{{.ctx.v}}</title>`},
	"html attribute": {template.EmailSubject: "x",
		template.EmailHTML: `<p title="{{.ctx.v}}" class='{{.ctx.v}}'>x</p>`},
	"html bare attribute": {template.EmailSubject: "x", template.EmailHTML: `<p title={{.ctx.v}}>x</p>`},
	"html attribute name": {template.EmailSubject: "x", template.EmailHTML: `<p {{.ctx.v}}="x">x</p>`},
	"html address": {template.EmailSubject: "x",
		template.EmailHTML: `<a href="{{.ctx.v}}">x</a><img src="{{.ctx.v}}">`},
	"html query": {template.EmailSubject: "x",
		template.EmailHTML: `<a href="https://x.example/?q={{.ctx.v}}">x</a>`},
	"html link": {template.EmailSubject: "x", template.EmailHTML: `<a href="{{link .ctx.v}}">x</a>`},
	"html link's query": {template.EmailSubject: "x",
		template.EmailHTML: `<a href='{{link "https://x.example" "q" .ctx.v}}'>x</a>`},
	"html images": {template.EmailSubject: "x", template.EmailHTML: `<img srcset="{{.ctx.v}} 2x">`},
	"html style":  {template.EmailSubject: "x", template.EmailHTML: `<p style="color:{{.ctx.v}}">x</p>`},
	"html style sheet": {template.EmailSubject: "x",
		template.EmailHTML: `<style>p { color: {{.ctx.v}}; background: url("{{.ctx.v}}") }</style>`},
	"html script": {template.EmailSubject: "x",
		template.EmailHTML: `<script>var a = {{.ctx.v}}, b = "{{.ctx.v}}", c = '{{.ctx.v}}';</script>`},
	"html handler": {template.EmailSubject: "x",
		template.EmailHTML: `<p onclick="f({{.ctx.v}}, '{{.ctx.v}}')">x</p>`},
	"sms": {template.SMSText: "Hi {{.ctx.v}}"},
	"push": {template.PushJSON: `{"a":"-{{.ctx.v}}-","b":{{.ctx.v}},"c":{{json .ctx.o}},"d":{{template ` +
		`"p.json" .ctx.v}}}`},
	"webhook": {template.WebhookJSON: `{"a":"-{{.ctx.v}}-","b":{{.ctx.v}},"c":{{json ` +
		`.ctx.o}},"d":{{template "p.json" .ctx.v}}}`},
}

func checkHarmless(t *testing.T, m template.Message, err error) {
	t.Helper()
	if err != nil {
		var e *template.Error
		if !errors.As(err, &e) || e.Reason != topology.ReasonRenderFailed || len(err.Error()) > 250 ||
			strings.ContainsAny(err.Error(), "\r\n<\x00") || strings.Contains(err.Error(), "alert") {
			t.Errorf("the error is %.300q", err)
		}
		return
	}
	all := m.Subject + m.Text + m.HTML + string(m.Body)
	switch {
	case len(m.Text) > template.MaxPartBytes || len(m.HTML) > template.MaxPartBytes ||
		len(m.Body) > template.MaxPartBytes || len(m.Subject) > template.MaxSubjectBytes:
		t.Error("it is too large")
	case !utf8.ValidString(all):
		t.Error("it is not UTF-8")
	case strings.ContainsAny(m.Subject, "\r\n\x00\u0085\u2028\u2029\u202e"):
		t.Errorf("the subject is %.100q", m.Subject)
	case strings.ContainsAny(m.Text+m.HTML, "\x00\x1b\u202e\u2067"):
		t.Errorf("the text is %.100q", m.Text+m.HTML)
	case strings.Contains(all, "s3cr3t"):
		t.Error("a value was run as a template")
	case strings.Contains(all, "ZgotmplZ"):
		t.Error("somebody would be sent a mark of html/template")
	}
	checkMarkup(t, m.HTML)
	checkBody(t, m.Body)
}

// checkMarkup reads HTML as a browser does: only elements and attributes of the
// template's own may be there, and addresses that run nothing.
func checkMarkup(t *testing.T, source string) {
	t.Helper()
	for _, e := range elements(t, source) {
		if !strings.Contains(" p b title a img style script ", " "+e.name+" ") {
			t.Errorf("there is an element %q in %.200q", e.name, source)
		}
		for name, value := range e.attributes {
			if strings.HasPrefix(name, "on") && name != "onclick" || strings.ContainsAny(name, "=\"'`<>/") {
				t.Errorf("there is an attribute %q in %.200q", name, source)
			}
			address := strings.ToLower(value)
			if (name == "href" || name == "src") && !strings.HasPrefix(address, "https://") {
				t.Errorf("there is an address %.100q", value)
			}
			if name == "style" && strings.ContainsAny(value, "(;{") {
				t.Errorf("there is a style %.100q", value)
			}
		}
		if (e.name == "script" || e.name == "style") && strings.Count(source, "</"+e.name) != 1 {
			t.Errorf("the %s is left in %.200q", e.name, source)
		}
	}
}

// checkBody reads JSON: only the template's own keys may be there.
func checkBody(t *testing.T, body []byte) {
	t.Helper()
	if body == nil {
		return
	}
	var read map[string]any
	if err := json.Unmarshal(body, &read); err != nil || len(read) != 4 {
		t.Fatalf("the body has %d keys, %v: %.200q", len(read), err, body)
	}
	a, b, d := read["a"].(string), read["b"].(string), read["d"].(map[string]any)
	if a != "-"+b+"-" || len(d) != 1 || d["v"] != b || len(read["c"].(map[string]any)) != 1 {
		t.Errorf("a value left its place: %.200q", body)
	}
}

// TestCostlyLoops renders loops of which every turn works on a large value. They
// are stopped soon after the time is up.
func TestCostlyLoops(t *testing.T) {
	ctx := `{"l":[` + strings.Repeat("1,", 5000) + `1],"lines":[` + strings.Repeat(`"a",`, 50_000) + `"a"],"text":"` +
		strings.Repeat("åe\u0301", 100_000) +
		`","emoji":"` + strings.Repeat("👨‍👩‍👧‍👦", 40_000) + `"}`
	for name, text := range map[string]string{
		"truncate emoji": `{{range .ctx.lines}}{{$x := truncate 10000 $.ctx.emoji}}{{end}}`,
		"join":           `{{range .ctx.lines}}{{$x := join "," $.ctx.lines}}{{end}}`,
		"zones": `{{range .ctx.lines}}{{range $.ctx.lines}}{{$x := date "full" "2026-12-01T00:00:00Z" ` +
			`"Asia/Tokyo"}}{{end}}{{end}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			got, err := renderText(t, text+"x", ctx, nil)
			var e *template.Error
			if took := time.Since(start); !errors.As(err, &e) || took > fence {
				t.Errorf("rendered %d bytes, %v, in %v", len(got), err, took)
			}
		})
	}
}

// TestAFailingPieceInAnAttribute: html/template copies what is included in a
// place that is no text.
func TestAFailingPieceInAnAttribute(t *testing.T) {
	compiled, err := template.Compile(record(map[string]string{
		template.EmailSubject: "x", template.EmailHTML: `<a href="{{template "u" .}}">x</a>{{define "u"}}{{link ` +
			`.ctx.link}}{{end}}`,
	}, nil))
	if err != nil {
		t.Fatal(err)
	}
	_, err = compiled.Render(&topology.Event{Ctx: []byte(`{}`)}, "en")
	var e *template.Error
	if !errors.As(err, &e) || e.Path != "ctx.link" || e.Part != template.EmailHTML || e.Line != 1 {
		t.Errorf("error %v", err)
	}
	m, err := compiled.Render(&topology.Event{Ctx: []byte(`{"link":"https://example.com/?a=1&b=2"}`)}, "en")
	if err != nil || !strings.Contains(m.HTML, `href="https://example.com/?a=1&amp;b=2"`) {
		t.Errorf("rendered %q, %v", m.HTML, err)
	}
}

// TestCostlyStraightLines renders calls that nothing loops over. What they go through
// and keep is bounded, as what is written is.
func TestCostlyStraightLines(t *testing.T) {
	grow := `{{$x := 1}}{{$a := printf "%999d" 1}}` + strings.Repeat(`{{$a = print $a $a}}`, 9)
	digits := strings.Repeat("9", 500_000)
	all := map[string]string{
		"a function":         grow + strings.Repeat(`{{$x = upper $a}}`, 25_000),
		"what is kept":       grow + strings.Repeat(`{{$x = print $a}}`, 25_000),
		"what becomes short": grow + strings.Repeat(`{{$x = truncate 1 $a}}`, 20_000),
		"a comparison":       grow + strings.Repeat(`{{$x = eq $a $a}}`, 25_000),
		"a condition":        strings.Repeat(`{{if .ctx.n}}{{end}}`, 25_000),
		"of the event":       "{{$x := 1}}" + strings.Repeat(`{{$x = json .ctx}}`, 25_000),
	}
	for _, call := range []string{
		`lower $a`, `trim $a`, `urlquery $a`, `len $a`, `printf "%s%q" $a $a`, `json $a`, `default $a ""`, `has (print $a)`,
		`lt $a $a`, `ne $a $a`, `currency "SEK" .ctx.n`, `not (eq $a $a)`, `and (eq $a $a) $a`,
	} {
		all[call] = grow + strings.Repeat("{{$x = "+call+"}}", 25_000)
	}
	for name, text := range all {
		t.Run(name, func(t *testing.T) {
			tmpl, err := template.Compile(record(map[string]string{template.EmailSubject: "x",
				template.EmailText: "x{{if .ctx.bad}}" + text + "{{end}}"}, nil))
			if err != nil {
				t.Fatal(err)
			}
			most := 3 * time.Second
			if raced {
				most *= 10
			}
			start := time.Now()
			_, err = tmpl.Render(event(`{"bad":true,"n":`+digits+`}`), "en")
			if took := time.Since(start); took > most {
				t.Errorf("it took %v", took)
			}
			if err == nil || !strings.Contains(err.Error(), "does too much") {
				t.Errorf("the error is %.300v", err)
			}
		})
	}
}

// TestWhatIsDecodedIsBounded: two bytes of an event are some hundred of what a template
// looks into.
func TestWhatIsDecodedIsBounded(t *testing.T) {
	line := `{"name":"a","count":2,"price":9.90,"unit":"kg","note":"","tags":[]},`
	const tooMuch = "looks into too much of this event"
	for name, test := range map[string]struct {
		text, ctx string
		want      string
	}{
		"a long list":   {`{{len .ctx.l}}`, `{"l":[` + strings.Repeat("0,", 300_000) + `0]}`, tooMuch},
		"a list to ask": {`x{{if .ctx.l}}{{end}}`, `{"l":[` + strings.Repeat("{},", 300_000) + `0]}`, tooMuch},
		"one key":       {`{{.ctx.a}}`, "{" + strings.Repeat(`"":0,`, 200_000) + `"a":1}`, tooMuch},
		"lists of a list": {`{{range .ctx.l}}{{len .}}{{end}}`,
			`{"l":[` + strings.Repeat("["+strings.Repeat("0,", 100)+"0],", 700) + `[]]}`, tooMuch},
		"an order": {`{{range .ctx.l}}{{.name}}{{end}}`, `{"l":[` + strings.Repeat(line, 5000) + "{\"name\":\"a\"}]}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := renderText(t, test.text, test.ctx, nil)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("%.100q, %v; want %q", got, err, test.want)
			}
		})
	}
}

// TestNothingOfAnEventIsKept when its message has been made, or could not be.
func TestNothingOfAnEventIsKept(t *testing.T) {
	compiled, err := template.Compile(record(map[string]string{template.EmailSubject: "x",
		template.EmailText: `{{range .ctx.l}}{{join .x .y}}{{end}}`}, nil))
	if err != nil {
		t.Fatal(err)
	}
	ev := event(`{"l":[{"x":"a"}]}`)
	if _, err = compiled.Render(ev, "en"); err == nil {
		t.Error("rendered what is missing")
	}
	kept := weak.Make(ev)
	runtime.GC() // after which a pool still has what it had
	if kept.Value() != nil {
		t.Error("it is kept")
	}
}

// TestDeepJSON: rendered JSON that nests deeper than an event may is refused without
// being gone into.
func TestDeepJSON(t *testing.T) {
	for _, test := range []struct {
		text  string
		turns int // of ten each
		want  string
	}{
		{`{{range .ctx.l}}[[[[[[[[[[{{end}}{{range .ctx.l}}]]]]]]]]]]{{end}}`, 10, ""},
		{`[{{range .ctx.l}}[[[[[[[[[[{{end}}{{range .ctx.l}}]]]]]]]]]]{{end}}]`, 10, "deeper than 100"},
		{`{{range .ctx.l}}[[[[[[[[[[{{end}}`, 60_000, "deeper than 100"},
		{`{{range .ctx.l}}[[[[[[[[[[{{end}}`, 1, "is not JSON from its line 1 on"},
	} {
		tmpl, err := template.Compile(record(map[string]string{template.PushJSON: test.text}, nil))
		if err != nil {
			t.Fatal(err)
		}
		_, err = tmpl.Render(event(`{"l":[`+strings.Repeat("1,", test.turns-1)+`1]}`), "en")
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s, %d turns: %v", test.text, test.turns, err)
		}
	}
}

// TestAMarkOfTheLibraryInAValue is text like any other.
func TestAMarkOfTheLibraryInAValue(t *testing.T) {
	tmpl, err := template.Compile(record(map[string]string{template.EmailSubject: "x",
		template.EmailHTML: `<p title="{{.ctx.v}}" onclick="f({{.ctx.v}})">{{.ctx.v}}</p>`}, nil))
	if err != nil {
		t.Fatal(err)
	}
	m, err := tmpl.Render(event(`{"v":"ZgotmplZ"}`), "en")
	if err != nil || !strings.Contains(m.HTML, ">ZgotmplZ<") {
		t.Errorf("%q, %v", m.HTML, err)
	}
}

// TestTooDeep: what would take much to compile is said at its line, and once.
func TestTooDeep(t *testing.T) {
	around := func(open, within, end string, times int) string {
		return "x\n" + strings.Repeat(open, times) + within + strings.Repeat(end, times)
	}
	chain := func(last int) string {
		text := `x{{template "t0"}}`
		for i := range last {
			text += fmt.Sprintf(`{{define "t%d"}}x{{template "t%d"}}{{end}}`, i, i+1)
		}
		return text + fmt.Sprintf(`{{define "t%d"}}x{{end}}`, last)
	}
	const blocks = "2: if, with and range stand within each other deeper than 64"
	nots := func(n int) string {
		return around("", "{{if "+strings.Repeat("not (", n)+".a"+strings.Repeat(")", n)+"}}{{end}}", "", 1)
	}
	for _, test := range []struct {
		part, text, want string
	}{
		{template.EmailText, around("{{range .a}}", "x", "{{end}}", 64), ""},
		{template.EmailText, around("{{range .a}}", "x", "{{end}}", 10_000), blocks},
		{template.EmailText, around("{{with .a}}", "x", "{{end}}", 65), blocks},
		{template.EmailText, "x{{if .a}}" + strings.Repeat("{{else if .b}}", 1000) + "{{end}}", ""},
		{template.EmailHTML, around("{{range .a}}", "x", "{{end}}", 8), ""},
		{template.EmailHTML, around("{{range .a}}", "x", "{{end}}", 9), "2: range stands within range deeper than 8"},
		{template.EmailText, nots(31), ""},
		{template.EmailText, nots(9_000), "2: a value goes through more than 32 "},
		{template.EmailText, "x\n{{.a" + strings.Repeat("|upper", 32) + "}}", "2: a value goes through more than 32 "},
		{template.EmailHTML, "{{.a" + strings.Repeat("|upper", 30) + "|urlquery}}", ""},
		{template.EmailHTML, chain(63), ""},
		{template.EmailHTML, chain(64), "1: includes what includes another, and so on deeper than 64"},
	} {
		_, err := template.Compile(record(map[string]string{template.EmailSubject: "x", test.part: test.text}, nil))
		if (err == nil) != (test.want == "") || err != nil &&
			(!strings.HasPrefix(err.Error(), "en/"+test.part+":"+test.want) || strings.Contains(err.Error(), ";")) {
			t.Errorf("%.50q: %.300v; want %q", test.text, err, test.want)
		}
	}
}

// TestLongPathsAreClipped where errors show them: a compiled template has one for each read.
func TestLongPathsAreClipped(t *testing.T) {
	long := strings.Repeat("å", 1000)
	for _, text := range []string{"{{.ctx." + long + "}}", "{{range .ctx.l}}{{." + long + "}}{{end}}",
		"{{range .ctx.o." + long + "}}{{end}}"} {
		_, err := renderText(t, text, `{"l":[{}],"a":"a","o":{}}`, nil)
		if err == nil || len(err.Error()) > 500 || !strings.Contains(err.Error(), "… is missing") {
			t.Errorf("%v", err)
		}
	}
}

// TestTooManyVariables are said once.
func TestTooManyVariables(t *testing.T) {
	for n, want := range map[int]string{250: "", 30_000: "en/email.txt:1: there are too many variables here: give an old " +
		"one another value with ="} {
		_, err := template.Compile(record(map[string]string{template.EmailSubject: "x",
			template.EmailText: "x" + strings.Repeat("{{$x := 1}}", n)}, nil))
		if err != nil && err.Error() != want || err == nil && want != "" {
			t.Errorf("%d: %.300v", n, err)
		}
	}
}
