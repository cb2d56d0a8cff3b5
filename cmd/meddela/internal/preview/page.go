package preview

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	htmltemplate "html/template"
	"io"
	"unicode/utf8"

	"github.com/meddela/meddela/cmd/meddela/internal/faults"
	"github.com/meddela/meddela/topology"
)

// Page is what a page shows.
type Page struct {
	Name       string // of the folder
	Renderings []Rendering
	Faults     faults.List
	Problem    string // why the folder, or the selection in it, could not be shown
	State      string // of the folder; empty on a page that is not served
}

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

//go:embed page.js
var pageJS string

var pageTemplate = htmltemplate.Must(htmltemplate.New("page").Funcs(htmltemplate.FuncMap{
	"css":   func() htmltemplate.CSS { return htmltemplate.CSS(pageCSS) },
	"js":    func() htmltemplate.JS { return htmltemplate.JS(pageJS) },
	"json":  indented,
	"runes": utf8.RuneCountInString,
}).Parse(pageHTML))

// Write writes one file that asks for nothing from the network, and shows what comes from
// templates and samples as text or, an e-mail's HTML, in a frame that runs no script.
func (p *Page) Write(w io.Writer) error {
	return pageTemplate.Execute(w, p)
}

// Policy is the page's Content-Security-Policy, which its frames inherit.
func (p *Page) Policy() string {
	sum := sha256.Sum256([]byte(pageJS))
	text := "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; " +
		"style-src 'unsafe-inline'; script-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	if p.State != "" {
		text += "; connect-src 'self'"
	}
	return text
}

// Failed is how many messages cannot be rendered.
func (p *Page) Failed() (n int) {
	for i := range p.Renderings {
		if p.Renderings[i].Err != nil {
			n++
		}
	}
	return n
}

// byTemplate is the renderings of a template's samples.
type byTemplate struct {
	*topology.TemplateRecord
	Samples [][]*Rendering // each in all languages
}

// Templates are the renderings in groups: those of one template and sample follow each other.
func (p *Page) Templates() (all []byTemplate) {
	for i := range p.Renderings {
		r := &p.Renderings[i]
		if n := len(all); n == 0 || all[n-1].Name != r.Template.Name {
			all = append(all, byTemplate{TemplateRecord: r.Template})
		}
		t := &all[len(all)-1]
		if n := len(t.Samples); n == 0 || t.Samples[n-1][0].Sample != r.Sample {
			t.Samples = append(t.Samples, nil)
		}
		last := len(t.Samples) - 1
		t.Samples[last] = append(t.Samples[last], r)
	}
	return all
}

// ID names the message on the page.
func (r *Rendering) ID() string {
	return r.Template.Name + "/" + r.SampleName() + "/" + r.Language
}

// Link leads to the message on the page.
func (r *Rendering) Link() string { return "#" + r.ID() }

// indented is JSON for people, or the text as it is.
func indented(text []byte) string {
	var b bytes.Buffer
	if json.Indent(&b, bytes.TrimSpace(text), "", "  ") != nil {
		return string(text)
	}
	return b.String()
}
