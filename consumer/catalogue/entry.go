package catalogue

import (
	"cmp"
	"fmt"
	"sync"

	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/consumer/template/condition"
	"github.com/meddela/meddela/topology"
)

// Entry is one version of a template in a catalogue. It is immutable and safe
// for use by several goroutines.
type Entry struct {
	record    topology.TemplateRecord
	ref       topology.TemplateRef
	languages template.Languages
	when      *condition.Condition // nil when there is none
	template  func() *template.Template
}

// newEntry checks that a record can be rendered. Only a record that can takes
// its place: a bad one must not displace the version that works.
func newEntry(record topology.TemplateRecord) (*Entry, error) {
	// The check's outcome is not kept: most versions are never rendered by
	// this process, and compiled they are many times larger.
	compiled, err := template.Compile(record)
	if err != nil {
		return nil, fmt.Errorf("template %s: %w", record.Ref(), err)
	}
	var when *condition.Condition
	if record.When != "" {
		if when, err = condition.Compile(record.When); err != nil {
			return nil, fmt.Errorf("template %s: when: %w", record.Ref(), err)
		}
	}
	return &Entry{
		record:    record,
		ref:       record.Ref(),
		languages: compiled.Languages,
		when:      when,
		template: sync.OnceValue(func() *template.Template {
			again, _ := template.Compile(record) // of what has just compiled
			return again
		}),
	}, nil
}

// Record is what was published. It must not be changed.
func (e *Entry) Record() *topology.TemplateRecord { return &e.record }

// Ref names the version.
func (e *Entry) Ref() topology.TemplateRef { return e.ref }

// Languages are those that the version has bodies in.
func (e *Entry) Languages() template.Languages { return e.languages }

// Conditions is how many conditions the version's when joins; 0 without one.
func (e *Entry) Conditions() int {
	if e.when == nil {
		return 0
	}
	return e.when.Conjuncts
}

// Holds reports whether the version's when holds for an event; it does where
// there is none. The error is a condition.Fault.
func (e *Entry) Holds(facts *condition.Facts) (bool, error) {
	if e.when == nil {
		return true, nil
	}
	return e.when.Holds(facts)
}

// Template is the version ready to render. It is compiled at the first call.
func (e *Entry) Template() *template.Template { return e.template() }

// byTime orders entries: the most recently published first, then by ref.
func byTime(a, b *Entry) int {
	return cmp.Or(b.record.PublishedAt.Compare(a.record.PublishedAt), cmp.Compare(a.ref, b.ref))
}

// byPreference orders entries that cover the same events: the most specific
// first, then byTime.
func byPreference(a, b *Entry) int {
	return cmp.Or(cmp.Compare(b.Conditions(), a.Conditions()),
		cmp.Compare(len(a.record.Types), len(b.record.Types)), byTime(a, b))
}
