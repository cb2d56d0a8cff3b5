package authoring

import (
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing that is wrong in a folder of templates.
type Fault struct {
	File   string // as a path in the folder
	Line   int    // 0 when it is about the whole file
	Detail string // what is wrong, and what to do
}

func (f Fault) Error() string {
	if f.Line == 0 {
		return f.File + ": " + f.Detail
	}
	return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Detail)
}

// Faults is everything that is wrong in a folder of templates, by file and line.
type Faults []Fault

func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.Error()
	}
	return strings.Join(lines, "\n")
}

func (f *Faults) add(file string, line int, detail string) {
	*f = append(*f, Fault{File: file, Line: line, Detail: detail})
}

// err is the faults as an error, in order and each once; nil when there are none.
func (f Faults) err() error {
	if len(f) == 0 {
		return nil
	}
	slices.SortStableFunc(f, func(a, b Fault) int {
		if order := strings.Compare(a.File, b.File); order != 0 {
			return order
		}
		return a.Line - b.Line
	})
	return slices.Compact(f)
}

func (f Faults) about(file string) bool {
	return slices.ContainsFunc(f, func(fault Fault) bool { return fault.File == file })
}
