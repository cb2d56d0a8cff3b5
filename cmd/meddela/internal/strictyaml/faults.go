package strictyaml

import (
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing that is wrong in a file.
type Fault struct {
	File   string
	Line   int    // from 1; 0 when it is about the whole file
	Detail string // what is wrong, and what to do
}

func (f Fault) Error() string {
	if f.Line == 0 {
		return f.File + ": " + f.Detail
	}
	return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Detail)
}

// Faults is everything that is wrong in a file, by line.
type Faults []Fault

func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.Error()
	}
	return strings.Join(lines, "\n")
}

// err is the faults in order, as an error; nil when there are none.
func (f Faults) err() error {
	if len(f) == 0 {
		return nil
	}
	slices.SortStableFunc(f, func(a, b Fault) int { return a.Line - b.Line })
	return slices.Compact(f)
}
