package template

import (
	"fmt"
	"strings"
	"text/template/parse"

	"github.com/meddela/meddela/topology"
)

// Error says why a message could not be rendered. It never holds the recipient's
// address or any other content of the event.
type Error struct {
	Reason   topology.Reason // ReasonMissingData or ReasonRenderFailed
	Template topology.TemplateRef
	Fault
	Path string // the missing path, such as "ctx.order.number"
}

func (e *Error) Error() string {
	text := e.Fault.Error()
	if e.Language == "" && e.Part == "" {
		text = ": " + text
	} else {
		text = " " + text
	}
	return string(e.Template) + text
}

// Fault is one thing that is wrong with a template record.
type Fault struct {
	Language string // empty for the record itself and for partials
	Part     string // a part or a partial, such as "email.txt"; empty for the record itself
	Line     int    // in the part or the partial; 0 when it is about the whole
	Detail   string // what is wrong, and what to do
}

func (f Fault) Error() string {
	where := strings.Trim(f.Language+"/"+f.Part, "/")
	switch {
	case where == "":
		return f.Detail
	case f.Line == 0:
		return where + ": " + f.Detail
	}
	return fmt.Sprintf("%s:%d: %s", where, f.Line, f.Detail)
}

// Faults is everything that is wrong with a template record.
type Faults []Fault

func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.Error()
	}
	return strings.Join(lines, "; ")
}

// misuse is the error of a value that is there but does not fit. Its text
// has nothing of the value.
type misuse string

func (m misuse) Error() string { return string(m) }

// place is where in a template something stands.
type place struct {
	source *source
	at     parse.Pos
}

// failure is what went wrong at a place.
type failure struct {
	place
	path   string // of what is missing
	detail string
}

func (f *failure) Error() string { return f.detail }

func (p place) missing(path string) error { return &failure{p, path, path + " is missing"} }

// failure is err as what went wrong here; nil for none.
func (p place) failure(err error) error {
	if err == nil {
		return nil
	}
	return &failure{p, "", err.Error()}
}
