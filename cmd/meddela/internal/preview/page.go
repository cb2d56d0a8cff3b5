package preview

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	htmltemplate "html/template"
	"io"
	"strconv"
	"unicode/utf8"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

// Page is what a page shows.
type Page struct {
	Name       string // of the folder
	Renderings []Rendering
	Faults     authoring.Faults
	Problem    string // why the folder, or the selection in it, could not be shown
	state      string // of the folder; empty on a page that is not served
}

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

//go:embed page.js
var pageJS string

var pageTemplate = htmltemplate.Must(htmltemplate.New("page").Funcs(htmltemplate.FuncMap{
	"bytes": func(s string) string { return strconv.Itoa(len(s)) },
	"runes": func(s string) string { return strconv.Itoa(utf8.RuneCountInString(s)) },
}).Parse(pageHTML))

// Write writes the page: one file that asks for nothing from the network, runs
// no script but its own, and shows everything that comes from templates and
// samples as text or, an e-mail's HTML, within a frame that runs none.
func (p *Page) Write(w io.Writer) error {
	view := pageView{
		Name: p.Name, Faults: p.Faults, Problem: p.Problem, State: p.state,
		Policy: policy(p.state != ""), CSS: htmltemplate.CSS(pageCSS), JS: htmltemplate.JS(pageJS),
	}
	for i := range p.Renderings {
		view.add(&p.Renderings[i])
	}
	return pageTemplate.Execute(w, &view)
}

// policy is the Content-Security-Policy of the page, which its frames inherit.
func policy(served bool) string {
	sum := sha256.Sum256([]byte(pageJS))
	text := "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-" +
		base64.StdEncoding.EncodeToString(sum[:]) + "'"
	if served {
		text += "; connect-src 'self'"
	}
	return text
}

type pageView struct {
	Name    string
	Faults  authoring.Faults
	Problem string
	State   string
	Policy  string
	CSS     htmltemplate.CSS
	JS      htmltemplate.JS

	Templates []*templateView
	Messages  []*messageView
	Failed    int
}

// templateView is a template in the navigation.
type templateView struct {
	Name    string
	Channel topology.Channel
	Samples []*sampleView
}

type sampleView struct {
	Name     string
	Messages []*messageView
}

// messageView is one message, or why there is none.
type messageView struct {
	ID        string
	Template  string
	Version   string
	Channel   topology.Channel
	Sample    *sampleView
	File      string
	Language  string
	Used      string // the body's language, where that is another
	Where     string
	Error     string
	To        string
	Subject   string
	Text      string
	HTML      string
	JSON      string
	Event     string
	IsWebhook bool
}

func (v *pageView) add(r *Rendering) {
	m := &messageView{
		ID:       r.Template.Name + "/" + r.SampleName() + "/" + r.Language,
		Template: r.Template.Name, Version: r.Template.Version, Channel: r.Template.Channel,
		Sample: v.sample(r), File: r.Sample.File, Language: r.Language,
		Event: indented(r.Sample.Event.Raw),
	}
	m.Sample.Messages = append(m.Sample.Messages, m)
	v.Messages = append(v.Messages, m)
	if r.Err != nil {
		v.Failed++
		m.Where, m.Error = r.Where(), r.Err.Detail
		return
	}
	m.take(&r.Message)
}

func (m *messageView) take(from *template.Message) {
	if from.Language != m.Language {
		m.Used = from.Language
	}
	m.To, m.IsWebhook = from.To, from.Channel == topology.Webhook
	m.Subject, m.Text, m.HTML = from.Subject, from.Text, from.HTML
	if len(from.Body) > 0 {
		m.JSON = indented(from.Body)
	}
}

// sample is where in the navigation a rendering stands: those of one template
// and sample follow each other.
func (v *pageView) sample(r *Rendering) *sampleView {
	if n := len(v.Templates); n == 0 || v.Templates[n-1].Name != r.Template.Name {
		v.Templates = append(v.Templates, &templateView{Name: r.Template.Name, Channel: r.Template.Channel})
	}
	t := v.Templates[len(v.Templates)-1]
	if n := len(t.Samples); n == 0 || t.Samples[n-1].Name != r.SampleName() {
		t.Samples = append(t.Samples, &sampleView{Name: r.SampleName()})
	}
	return t.Samples[len(t.Samples)-1]
}

// Link leads to the message on the page.
func (m *messageView) Link() string { return "#" + m.ID }

// indented is JSON for people, or the text as it is.
func indented(text []byte) string {
	var b bytes.Buffer
	if json.Indent(&b, bytes.TrimSpace(text), "", "  ") != nil {
		return string(text)
	}
	return b.String()
}
