package template

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/meddela/meddela/topology"
)

// Error says why a message could not be rendered. It names places in the
// template and paths in the event, and never holds the recipient's address or
// any other content of the event.
type Error struct {
	// Reason is ReasonMissingData or ReasonRenderFailed.
	Reason   topology.Reason
	Template topology.TemplateRef
	Language string
	Part     string // such as "email.txt"
	Line     int    // in the part or the partial; 0 when unknown
	Path     string // the missing path, such as "ctx.order.number"
	Detail   string
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(string(e.Template))
	if e.Language != "" {
		b.WriteString(" " + e.Language)
	}
	if e.Part != "" {
		b.WriteString("/" + e.Part)
	}
	if e.Line > 0 {
		b.WriteString(":" + strconv.Itoa(e.Line))
	}
	return b.String() + ": " + e.Detail
}

// Fault is one thing that is wrong with a template record.
type Fault struct {
	Language string // empty for the record itself and for partials
	Part     string // a part or a partial; empty for the record itself
	Line     int    // 0 when it is about the whole
	Detail   string // what is wrong, and what to do
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

// misuse is the error of a value that is there but does not fit. Its text
// has nothing of the value.
type misuse string

func (m misuse) Error() string { return string(m) }
