package condition

import (
	"fmt"
	"strings"
)

// Fault is one thing that is wrong with a condition.
type Fault struct {
	Line, Column int    // in the condition, both from 1; 0 when it is about the whole
	Detail       string // what is wrong, and what to do
}

func (f Fault) Error() string {
	if f.Line == 0 {
		return f.Detail
	}
	return fmt.Sprintf("%d:%d: %s", f.Line, f.Column, f.Detail)
}

// Faults is everything that is wrong with a condition.
type Faults []Fault

func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.Error()
	}
	return strings.Join(lines, "; ")
}

// Error says why it cannot be told whether a condition holds for an event. It
// names places in the condition, and has nothing of the event's content.
type Error struct {
	Line, Column int    // in the condition, both from 1; 0 when it is about the whole
	Path         string // what is missing, such as ctx.order.total; empty when it is something else
	Detail       string // what failed, and what to do
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.Detail
	}
	return fmt.Sprintf("%d:%d: %s", e.Line, e.Column, e.Detail)
}
