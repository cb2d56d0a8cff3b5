// Package authoring reads templates from the folders that their authors keep in git,
// checks them, finding all faults at once, and publishes them.
package authoring

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"

	"github.com/meddela/meddela/cmd/meddela/internal/faults"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

// Names of files and folders in a folder of templates.
const (
	manifestName   = "template.yaml"
	samplesName    = "samples"
	partialsFolder = "_partials"
)

// Template is a template as its author keeps it.
type Template struct {
	Record   topology.TemplateRecord // ready to be published but for its time
	Compiled *template.Template
	Samples  []Sample // that the template is to cover

	manifest *manifest // nil when it could not be read
	usable   bool      // nothing is wrong but in its samples
}

// Covers reports whether the template is for events of the type on the channel.
func (t *Template) Covers(e *topology.Event) bool {
	return e.Channel == t.Record.Channel && slices.Contains(t.Record.Types, e.Type)
}

// Load reads the templates in a folder. Its error is a faults.List, or says why the folder could not be read.
func Load(folder fs.FS) ([]topology.TemplateRecord, error) {
	report, err := Check(folder)
	if err == nil {
		err = report.Faults.Err()
	}
	if err != nil {
		return nil, err
	}
	return report.Records(), nil
}

// Report is what a folder of templates has, and what is to be said about it.
type Report struct {
	Templates []Template // sorted by name, those without faults other than in their samples
	Faults    faults.List
	Warnings  faults.List // about what works, and is perhaps not what was meant
	Folders   int         // that were read as templates
}

// Check says everything that is wrong in a folder. Its error says why the folder could not be read.
func Check(folder fs.FS) (Report, error) {
	l := loader{folder: folder}
	entries, err := l.readDir(".")
	if err != nil {
		return Report{}, err
	}
	l.readPartials()
	var templates []Template
	for _, entry := range entries {
		switch name := entry.Name(); {
		case name == manifestName:
			l.faults = faults.List{}
			l.faults.Add(name, 0, "this is a template's own folder: name the folder that it is in")
			return Report{Faults: l.faults.Sorted()}, nil
		case entry.IsDir() && name[0] != '_':
			templates = append(templates, l.template(name))
		}
	}
	report := Report{Folders: len(templates), Faults: l.faults.Sorted(), Warnings: l.warnings(templates).Sorted()}
	report.Templates = slices.DeleteFunc(templates, func(t Template) bool { return !t.usable })
	return report, nil
}

// Records are the templates' records, in the same order.
func (r *Report) Records() []topology.TemplateRecord {
	records := make([]topology.TemplateRecord, len(r.Templates))
	for i := range r.Templates {
		records[i] = r.Templates[i].Record
	}
	return records
}

// loader reads one folder, and keeps what is wrong with it.
type loader struct {
	folder   fs.FS
	faults   faults.List
	partials map[string]string
}

func (l *loader) template(name string) Template {
	before := len(l.faults)
	t := Template{Record: topology.TemplateRecord{Name: name, Bodies: map[string]map[string]string{}}}
	t.manifest = l.manifest(name, &t.Record)
	entries, err := l.readDir(name)
	if err != nil {
		l.unreadable(name, err)
	}
	samples := ""
	for _, entry := range entries {
		file := path.Join(name, entry.Name())
		switch {
		case entry.Name() == manifestName || ignored(entry.Name()):
		case entry.Name() == samplesName && entry.IsDir():
			samples = file
		case entry.IsDir():
			t.Record.Bodies[entry.Name()] = l.texts(file)
		default:
			part, parts := entry.Name(), template.Parts(t.Record.Channel)
			if !slices.Contains(parts, part) {
				part = append(parts, template.EmailText)[0]
			}
			l.faults.Add(file, 0, "does not belong here: bodies are in a folder for each language, such as "+
				path.Join(name, "en", part))
		}
	}
	if t.manifest != nil {
		t.manifest.setDefaultLanguage(&t.Record)
	}
	l.compile(&t)
	t.usable = len(l.faults) == before
	if samples != "" {
		t.Samples = l.samples(samples, &t)
	}
	return t
}

// setDefaultLanguage takes the only language where the manifest names none.
func (m *manifest) setDefaultLanguage(r *topology.TemplateRecord) {
	if r.DefaultLanguage != "" {
		if _, ok := r.Bodies[r.DefaultLanguage]; !ok {
			m.Fail("default_language", "there is no folder "+strconv.Quote(r.DefaultLanguage)+
				": add it, or name another language")
		}
		return
	}
	if len(r.Bodies) > 1 && !m.Has("default_language") {
		m.Fail("default_language", "it is missing: name the language for everyone whose own is not there")
	}
	for language := range r.Bodies {
		r.DefaultLanguage = language
	}
}

// compile notes what the compiler finds where the template's author finds it. The
// record gets the partials that its bodies include.
func (l *loader) compile(t *Template) {
	name, manifest := t.Record.Name, path.Join(t.Record.Name, manifestName)
	t.Record.Version, t.Record.Partials = "unknown", l.partials
	compiled, err := template.Compile(t.Record)
	found, _ := errors.AsType[template.Faults](err)
	for _, f := range found {
		switch {
		case f.Part == "" && f.Language != "" && l.faults.About(path.Join(name, f.Language)):
			// What is there could not be read.
		case f.Language != "":
			l.faults.Add(path.Join(name, f.Language, f.Part), f.Line, f.Detail)
		case f.Part != "":
			l.faults.Add(path.Join(partialsFolder, f.Part), f.Line, f.Detail)
		case !l.faults.About(manifest): // or else it has been said already, with a line
			l.faults.Add(manifest, 0, f.Detail)
		}
	}
	if err != nil {
		return
	}
	t.Record.Partials = compiled.Partials
	t.Record.Version = Version(t.Record)
	compiled.Ref, t.Compiled = t.Record.Ref(), compiled
	if size := len(t.Record.Append(nil)); size > topology.MaxEventBytes {
		l.faults.Add(manifest, 0, fmt.Sprintf("the template has %d bytes with all its languages and partials: "+
			"at most %d can be published", size, topology.MaxEventBytes))
	}
}
