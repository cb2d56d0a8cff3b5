package authoring

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/consumer/template/condition"
	"github.com/meddela/meddela/topology"
)

// Sample is an event that an author keeps beside a template to check it with.
type Sample struct {
	File  string // as a path in the folder
	Event topology.Event
}

// samples reads the events in a template's folder of samples, and checks the template with
// them. Counterexamples are left out of what it returns.
func (l *loader) samples(folder string, t *Template) []Sample {
	var samples []Sample
	for name, text := range l.texts(folder) {
		file := path.Join(folder, name)
		if path.Ext(name) != ".json" {
			l.faults.Add(file, 0, "does not end in .json: samples are events, as upstream publishes them")
			continue
		}
		event, err := topology.DecodeEvent(topology.Record{Value: []byte(text)}, topology.Realtime)
		if err != nil {
			l.faults.Add(file, template.LineNotJSON([]byte(text)), "is not an event: "+err.Error())
			continue
		}
		s, counter := Sample{File: file, Event: event}, strings.HasPrefix(name, counterexample)
		if t.Compiled != nil {
			l.checkSample(t, &s, counter)
		}
		if !counter {
			samples = append(samples, s)
		}
	}
	slices.SortFunc(samples, func(a, b Sample) int { return strings.Compare(a.File, b.File) })
	return samples
}

// counterexample begins the names of samples that the template must not cover.
const counterexample = "not_"

// checkSample checks that the template covers a sample and can render it, or not a counterexample.
func (l *loader) checkSample(t *Template, s *Sample, counter bool) {
	uncovered, failed := t.uncovered(&s.Event)
	switch {
	case failed != "":
		l.faults.Add(s.File, 0, failed)
	case counter && uncovered == "":
		l.faults.Add(s.File, 0, "the template covers it, which it must not, as its name starts with "+counterexample+
			": rename it, or change the when in "+manifestName)
	case counter:
	case uncovered != "":
		l.faults.Add(s.File, 0, uncovered+"; if the template is not to cover it, let its name start with "+counterexample)
	default:
		l.renderSample(t.Compiled, s)
	}
}

// uncovered says why a template does not cover an event, or why that cannot be told.
func (t *Template) uncovered(event *topology.Event) (uncovered, failed string) {
	switch {
	case !slices.Contains(t.Record.Types, event.Type):
		return fmt.Sprintf("its type %q is none that the template covers (%s): correct it, or add it to the types",
			event.Type, strings.Join(t.Record.Types, ", ")), ""
	case event.Channel != t.Record.Channel:
		return fmt.Sprintf("its channel is %s, and the template's %s: correct the one or the other",
			event.Channel, t.Record.Channel), ""
	case t.manifest == nil || t.manifest.condition == nil:
		return "", ""
	}
	where := fmt.Sprintf("the condition in %s:%d ", manifestName, t.manifest.Line("when"))
	holds, err := t.manifest.condition.Holds(condition.NewFacts(event))
	if e, ok := errors.AsType[condition.Fault](err); ok {
		return "", where + "fails on it: " + e.Detail
	}
	if !holds {
		return where + "is false for it: correct the one or the other", ""
	}
	return "", ""
}

func (l *loader) renderSample(compiled *template.Template, s *Sample) {
	for _, language := range compiled.Languages.Names {
		_, err := compiled.Render(&s.Event, language)
		e, failed := errors.AsType[*template.Error](err)
		if !failed {
			continue
		}
		detail := ": " + e.Detail
		if e.Reason == topology.ReasonMissingData {
			detail = " reads " + e.Path + ", which the sample does not have: add it, or read it with default"
		}
		l.faults.Add(s.File, 0, Where("", compiled.Channel, e)+detail)
	}
}
