package preview

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

// Folder is what can be shown of a folder of templates: everything where it has
// no faults, else the templates that can be compiled.
type Folder struct {
	Templates []Template
	Faults    authoring.Faults
}

// Template is a template that can be rendered.
type Template struct {
	Record   topology.TemplateRecord
	Samples  []authoring.Sample
	compiled *template.Template
}

// Load reads the templates in a folder, in the order of their names. Its error
// says why the folder could not be read; what is wrong in it is in Faults.
func Load(folder fs.FS) (Folder, error) {
	loaded, err := authoring.LoadWithSamples(folder)
	var faults authoring.Faults
	if err != nil && !errors.As(err, &faults) {
		return Folder{}, err
	}
	if len(faults) > 0 {
		if loaded, err = loadWithoutSamples(folder); err != nil {
			return Folder{}, err
		}
	}
	f := Folder{Faults: faults}
	for _, t := range loaded {
		// What cannot be compiled is among the faults.
		if compiled, err := template.Compile(t.Record); err == nil {
			f.Templates = append(f.Templates, Template{t.Record, t.Samples, compiled})
		}
	}
	return f, nil
}

// loadWithoutSamples loads each template by itself, so that one with faults is
// only missing, and reads its samples without rendering them.
func loadWithoutSamples(folder fs.FS) ([]authoring.Template, error) {
	entries, err := fs.ReadDir(folder, ".")
	if err != nil {
		return nil, err
	}
	var templates []authoring.Template
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		one, err := authoring.LoadWithSamples(alone{folder, entry.Name()})
		if err != nil || len(one) != 1 {
			continue
		}
		one[0].Samples = readSamples(folder, entry.Name())
		templates = append(templates, one[0])
	}
	return templates, nil
}

const (
	samplesFolder = "samples"
	// counterexample starts the names of samples that are not to be rendered.
	counterexample = "not_"
)

// alone is a folder of templates with only one of them, and without its
// samples. The folders of partials are there.
type alone struct {
	fs.FS
	template string
}

func (a alone) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(a.FS, name)
	return slices.DeleteFunc(entries, func(e fs.DirEntry) bool {
		switch name {
		case ".":
			return e.Name() != a.template && !strings.HasPrefix(e.Name(), "_")
		case a.template:
			return e.Name() == samplesFolder
		}
		return false
	}), err
}

// readSamples reads the samples of a template that are events; the others are
// faults.
func readSamples(folder fs.FS, template string) []authoring.Sample {
	entries, err := fs.ReadDir(folder, path.Join(template, samplesFolder))
	if err != nil {
		return nil // there need not be any
	}
	var samples []authoring.Sample
	for _, entry := range entries {
		file := path.Join(template, samplesFolder, entry.Name())
		if entry.IsDir() || strings.HasPrefix(entry.Name(), ".") || strings.HasPrefix(entry.Name(), counterexample) || path.Ext(file) != ".json" {
			continue
		}
		text, err := fs.ReadFile(folder, file)
		if err != nil {
			continue
		}
		if event, err := topology.DecodeEvent(topology.Record{Value: text}, topology.Realtime); err == nil {
			samples = append(samples, authoring.Sample{File: file, Event: event})
		}
	}
	return samples
}
