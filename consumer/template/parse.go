package template

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template/parse"
)

// treeSet is one part and everything that it includes, parsed and rewritten.
type treeSet struct {
	syntax   syntax
	partials map[string]string
	sources  map[string]*source // that were added, by name
	trees    map[string]*parse.Tree
	accesses *accesses
	localized
	called map[string]bool // functions
	faults []Fault
}

func newTreeSet(language, part, text string, partials map[string]string) *treeSet {
	s := &treeSet{
		syntax:    syntaxOf(part),
		localized: newLocalized(language, part),
		called:    make(map[string]bool),
		partials:  partials,
		sources:   make(map[string]*source),
		trees:     make(map[string]*parse.Tree),
		accesses:  &accesses{},
	}
	s.add(part, text)
	if len(s.faults) == 0 {
		s.checkCycles(part, nil, map[string]bool{})
	}
	return s
}

// source is a part or a partial as its author wrote it.
type source struct{ name, text string }

func (s *source) line(at parse.Pos) int {
	return 1 + strings.Count(s.text[:min(int(at), len(s.text))], "\n")
}

func (s *treeSet) fail(in *source, at parse.Pos, detail string) {
	s.faults = append(s.faults, Fault{Part: in.name, Line: in.line(at), Detail: detail})
}

// add parses a source, and then each partial that it includes.
func (s *treeSet) add(name, text string) {
	from := &source{name, text}
	parsed, err := parseSource(name, text)
	if err != nil {
		line, detail := cutPosition(err)
		s.faults = append(s.faults, Fault{Part: name, Line: line, Detail: "is not a template: " + detail})
		return
	}
	s.sources[name] = from
	for _, tree := range parsed {
		if _, taken := s.trees[tree.Name]; taken {
			s.fail(from, tree.Root.Pos,
				"defines "+strconv.Quote(tree.Name)+", which another file defines or is: rename it")
			continue
		}
		s.trees[tree.Name] = tree
		s.checkFunctions(tree, from)
		s.rewriteTree(tree, from)
	}
	for _, tree := range parsed {
		s.include(from, tree)
	}
}

// parseSource returns what a source defines, the source itself first or among
// it, by name. Which functions there are is checked later.
func parseSource(name, source string) ([]*parse.Tree, error) {
	trees := make(map[string]*parse.Tree)
	main := parse.New(name)
	main.Mode = parse.SkipFuncCheck
	if _, err := main.Parse(source, "", "", trees); err != nil {
		return nil, err
	}
	var sorted []*parse.Tree
	for _, t := range trees {
		if t.Root != nil {
			sorted = append(sorted, t)
		}
	}
	slices.SortFunc(sorted, func(a, b *parse.Tree) int { return strings.Compare(a.Name, b.Name) })
	return sorted, nil
}

var said = regexp.MustCompile(`(?s)^template: .*?:(\d+)(?::\d+)?: (.*)$`)

// cutPosition takes the line off what Go's template packages say, which they
// tell only there: "template: name:line: …" and "template: name:line:column: …".
func cutPosition(err error) (line int, rest string) {
	m := said.FindStringSubmatch(err.Error())
	if m == nil {
		return 0, err.Error()
	}
	line, _ = strconv.Atoi(m[1])
	return line, m[2]
}

// include adds the partials that a tree includes.
func (s *treeSet) include(from *source, tree *parse.Tree) {
	for _, inclusion := range inclusions(tree) {
		name := inclusion.Name
		if _, have := s.trees[name]; have {
			continue
		}
		text, ok := s.partials[name]
		switch quoted := strconv.Quote(name); {
		case !ok:
			s.fail(from, inclusion.Pos, "includes "+quoted+
				", which is neither a partial nor defined in this file: add it to the partials, or correct the name")
		case syntaxOf(name) != s.syntax:
			s.fail(from, inclusion.Pos, "includes "+quoted+
				", whose kind is another: text includes .txt, HTML .html, JSON .json")
		default:
			s.add(name, text)
		}
	}
}

// checkCycles makes sure that no inclusion leads back to itself. Those in
// cleared do not.
func (s *treeSet) checkCycles(name string, path []string, cleared map[string]bool) {
	if start := slices.Index(path, name); start >= 0 {
		s.failCycle(append(path[start:], name))
		return
	}
	for _, next := range inclusions(s.trees[name]) {
		if len(s.faults) == 0 && !cleared[next.Name] {
			s.checkCycles(next.Name, append(path, name), cleared)
		}
	}
	cleared[name] = true
}

// failCycle adds a fault for inclusions that lead from the first back to it.
func (s *treeSet) failCycle(path []string) {
	tree := s.trees[path[0]]
	all := inclusions(tree)
	at := slices.IndexFunc(all, func(n *parse.TemplateNode) bool { return n.Name == path[1] })
	s.fail(s.sources[tree.ParseName], all[at].Pos,
		"includes itself: "+strings.Join(path, " includes ")+": leave out one of these")
}

// Includes lists the partials that a source includes, each once, sorted. It
// is empty for a source that cannot be parsed.
func Includes(source string) []string {
	parsed, _ := parseSource("", source)
	var names []string
	for _, tree := range parsed {
		for _, inclusion := range inclusions(tree) {
			isIt := func(t *parse.Tree) bool { return t.Name == inclusion.Name }
			if !slices.ContainsFunc(parsed, isIt) {
				names = append(names, inclusion.Name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// inclusions lists where a tree includes templates, each where it is first, in
// order.
func inclusions(tree *parse.Tree) []*parse.TemplateNode {
	var found []*parse.TemplateNode
	walk(tree.Root, func(node parse.Node) {
		n, ok := node.(*parse.TemplateNode)
		if ok && !slices.ContainsFunc(found, func(f *parse.TemplateNode) bool { return f.Name == n.Name }) {
			found = append(found, n)
		}
	})
	return found
}

// walk visits a node and all that is in it, in order.
func walk(node parse.Node, visit func(parse.Node)) {
	visit(node)
	branches := func(b *parse.BranchNode) {
		walk(b.Pipe, visit)
		walk(b.List, visit)
		if b.ElseList != nil {
			walk(b.ElseList, visit)
		}
	}
	switch n := node.(type) {
	case *parse.ListNode:
		for _, child := range n.Nodes {
			walk(child, visit)
		}
	case *parse.IfNode:
		branches(&n.BranchNode)
	case *parse.WithNode:
		branches(&n.BranchNode)
	case *parse.RangeNode:
		branches(&n.BranchNode)
	case *parse.ActionNode:
		walk(n.Pipe, visit)
	case *parse.TemplateNode:
		if n.Pipe != nil {
			walk(n.Pipe, visit)
		}
	case *parse.PipeNode:
		for _, command := range n.Cmds {
			walk(command, visit)
		}
	case *parse.CommandNode:
		for _, argument := range n.Args {
			walk(argument, visit)
		}
	case *parse.ChainNode:
		walk(n.Node, visit)
	}
}
