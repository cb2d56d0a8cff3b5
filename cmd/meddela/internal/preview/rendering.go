// Package preview renders the templates of a folder with their samples, and shows the
// messages to their author: as files, and on a page that keeps up with the folder.
package preview

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/nearest"
)

// Selection is which messages to render. The zero value is all.
type Selection struct {
	Templates []string          // names
	Languages []string          // tags, as events have them; default: those of each template
	Sample    string            // the file of a sample, its name, or that without .json
	Event     *authoring.Sample // instead of the samples, by the templates that cover it or Templates names
}

// Rendering is one message, or why there is none.
type Rendering struct {
	Template *topology.TemplateRecord
	Sample   *authoring.Sample
	Language string // that was wanted
	Message  template.Message
	Err      *template.Error // nil when there is a message
}

// SMS is what the message takes as an SMS; nil where it is none.
func (r *Rendering) SMS() *template.SMSLength {
	if r.Err != nil || r.Message.Channel != topology.SMS {
		return nil
	}
	length := template.MeasureSMS(r.Message.Text)
	return &length
}

// unknown is what is said of a template or sample that the folder does not have.
func unknown(what, name string, known []string) error {
	hint := nearest.DidYouMean(name, known)
	if hint == "" && len(known) > 0 {
		hint = ": there is " + strings.Join(known, ", ")
	}
	return fmt.Errorf("there is no %s %q%s", what, name, hint)
}

// Render renders the selected messages, without templates that have faults. Its error says what is selected
// and not there.
func Render(folder *authoring.Report, s Selection) ([]Rendering, error) {
	if err := checkTemplates(folder, s.Templates); err != nil {
		return nil, err
	}
	var all []Rendering
	var known []string
	for i := range folder.Templates {
		t := &folder.Templates[i]
		if len(s.Templates) > 0 && !slices.Contains(s.Templates, t.Record.Name) {
			continue
		}
		if s.Event != nil {
			if len(s.Templates) > 0 || t.Covers(&s.Event.Event) {
				all = renderSample(all, t, s.Event, s.Languages)
			}
			continue
		}
		for j := range t.Samples {
			sample := &t.Samples[j]
			known = append(known, t.Record.Name+"/"+sampleName(sample.File))
			if s.Sample == "" || isNamed(sample.File, s.Sample) {
				all = renderSample(all, t, sample, s.Languages)
			}
		}
	}
	if len(all) == 0 && s.Sample != "" {
		return nil, unknown("sample", s.Sample, known)
	}
	return all, nil
}

// checkTemplates checks that the names are known, if only as those of templates with faults.
func checkTemplates(folder *authoring.Report, names []string) error {
	var known []string
	for i := range folder.Templates {
		known = append(known, folder.Templates[i].Record.Name)
	}
	for _, fault := range folder.Faults {
		name, _, _ := strings.Cut(fault.File, "/")
		known = append(known, name)
	}
	slices.Sort(known)
	known = slices.Compact(known)
	for _, name := range names {
		if !slices.Contains(known, name) {
			return unknown("template", name, known)
		}
	}
	return nil
}

func renderSample(all []Rendering, t *authoring.Template, sample *authoring.Sample, languages []string) []Rendering {
	if len(languages) == 0 {
		languages = t.Compiled.Languages.Names
	}
	for _, language := range languages {
		m, err := t.Compiled.Render(&sample.Event, language)
		failed, _ := errors.AsType[*template.Error](err)
		all = append(all, Rendering{&t.Record, sample, language, m, failed})
	}
	return all
}

// isNamed reports whether a name, with or without folders and .json, is that of a sample's file.
func isNamed(file, name string) bool {
	name = path.Clean(strings.ReplaceAll(name, `\`, "/"))
	return name == sampleName(file) || name == file || strings.HasSuffix(name, "/"+file) ||
		strings.HasSuffix(file, "/"+name)
}

// sampleName is a sample's file without its folder and ending.
func sampleName(file string) string {
	return strings.TrimSuffix(path.Base(file), path.Ext(file))
}

// SampleName is how the sample is called where its template is known.
func (r *Rendering) SampleName() string { return sampleName(r.Sample.File) }

// Where is the file in the folder in which rendering failed: "file:line".
func (r *Rendering) Where() string {
	return authoring.Where(r.Template.Name, r.Template.Channel, r.Err)
}
