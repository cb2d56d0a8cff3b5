package template_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

func compileHTML(source string, partials map[string]string) (*template.Template, error) {
	return template.Compile(record(map[string]string{template.EmailSubject: "x", template.EmailHTML: source}, partials))
}

// TestMarkupStays: what mail programs go by is sent byte for byte.
func TestMarkupStays(t *testing.T) {
	for name, source := range map[string]string{
		"for Outlook and for others": `<p>Hi</p><!--[if mso]><table><tr><td>O</td></tr></table><![endif]-->` +
			`<!--[if !mso]><!--><div>OTHERS</div><!--<![endif]-->`,
		"in every other way": "<!--[if !mso]><!-- -->a<!-- <![endif]--><!--[if !IE]>-->b<!--<![endif]-->" +
			"<!--[if !mso]> <!-->c<!--<![endif]--><!--[if gte mso 9]>d<![endif]--><!--[if (gte mso 9)|(IE)]>\n e<![endif]-->" +
			"<!--[if mso | IE]>f<![endif]--><!--[if !mso]><!--->g<!--<![endif]--><!--[IF MSO]>h<![ENDIF]-->" +
			"<!-- [if mso]>i<![endif] --><!--[if lt mso 12]>j<!--<![endif]-->",
		"shown, with words": `<!--[if !mso]><!-- not Outlook -->x<!-- end <![endif]-->`,
		"not in a comment":  `<![if !mso]><p>x</p><![endif]><![if gt IE 6]>y<![endif]>`,
		"settings": `<html xmlns:v="urn:schemas-microsoft-com:vml" xmlns:o="urn:schemas-microsoft-com:office:office"><head>` +
			`<!--[if gte mso 9]><xml><o:OfficeDocumentSettings><o:AllowPNG/><o:PixelsPerInch>96</o:PixelsPerInch>` +
			`</o:OfficeDocumentSettings></xml><![endif]--></head></html>`,
		"a button": `<!--[if mso]><v:roundrect xmlns:v="urn:schemas-microsoft-com:vml" href="https://x.example/" ` +
			`style="height:40px;v-text-anchor:middle;width:200px;" arcsize="10%" stroke="f" fillcolor="#D62828"><w:anchorlock/>` +
			`<center style="color:#fff">Go</center></v:roundrect><![endif]-->`,
		"a style":        `<!--[if mso]><style type="text/css">td { font-family: Arial !important; }</style><![endif]-->`,
		"half a table":   `<!--[if mso]><table><tr><td width="600"><![endif]--><p>x</p><!--[if mso]></td></tr></table><![endif]-->`,
		"an old doctype": `<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1.dtd"><p>x</p>`,
		"a namespace":    `<?xml version="1.0" encoding="UTF-8"?><?xml:namespace prefix = v ns = "urn:x" /><p>x</p>`,
		"CDATA":          `<p><![CDATA[ a & b ]]></p><style><![CDATA[ p { top: 0 } ]]></style>`,
		"media queries":  `<style>@media only screen and (max-width:600px) { .a > .b[c="d"] { width: 100% !important } }</style>`,
		"dark mode":      `<style>:root { color-scheme: light dark } @media (prefers-color-scheme: dark) { p { color: #fff } }</style>`,
		"a title":        `<title>Hi &amp; bye</title>`,
		"a preheader":    `<div style="display:none;max-height:0">Soon&#8202;&zwnj;&nbsp;&#847;&zwnj;&nbsp;&shy;</div>`,
	} {
		tmpl, err := compileHTML(source, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if m, err := tmpl.Render(event(`{}`), "en"); err != nil || m.HTML != source {
			t.Errorf("%s: %v\n got %s\nwant %s", name, err, m.HTML, source)
		}
	}
}

// TestValuesInConditionalComments: they are escaped as in the HTML that stands there, through branches,
// loops and partials. Other comments are not sent.
func TestValuesInConditionalComments(t *testing.T) {
	const ctx = `{"u":"https://x.example/?a=1&b=2","a":"<b> & \"-->\"","l":["x","<y>"],"yes":true,"c":"red","w":"--"}`
	for source, want := range map[string]string{
		`<!--[if mso]><a href="{{.ctx.u}}" title="{{.ctx.a}}">{{.ctx.a}}</a><![endif]-->`: `<!--[if mso]>` +
			`<a href="https://x.example/?a=1&amp;b=2" title="&lt;b&gt; &amp; &#34;--&gt;&#34;">&lt;b&gt; &amp; &#34;--&gt;&#34;` +
			`</a><![endif]-->`,
		`{{range .ctx.l}}<!--[if mso]><td>{{.}}</td><![endif]-->{{end}}`: `<!--[if mso]><td>x</td><![endif]-->` +
			`<!--[if mso]><td>&lt;y&gt;</td><![endif]-->`,
		`<!--[if mso]>{{if .ctx.yes}}<b>{{else}}<i>{{end}}<![endif]-->`: `<!--[if mso]><b><![endif]-->`,
		`{{if .ctx.yes}}<!--[if mso]><b><![endif]-->{{end}}`:            `<!--[if mso]><b><![endif]-->`,
		`{{template "row.html" .ctx.l}}<!--[if !mso]><!-->{{template "row.html" .ctx.l}}<!--<![endif]-->`: `<!--[if mso]>2` +
			`<![endif]--><!--[if !mso]><!--><!--[if mso]>2<![endif]--><!--<![endif]-->`,
		`<!--[if mso]>{{template "plain.html" .ctx.c}}<![endif]-->`: `<!--[if mso]>` +
			`<p style="color:red">red</p><![endif]-->`,
		`<p>a<!-- b {{.ctx.a}} --> c<!-- <!--[if mso]>d<![endif]-->e</p>`: `<p>a ce</p>`,
		`<!--[if mso]>a<!-- b -->c<![endif]-->`:                           `<!--[if mso]>ac<![endif]-->`,
		"<!--[if mso]>\n<!-- a note -->\n<b>c<![endif]-->":                "<!--[if mso]>\n\n<b>c<![endif]-->",
		`<!--[if mso]><td width="{{.ctx.w}}">{{.ctx.w}} &gt;<![endif]-->`: `<!--[if mso]><td width="--">-- &gt;<![endif]-->`,
		`<!--[if mso]><style>p { color: {{.ctx.c}} }</style><![endif]-->`: `<!--[if mso]><style>p { color: red }</style><![endif]-->`,
		`<![CDATA[{{.ctx.a}}]]>`:                                          `<![CDATA[&lt;b&gt; &amp; &#34;--&gt;&#34;]]>`,
		"<p><\ufdd09;x</p>":                                               "<p>&lt;9;x</p>",
		`{{define "never"}}<!--[if mso]>{{end}}<p>x</p>`:                  `<p>x</p>`,
	} {
		tmpl, err := compileHTML(source, map[string]string{
			"row.html": `<!--[if mso]>{{len .}}<![endif]-->`, "plain.html": `<p style="color:{{.}}">{{.}}</p>`})
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		if m, err := tmpl.Render(event(ctx), "en"); err != nil || m.HTML != want {
			t.Errorf("%s: %v\n got %s\nwant %s", source, err, m.HTML, want)
		}
	}
}

// TestConditionalCommentFaults: what cannot be made safe is refused with its line, if it can be
// seen before there is an event then.
func TestConditionalCommentFaults(t *testing.T) {
	const ctx = `{"yes":true,"w":"x --","l":[1]}`
	const early = "en/email.html:2: something in the conditional comment"
	const within = "en/email.html:2: a conditional comment begins in another"
	for source, want := range map[string]string{
		"\n<!--[if {{.ctx.a}}]>x<![endif]-->":                         "en/email.html:2: a conditional comment is not whole",
		"\n<!--[if mso{{if .ctx.yes}}]{{end}}>x":                      "en/email.html:2: a conditional comment is not whole",
		"y\n<!--[ if mso]>x<![endif]-->":                              "en/email.html:2: a conditional comment is not whole",
		"\n<!--[if mso]>x":                                            "en/email.html:2: ends within a conditional comment",
		"\n<!--[if mso]><!--[if IE]>x<![endif]-->":                    within,
		"<!--[if mso]>\n<!--[if !IE]><!-->x<![endif]-->":              within,
		"<a\n<!--[if mso]>x":                                          `en/email.html:2: "<!`,
		"<p \n<![endif]--> x>":                                        `en/email.html:2: "<!`,
		"<a title=\"\n<![endif]-->\">x</a>":                           `stands within a tag, a script or a style`,
		"<style>\n<!--[if mso]>p{}</style>":                           `stands within a tag, a script or a style`,
		"<script>\n/x/.test('<!--[if mso]>')</script>":                `stands within a tag, a script or a style`,
		"\n{{if .ctx.yes}}<!--[if mso]>{{end}}":                       "en/email.html:2: one branch ends within a conditional comment",
		"\n{{range .ctx.l}}<!--[if mso]>{{end}}":                      "en/email.html:2: the loop's body opens a conditional comment",
		"{{range .ctx.l}}<!--[if mso]>\n{{break}}<![endif]-->{{end}}": "en/email.html:2: leaves the loop's body",
		"<!--[if mso]><td width={{.ctx.w}}>x\n<![endif]-->":           early,
		"<!--[if mso]>{{.ctx.w}}>x\n<![endif]-->":                     early,
		"<!--[if mso]>{{.ctx.w}}!>x\n<![endif]-->":                    early,
		"<!--[if mso]>a --> b\n<![endif]-->":                          early,
		"<!--[if mso]>{{template \"row.html\"}}<![endif]-->":          "row.html:1: a conditional comment begins in another",
		"{{template \"open.html\"}}x<![endif]-->":                     "open.html:2: ends within a conditional comment",
	} {
		tmpl, err := compileHTML(source, map[string]string{"row.html": `<!--[if mso]>x<![endif]-->`,
			"open.html": "\n<!--[if mso]>"})
		if err == nil {
			_, err = tmpl.Render(event(ctx), "en")
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %s", source, err, want)
		}
	}
}

// shape is how a reader sees HTML: its tags with the names of their attributes, and where comments are. The
// text of a comment is no part of it, unless the reader is Outlook.
func shape(source string, outlook bool) (seen []string) {
	if outlook {
		source = strings.NewReplacer("<!--[if mso]>", "", "<![endif]-->", "").Replace(source)
	}
	for z := html.NewTokenizer(strings.NewReader(source)); ; {
		kind := z.Next()
		token := z.Token()
		switch kind {
		case html.ErrorToken:
			if !errors.Is(z.Err(), io.EOF) {
				seen = append(seen, z.Err().Error())
			}
			return seen
		case html.TextToken:
		case html.CommentToken:
			seen = append(seen, "comment")
		default:
			for _, a := range token.Attr {
				seen = append(seen, a.Key)
			}
			seen = append(seen, fmt.Sprint(kind, token.Data))
		}
	}
}

// FuzzConditionalComment: whatever a value is, what is in a comment stays in it, what is not in one does not
// get into one, and both readers see the tags that the author wrote.
func FuzzConditionalComment(f *testing.F) {
	for _, v := range hostileValues {
		f.Add(v)
	}
	for _, v := range []string{"-->", "--", "--!>", "-", "<!--", "<![endif]-->", "--!", "!--", "]]>",
		"<!--[if mso]>", ">", "-- >"} {
		f.Add(v)
	}
	const source = `<p>{{.ctx.v}}</p><!--[if mso]>{{.ctx.v}}><b title="{{.ctx.v}}">{{.ctx.v}}--{{.ctx.v}}></b>` +
		`<a href="https://x.example/{{.ctx.v}}?q={{.ctx.v}}">x</a><i title={{.ctx.v}}>!</i>` +
		`<title>{{.ctx.v}}</title><script>f("{{.ctx.v}}>", {{.ctx.v}})</script><![endif]-->` +
		`<!--[if !mso]><!--><u>{{.ctx.v}}</u><!--<![endif]--><p>-{{.ctx.v}}>!-{{.ctx.v}}</p>`
	quoted := strings.NewReplacer("{{.ctx.v}}>", "{{.ctx.v}} &gt;", "title={{.ctx.v}}", `title="{{.ctx.v}}"`).
		Replace(source)
	var all []*template.Template
	var want [][]string
	for _, s := range []string{source, quoted} {
		tmpl, err := compileHTML(s, nil)
		if err != nil {
			f.Fatal(err)
		}
		m, err := tmpl.Render(event(`{"v":"Kim"}`), "en")
		if err != nil {
			f.Fatal(err)
		}
		all, want = append(all, tmpl), append(want, shape(m.HTML, false), shape(m.HTML, true))
	}
	f.Fuzz(func(t *testing.T, v string) {
		if v == "" {
			v = "-"
		}
		ctx, _ := json.Marshal(map[string]string{"v": v})
		for i, tmpl := range all {
			m, err := tmpl.Render(event(string(ctx)), "en")
			if e := (*template.Error)(nil); errors.As(err, &e) && e.Reason == topology.ReasonRenderFailed && i == 0 {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			for j, outlook := range []bool{false, true} {
				if got := shape(m.HTML, outlook); !slices.Equal(got, want[2*i+j]) {
					t.Errorf("%q: in\n%s\nis seen\n%q\nnot\n%q", v, m.HTML, got, want[2*i+j])
				}
			}
		}
	})
}
