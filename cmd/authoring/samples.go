package authoring

import (
	"errors"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/meddela/meddela/consumer/message"
	"github.com/meddela/meddela/topology"
)

// Sample is an event that an author keeps beside a template to check it with.
type Sample struct {
	File  string // as a path in the folder
	Event topology.Event
}

// samples reads the events in a folder of samples.
func (l *loader) samples(folder string) []Sample {
	texts := l.texts(folder)
	var samples []Sample
	for name, text := range texts {
		file := path.Join(folder, name)
		if path.Ext(name) != ".json" {
			l.faults.add(file, 0, "does not end in .json: samples are events, as upstream publishes them")
			continue
		}
		event, err := topology.DecodeEvent(topology.Record{Value: []byte(text)}, topology.Realtime)
		if err != nil {
			l.faults.add(file, 0, "is not an event: "+err.Error())
			continue
		}
		samples = append(samples, Sample{File: file, Event: event})
	}
	slices.SortFunc(samples, func(a, b Sample) int { return strings.Compare(a.File, b.File) })
	return samples
}

// renderSample renders a sample in each of the template's languages.
func (l *loader) renderSample(compiled *message.Template, t *Template, s Sample) {
	if !slices.Contains(t.Record.Types, s.Event.Type) {
		l.faults.add(s.File, 0, "its type "+strconv.Quote(s.Event.Type)+" is none that the template covers")
	}
	if s.Event.Channel != t.Record.Channel {
		l.faults.add(s.File, 0, "its channel is "+string(s.Event.Channel)+", and the template's "+string(t.Record.Channel))
	}
	for _, language := range compiled.Languages().Names() {
		_, err := compiled.Render(&s.Event, language)
		var e *message.Error
		if !errors.As(err, &e) {
			continue
		}
		where := path.Join(language, e.Part)
		if e.Line > 0 {
			where += ":" + strconv.Itoa(e.Line)
		}
		if e.Reason == topology.ReasonMissingData {
			l.faults.add(s.File, 0, where+" reads "+e.Path+", which the sample does not have: add it, or read it with default")
		} else {
			l.faults.add(s.File, 0, where+": "+e.Detail)
		}
	}
}
