// Package faults holds what is wrong with files that people write, so that all
// of it can be told at once, each with file and line and with what to do.
package faults

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing that is wrong in a file or a folder.
type Fault struct {
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"` // from 1; 0 when it is about the whole file
	Detail string `json:"detail"`         // what is wrong, and what to do
}

func (f Fault) Error() string {
	if f.Line == 0 {
		return f.File + ": " + f.Detail
	}
	return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Detail)
}

// List is everything that is wrong.
type List []Fault

func (l List) Error() string {
	lines := make([]string, len(l))
	for i, fault := range l {
		lines[i] = fault.Error()
	}
	return strings.Join(lines, "\n")
}

// Add notes a fault.
func (l *List) Add(file string, line int, detail string) {
	*l = append(*l, Fault{File: file, Line: line, Detail: detail})
}

// Sorted is the faults by file and line, each once; never nil, so that JSON has a list.
func (l List) Sorted() List {
	slices.SortStableFunc(l, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	return append(List{}, slices.Compact(l)...)
}

// Err is the sorted faults as an error; nil when there are none.
func (l List) Err() error {
	if len(l) == 0 {
		return nil
	}
	return l.Sorted()
}

// About reports whether a fault is about a file, or about a folder or what is in it.
func (l List) About(path string) bool {
	return slices.ContainsFunc(l, func(f Fault) bool { return f.File == path || strings.HasPrefix(f.File, path+"/") })
}
