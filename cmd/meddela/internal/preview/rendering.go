package preview

import (
	"errors"
	"fmt"
	"iter"
	"path"
	"slices"
	"strings"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

// Selection is which messages to render. The zero value is all.
type Selection struct {
	Templates []string // names
	Languages []string // tags, as events have them; default: those of each template
	Sample    string   // the file of a sample, its name, or that without .json
	// Event is rendered instead of the samples, by every template that covers
	// its type on its channel, and by those that Templates names.
	Event *authoring.Sample
}

// Rendering is one message, or why there is none.
type Rendering struct {
	Template *topology.TemplateRecord
	Sample   *authoring.Sample
	Language string // that was wanted
	Message  template.Message
	Err      *template.Error // nil when there is a message
}

// UnknownError names what a selection asks for and the folder does not have.
type UnknownError struct {
	What  string // "template" or "sample"
	Name  string
	Known []string
}

func (e *UnknownError) Error() string {
	if len(e.Known) == 0 {
		return fmt.Sprintf("there is no %s %q", e.What, e.Name)
	}
	return fmt.Sprintf("there is no %s %q: there is %s", e.What, e.Name, strings.Join(e.Known, ", "))
}

// Render renders the selected messages, by template, sample and language. Its
// error is an *UnknownError.
func (f *Folder) Render(s Selection) ([]Rendering, error) {
	if err := f.checkTemplates(s.Templates); err != nil {
		return nil, err
	}
	var all []Rendering
	var samples []string
	for i := range f.Templates {
		t := &f.Templates[i]
		if len(s.Templates) > 0 && !slices.Contains(s.Templates, t.Record.Name) {
			continue
		}
		for sample := range t.selected(s) {
			all = t.render(all, sample, s.Languages)
		}
		for _, sample := range t.Samples {
			samples = append(samples, t.Record.Name+"/"+sampleName(sample.File))
		}
	}
	if len(all) == 0 && s.Sample != "" {
		return nil, &UnknownError{"sample", s.Sample, samples}
	}
	return all, nil
}

// checkTemplates tells whether the names are known, if only as those of
// templates with faults.
func (f *Folder) checkTemplates(names []string) error {
	known := make([]string, len(f.Templates))
	for i := range f.Templates {
		known[i] = f.Templates[i].Record.Name
	}
	for _, fault := range f.Faults {
		name, _, _ := strings.Cut(fault.File, "/")
		known = append(known, name)
	}
	slices.Sort(known)
	known = slices.Compact(known)
	for _, name := range names {
		if !slices.Contains(known, name) {
			return &UnknownError{"template", name, known}
		}
	}
	return nil
}

func (t *Template) selected(s Selection) iter.Seq[*authoring.Sample] {
	return func(yield func(*authoring.Sample) bool) {
		if s.Event != nil {
			if len(s.Templates) > 0 || t.covers(&s.Event.Event) {
				yield(s.Event)
			}
			return
		}
		for i := range t.Samples {
			sample := &t.Samples[i]
			if s.Sample == "" || isNamed(sample.File, s.Sample) {
				if !yield(sample) {
					return
				}
			}
		}
	}
}

func (t *Template) covers(e *topology.Event) bool {
	return e.Channel == t.Record.Channel && slices.Contains(t.Record.Types, e.Type)
}

// isNamed tells whether a name, with or without folders and .json, is that of a
// sample's file.
func isNamed(file, name string) bool {
	name = path.Clean(strings.ReplaceAll(name, `\`, "/"))
	return name == sampleName(file) || name == file || strings.HasSuffix(name, "/"+file) || strings.HasSuffix(file, "/"+name)
}

// sampleName is how a sample is called where its template is known.
func sampleName(file string) string {
	return strings.TrimSuffix(path.Base(file), path.Ext(file))
}

func (t *Template) render(all []Rendering, sample *authoring.Sample, languages []string) []Rendering {
	if len(languages) == 0 {
		languages = t.compiled.Languages().Names()
	}
	for _, language := range languages {
		r := Rendering{Template: &t.Record, Sample: sample, Language: language}
		m, err := t.compiled.Render(&sample.Event, language)
		if !errors.As(err, &r.Err) {
			r.Message = m
		}
		all = append(all, r)
	}
	return all
}

// SampleName is the sample's file without its folder and ending.
func (r *Rendering) SampleName() string { return sampleName(r.Sample.File) }

// Where is the place in the folder where rendering failed: "file:line".
func (r *Rendering) Where() string {
	if r.Err == nil {
		return ""
	}
	name := r.Template.Name
	file := path.Join(name, r.Err.Language, r.Err.Part)
	if r.Err.Part != "" && !slices.Contains(template.Parts(r.Template.Channel), r.Err.Part) {
		file = path.Join("_partials", r.Err.Part)
	}
	if r.Err.Line > 0 {
		file = fmt.Sprintf("%s:%d", file, r.Err.Line)
	}
	return file
}

// Parts are the parts of the message, in the order of template.Parts.
func (r *Rendering) Parts() []Part { return PartsOf(&r.Message) }

// Part is one part of a message, by its name in a template's folder.
type Part struct{ Name, Text string }

// PartsOf returns the parts that a message has, in the order of template.Parts.
func PartsOf(m *template.Message) []Part {
	var parts []Part
	for _, name := range template.Parts(m.Channel) {
		if text := partText(m, name); text != "" {
			parts = append(parts, Part{name, text})
		}
	}
	return parts
}

func partText(m *template.Message, part string) string {
	switch part {
	case template.EmailSubject:
		return m.Subject
	case template.EmailText, template.SMSText:
		return m.Text
	case template.EmailHTML:
		return m.HTML
	case template.EmailUnsubscribe:
		return m.Unsubscribe.Lines()
	case template.EmailAttachments:
		return template.AttachmentLines(m.Attachments)
	}
	return string(m.Body)
}
