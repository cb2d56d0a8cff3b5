package authoring

import (
	"cmp"
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

// err is the faults as an error; nil when there are none.
func (f Faults) err() error {
	if len(f) == 0 {
		return nil
	}
	return f
}

// sorted is the faults in order and each once.
func (f Faults) sorted() Faults {
	slices.SortStableFunc(f, func(a, b Fault) int {
		return cmp.Or(strings.Compare(a.File, b.File), a.Line-b.Line)
	})
	return slices.Compact(f)
}

func (f Faults) about(file string) bool {
	return slices.ContainsFunc(f, func(fault Fault) bool { return fault.File == file })
}

// within tells whether a fault is about a folder or what is in it.
func (f Faults) within(folder string) bool {
	return slices.ContainsFunc(f, func(fault Fault) bool {
		return fault.File == folder || strings.HasPrefix(fault.File, folder+"/")
	})
}
