package template

import (
	"errors"
	htmltemplate "html/template"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"text/template"
	"text/template/parse"
)

// added is what the names of the functions begin with that html/template puts
// behind the values in a tree, to escape each by where it stands.
const added = "_html_template_"

// escapeHTML lets html/template escape the trees of a part, and builds what comes
// of that.
func (s *treeSet) escapeHTML(part string) {
	t := htmltemplate.New(part)
	for name, tree := range s.trees {
		// A text, if only an empty one, stands before what could be executed here.
		tree.Root.Nodes = slices.Insert(tree.Root.Nodes, 0, parse.Node(&parse.TextNode{NodeType: parse.NodeText}))
		htmltemplate.Must(t.AddParseTree(name, tree))
	}
	t = t.Lookup(part)
	// The package escapes a template when it is first executed.
	_, refusing := io.Pipe()
	_ = refusing.Close()
	if fault, ok := errors.AsType[*htmltemplate.Error](t.Execute(refusing, nil)); ok {
		if sign := quotedSign.FindStringSubmatch(fault.Description); sign != nil {
			i, _ := strconv.Atoi(sign[1])
			s.misplaced(&s.marks[i])
			return
		}
		s.faults = append(s.faults, s.escapingFault(fault, part))
		return
	}
	s.functions["_eval_args_"] = function{"VALUE", 1, 1, ofText(strings.Clone)} // put before an escaper of the author's
	s.blocks, s.includes, s.slots, s.escaped = make(map[string]*block), make(map[string][]*parse.TemplateNode), 0, true
	// It keeps to itself what it makes of a template that is included in an attribute or the like.
	all := (*template.Template)(reflect.ValueOf(t).Elem().FieldByName("text").UnsafePointer())
	s.buildEscaped(all, part)
}

// buildEscaped builds a tree and those that it includes: others were not escaped.
func (s *treeSet) buildEscaped(all *template.Template, name string) {
	written, _, _ := strings.Cut(name, "$htmltemplate") // which html/template adds to the name there
	s.build(name, all.Lookup(name).Root, s.sources[written])
	for _, inclusion := range s.includes[name] {
		if s.blocks[inclusion.Name].steps == nil {
			s.buildEscaped(all, inclusion.Name)
		}
	}
}

// plainly are the escapers that are most often there, done by hand: for a text
// that is as simple as most are. The others are called in the library.
var plainly = map[string]func(s string) (escaped string, ok bool){
	added + "htmlescaper":   escapeText,
	added + "attrescaper":   escapeText,
	added + "rcdataescaper": escapeText,
	added + "urlnormalizer": func(s string) (string, bool) { return s, isPlainURL(s, unreserved+"!#$&*+,/:;=?@[]") },
	added + "urlescaper":    func(s string) (string, bool) { return s, isPlainURL(s, unreserved) },
}

var htmlEscapes = strings.NewReplacer("\x00", "\uFFFD", `"`, "&#34;", "&", "&amp;", "'", "&#39;", "+", "&#43;",
	"<", "&lt;", ">", "&gt;")

func escapeText(s string) (string, bool) { return htmlEscapes.Replace(s), true }

const unreserved = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~"

func isPlainURL(s, plain string) bool { return strings.Trim(s, plain) == "" }

// htmlEscaper does what functions of html/template do, one after another, to a
// scalar. For the one before addresses it has another: what that would write
// "#ZgotmplZ" for is an error here, and telephone numbers are addresses too.
func htmlEscaper(names []string) func(v value) string {
	isAddress := len(names) > 0 && names[0] == added+"urlfilter"
	if isAddress {
		names = names[1:]
	}
	var escapes []func(s string) (string, bool)
	for _, name := range names {
		escapes = append(escapes, plainly[name])
	}
	library := sync.OnceValue(func() func(v value) string { return libraryEscaper(names) })
	return func(v value) string {
		if isAddress {
			checkAddress(v.text)
			v = ofString(v.text)
		}
		s, ok := v.text, true
		for _, escape := range escapes {
			if ok = ok && escape != nil; ok {
				s, ok = escape(s)
			}
		}
		if !ok {
			return library()(v)
		}
		return s
	}
}

// unsafe is what html/template writes instead of a value that is not safe in its
// place.
const unsafe = "ZgotmplZ"

// libraryEscaper calls functions of html/template as it does itself: from a
// template, whose tree is changed once it is escaped and thereby knows them.
func libraryEscaper(names []string) func(v value) string {
	t := htmltemplate.Must(htmltemplate.New("").Parse("{{.}}"))
	_ = t.Execute(io.Discard, nil)
	pipe := t.Tree.Root.Nodes[0].(*parse.ActionNode).Pipe
	pipe.Cmds = pipe.Cmds[:1]
	for _, name := range names {
		pipe.Cmds = append(pipe.Cmds, &parse.CommandNode{NodeType: parse.NodeCommand,
			Args: []parse.Node{parse.NewIdentifier(name)}})
	}
	return func(v value) string {
		var b strings.Builder
		refuse(t.Execute(&b, v.bare()) != nil, errMisfit)
		s := b.String()
		refuse(strings.Contains(s, unsafe) && !strings.Contains(v.text, unsafe), "a value stands in the HTML where it could "+
			"do harm: in a style, in an attribute's name or in a list of images")
		return s
	}
}

// escapingFault says where HTML and values do not fit together.
func (s *treeSet) escapingFault(err *htmltemplate.Error, part string) Fault {
	f := Fault{Part: part, Line: err.Line, Detail: escapingDetail(err)}
	if err.Node != nil {
		where, _ := s.trees[part].ErrorContext(err.Node) // name:line:column
		at := strings.Split(where, ":")
		f.Part = at[0]
		f.Line, _ = strconv.Atoi(at[1])
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
		return "the branches of this if, with or range end in different places of the HTML: close in each what it opens, " +
			"tags, attributes and quotes alike"
	case htmltemplate.ErrRangeLoopReentry:
		return "each turn of this range must end where it began in the HTML: close in it what it opens, tags, attributes " +
			"and quotes alike"
	case htmltemplate.ErrAmbigContext:
		return "it is not clear in which part of the URL a value stands: put the URL together without if, or write the " +
			"whole attribute in each branch"
	case htmltemplate.ErrOutputContext, htmltemplate.ErrNoSuchTemplate:
		return "includes a template that is empty, or does not end where it began in the HTML: close in it what it opens"
	case htmltemplate.ErrPartialCharset, htmltemplate.ErrPartialEscape, htmltemplate.ErrSlashAmbig:
		return "a value stands in a script where it cannot be made safe: put it into a variable of the script first"
	case htmltemplate.ErrBadHTML:
		return "the HTML is broken: " + err.Description +
			": put attributes' values into quotes, and a blank between attributes"
	}
	return err.Description
}
