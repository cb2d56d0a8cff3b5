package authoring

import (
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

// Names of files and folders in a folder of templates.
const (
	manifestName   = "template.yaml"
	samplesName    = "samples"
	partialsFolder = "_partials"
)

// MaxRecordBytes is the greatest size of a template with all its languages, as
// it is published.
const MaxRecordBytes = topology.MaxEventBytes

// Template is a template as its author keeps it.
type Template struct {
	// Record is ready to be published but for its time.
	Record topology.TemplateRecord
	// Samples are those that the template covers.
	Samples []Sample

	manifest *manifest // nil when it could not be read
}

// Load reads the templates in a folder, in the order of their names. Its error
// is Faults, or says why the folder could not be read.
func Load(folder fs.FS) ([]topology.TemplateRecord, error) {
	templates, err := LoadWithSamples(folder)
	if err != nil {
		return nil, err
	}
	return Records(templates), nil
}

// Records are the templates' records, in the same order.
func Records(templates []Template) []topology.TemplateRecord {
	records := make([]topology.TemplateRecord, len(templates))
	for i, t := range templates {
		records[i] = t.Record
	}
	return records
}

// LoadWithSamples is Load, with the samples that the templates were checked
// with.
func LoadWithSamples(folder fs.FS) ([]Template, error) {
	report, err := Check(folder)
	if err != nil {
		return nil, err
	}
	return report.Templates, report.Faults.err()
}

// Report is what a folder of templates has, and what is to be said about it.
type Report struct {
	// Templates are in the order of their names; none where there are faults.
	Templates []Template
	Faults    Faults
	// Warnings are about what works, and is perhaps not what was meant.
	Warnings Faults
	// Folders is how many folders were read as templates.
	Folders int
}

// Check reads a folder of templates and says everything that is wrong. Its
// error says why the folder could not be read.
func Check(folder fs.FS) (Report, error) {
	l := loader{files: files{folder: folder}}
	entries, err := readDir(folder, ".")
	if err != nil {
		return Report{}, err
	}
	l.partials = l.readPartials()
	var templates []Template
	for _, entry := range entries {
		switch name := entry.Name(); {
		case name == manifestName:
			l.faults.add(name, 0, "this is a template's own folder: load the folder that it is in")
		case !entry.IsDir() || name[0] == '.' || name[0] == '_':
		default:
			templates = append(templates, l.template(name))
		}
	}
	report := Report{Folders: len(templates), Faults: l.faults.sorted(), Warnings: l.warnings(templates).sorted()}
	if len(report.Faults) == 0 {
		report.Templates = templates
	}
	return report, nil
}

// bodyFile is a part that a body on the channel may have; the one of that name
// if it is one.
func bodyFile(name string, channel topology.Channel) string {
	parts := template.Parts(channel)
	switch {
	case slices.Contains(parts, name):
		return name
	case len(parts) > 0:
		return parts[0]
	}
	return template.EmailText
}

type loader struct {
	files
	partials map[string]string
}

// template reads and checks one template. What it returns is of use only when
// no fault was found.
func (l *loader) template(name string) Template {
	t := Template{Record: topology.TemplateRecord{Name: name, Bodies: map[string]map[string]string{}}}
	m := l.manifest(name, &t.Record)
	entries, err := readDir(l.folder, name)
	if err != nil {
		l.faults.add(name, 0, "cannot be read: "+cause(err))
	}
	for _, entry := range entries {
		file := path.Join(name, entry.Name())
		switch {
		case entry.Name() == manifestName || ignored(entry.Name()):
		case entry.Name() == samplesName && entry.IsDir():
			t.Samples = l.samples(file)
		case entry.IsDir():
			t.Record.Bodies[entry.Name()] = l.texts(file)
		default:
			l.faults.add(file, 0, "does not belong here: bodies are in a folder for each language, such as "+path.Join(name, "en", bodyFile(entry.Name(), t.Record.Channel)))
		}
	}
	t.manifest = m
	l.setDefaultLanguage(&t.Record, m)
	t.Record.Partials = l.included(t.Record.Bodies)
	t.Record.Version = Version(t.Record)
	l.check(&t)
	return t
}

// setDefaultLanguage takes the only language where the manifest names none.
func (l *loader) setDefaultLanguage(r *topology.TemplateRecord, m *manifest) {
	if m == nil {
		return
	}
	if r.DefaultLanguage != "" {
		if _, ok := r.Bodies[r.DefaultLanguage]; !ok {
			m.fail("default_language", "there is no folder "+strconv.Quote(r.DefaultLanguage)+": add it, or name another language")
		}
		return
	}
	if len(r.Bodies) > 1 && !m.has("default_language") {
		l.faults.add(m.file, 0, "there is no default_language: name the language for everyone whose own is not there")
	}
	for language := range r.Bodies {
		r.DefaultLanguage = language
	}
}

// included returns the partials that bodies include, directly or not.
func (l *loader) included(bodies map[string]map[string]string) map[string]string {
	found := map[string]string{}
	var visit func(source string)
	visit = func(source string) {
		for _, name := range template.Includes(source) {
			partial, ok := l.partials[name]
			if _, seen := found[name]; ok && !seen {
				found[name] = partial
				visit(partial)
			}
		}
	}
	for _, body := range bodies {
		for _, source := range body {
			visit(source)
		}
	}
	return found
}

// check compiles a template and renders its samples.
func (l *loader) check(t *Template) {
	file := path.Join(t.Record.Name, manifestName)
	compiled, err := template.Compile(t.Record)
	if faults, ok := err.(template.Faults); ok {
		for _, f := range faults {
			l.compileFault(t.Record.Name, file, f)
		}
		return
	}
	if size := len(t.Record.Append(nil)); size > MaxRecordBytes {
		l.faults.add(file, 0, "the template has "+strconv.Itoa(size)+" bytes with all its languages and partials: at most "+strconv.Itoa(MaxRecordBytes)+" can be published")
	}
	for i := range t.Samples {
		l.checkSample(compiled, t, &t.Samples[i])
	}
	t.Samples = slices.DeleteFunc(t.Samples, func(s Sample) bool { return s.isCounterexample() })
}

// compileFault says where an author finds what the compiler found.
func (l *loader) compileFault(name, manifest string, f template.Fault) {
	switch {
	case f.Part == "" && f.Language != "" && l.faults.within(path.Join(name, f.Language)): // what is there could not be read
	case f.Language != "":
		l.faults.add(path.Join(name, f.Language, f.Part), f.Line, f.Detail)
	case f.Part != "":
		l.faults.add(path.Join(partialsFolder, f.Part), f.Line, f.Detail)
	case !l.faults.about(manifest): // or else it has been said already, with a line
		l.faults.add(manifest, 0, f.Detail)
	}
}

// ignored tells whether a file beside the template's own is nobody's business.
func ignored(name string) bool {
	return name[0] == '.' || strings.HasSuffix(name, "~") || strings.EqualFold(path.Ext(name), ".md")
}
