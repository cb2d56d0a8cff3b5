package template

import (
	"slices"
	"strconv"
	"strings"
	"text/template/parse"
)

// treeSet is one part and everything that it includes, parsed and rewritten.
type treeSet struct {
	syntax   syntax
	partials map[string]string
	sources  map[string]string // of the files added, by name
	trees    map[string]*parse.Tree
	accesses *accesses
	localized
	called map[string]bool // functions
	faults []Fault
}

func newTreeSet(language, part, source string, partials map[string]string) *treeSet {
	s := &treeSet{
		syntax:    syntaxOf(part),
		localized: newLocalized(language, part),
		called:    make(map[string]bool),
		partials:  partials,
		sources:   make(map[string]string),
		trees:     make(map[string]*parse.Tree),
		accesses:  &accesses{},
	}
	s.add(part, source)
	if len(s.faults) == 0 {
		s.checkCycles(part, nil, map[string]bool{})
	}
	return s
}

func (s *treeSet) fail(part string, line int, detail string) {
	s.faults = append(s.faults, Fault{Part: part, Line: line, Detail: detail})
}

// add parses a source, and then each partial that it includes.
func (s *treeSet) add(name, source string) {
	parsed, err := parse.Parse(name, source, "", "", ownNames, otherNames)
	if err != nil {
		s.faults = append(s.faults, parseFault(name, source, err))
		return
	}
	s.sources[name] = source
	for _, tree := range sortedTrees(parsed) {
		if _, taken := s.trees[tree.Name]; taken {
			s.fail(name, lineAt(source, tree.Root.Pos), "defines "+strconv.Quote(tree.Name)+", which another file defines or is: rename it")
			continue
		}
		s.trees[tree.Name] = tree
		s.faults = append(s.faults, rewriteTree(tree, source, s)...)
	}
	for _, tree := range sortedTrees(parsed) {
		s.include(name, tree)
	}
}

// include adds the partials that a tree includes.
func (s *treeSet) include(file string, tree *parse.Tree) {
	for _, inclusion := range inclusions(tree) {
		name := inclusion.Name
		if _, have := s.trees[name]; have {
			continue
		}
		source, ok := s.partials[name]
		switch {
		case !ok:
			s.fail(file, inclusion.Line, "includes "+strconv.Quote(name)+", which is neither a partial nor defined in this file: add it to the partials, or correct the name")
		case syntaxOf(name) != s.syntax:
			s.fail(file, inclusion.Line, "includes "+strconv.Quote(name)+", whose kind is another: text includes .txt, HTML .html, JSON .json")
		default:
			s.add(name, source)
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

// failCycle tells of inclusions that lead from the first back to it.
func (s *treeSet) failCycle(path []string) {
	tree := s.trees[path[0]]
	line := 0
	for _, inclusion := range inclusions(tree) {
		if inclusion.Name == path[1] {
			line = inclusion.Line
		}
	}
	s.fail(tree.ParseName, line, "includes itself: "+strings.Join(path, " includes ")+": leave out one of these")
}

// Includes lists the partials that a source includes, each once, sorted. It
// is empty for a source that cannot be parsed.
func Includes(source string) []string {
	parsed, err := parse.Parse("", source, "", "", ownNames, otherNames)
	if err != nil {
		return nil
	}
	var names []string
	for _, tree := range sortedTrees(parsed) {
		for _, inclusion := range inclusions(tree) {
			if _, own := parsed[inclusion.Name]; !own {
				names = append(names, inclusion.Name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func sortedTrees(trees map[string]*parse.Tree) []*parse.Tree {
	var sorted []*parse.Tree
	for _, t := range trees {
		if t.Root != nil {
			sorted = append(sorted, t)
		}
	}
	slices.SortFunc(sorted, func(a, b *parse.Tree) int { return strings.Compare(a.Name, b.Name) })
	return sorted
}

// inclusions lists where a tree includes templates, each where it is first, in
// order.
func inclusions(tree *parse.Tree) []*parse.TemplateNode {
	var found []*parse.TemplateNode
	seen := make(map[string]bool)
	var visit func(l *parse.ListNode)
	visit = func(l *parse.ListNode) {
		if l == nil {
			return
		}
		for _, node := range l.Nodes {
			switch n := node.(type) {
			case *parse.TemplateNode:
				if !seen[n.Name] {
					seen[n.Name] = true
					found = append(found, n)
				}
			case *parse.IfNode:
				visit(n.List)
				visit(n.ElseList)
			case *parse.WithNode:
				visit(n.List)
				visit(n.ElseList)
			case *parse.RangeNode:
				visit(n.List)
				visit(n.ElseList)
			}
		}
	}
	visit(tree.Root)
	return found
}
