package template

import (
	"cmp"
	htmltemplate "html/template"
)

// escapingFault says where HTML and values do not fit together.
func (s *treeSet) escapingFault(err *htmltemplate.Error, part string) *Fault {
	f := &Fault{Part: cmp.Or(sourceName(err.Name), part), Line: err.Line, Detail: escapingDetail(err)}
	if tree := s.trees[f.Part]; tree != nil {
		f.Part = tree.ParseName
	}
	if f.Line == 0 && err.Node != nil {
		f.Line = lineAt(s.sources[f.Part], err.Node.Position())
	}
	return f
}

// escapingDetail says what is wrong in the words of authors: the library's own
// are about its states, and may show the rewritten template.
func escapingDetail(err *htmltemplate.Error) string {
	switch err.ErrorCode {
	case htmltemplate.ErrEndContext:
		return "ends within a tag, an attribute, a comment, a script or a style: close it"
	case htmltemplate.ErrBranchEnd:
		return "the branches of this if, with or range end in different places of the HTML: close in each what it opens, tags, attributes and quotes alike"
	case htmltemplate.ErrRangeLoopReentry:
		return "each turn of this range must end where it began in the HTML: close in it what it opens, tags, attributes and quotes alike"
	case htmltemplate.ErrAmbigContext:
		return "it is not clear in which part of the URL a value stands: put the URL together without if, or write the whole attribute in each branch"
	case htmltemplate.ErrOutputContext, htmltemplate.ErrNoSuchTemplate:
		return "includes a template that is empty, or does not end where it began in the HTML: close in it what it opens"
	case htmltemplate.ErrPartialCharset, htmltemplate.ErrPartialEscape, htmltemplate.ErrSlashAmbig:
		return "a value stands in a script where it cannot be made safe: put it into a variable of the script first"
	case htmltemplate.ErrBadHTML:
		return "the HTML is broken: " + err.Description + ": put attributes' values into quotes, and a blank between attributes"
	}
	return err.Description
}
