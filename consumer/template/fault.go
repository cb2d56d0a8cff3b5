package template

import (
	"fmt"
	"strings"
	"text/template/parse"

	"github.com/meddela/meddela/consumer/template/condition"
	"github.com/meddela/meddela/topology"
)

// Error says why a message could not be rendered. It never holds the recipient's
// address or any other content of the event.
type Error struct {
	Reason   topology.Reason      `json:"reason"` // ReasonMissingData or ReasonRenderFailed
	Template topology.TemplateRef `json:"-"`
	Fault
	Path string `json:"path,omitempty"` // the missing path, such as "ctx.order.number"
}

func (e *Error) Error() string {
	separator := " "
	if e.Language+e.Part == "" {
		separator = ": "
	}
	return string(e.Template) + separator + e.Fault.Error()
}

// Fault is one thing that is wrong with a template record.
type Fault struct {
	Language string `json:"-"`      // empty for the record itself and for partials
	Part     string `json:"-"`      // a part or a partial, such as "email.txt"; empty for the record itself
	Line     int    `json:"-"`      // in the part or the partial; 0 when it is about the whole
	Detail   string `json:"detail"` // what is wrong, and what to do
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

func (f Faults) Error() string { return condition.Joined(f) }

// misuse is why a value that is there does not fit. Its text has nothing of the
// value.
type misuse string

// refuse ends a rendering, or the trial of a call, unless all is well.
func refuse(bad bool, why misuse) {
	if bad {
		panic(why)
	}
}

// place is where in a template something stands, and how errors show it.
type place struct {
	source *source
	at     parse.Pos
	shown  string
}

// errMissing is of what is not there: a path, or what a function looks for.
const errMissing = misuse("is missing")

// failure is the error of a part at a place, nil where that is not known. It has
// what was recovered.
func failure(part string, at *place, recovered any) *Error {
	why, ok := recovered.(misuse)
	if !ok {
		panic(recovered)
	}
	e := &Error{Reason: topology.ReasonRenderFailed, Fault: Fault{Part: part, Detail: string(why)}}
	if at != nil {
		e.Part, e.Line = at.source.name, at.source.line(at.at)
	}
	if why == errMissing {
		e.Reason, e.Path, e.Detail = topology.ReasonMissingData, at.shown, at.shown+" is missing"
	}
	return e
}
