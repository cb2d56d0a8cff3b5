package template

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template/parse"
)

// treeSet is one part and everything that it includes, parsed and built.
type treeSet struct {
	localized
	syntax    string
	inLines   bool // its lines are links and addresses
	functions map[string]function
	partials  map[string]string
	trees     map[string]*parse.Tree
	sources   map[string]*source               // of trees
	includes  map[string][]*parse.TemplateNode // of a tree, each template where it is first
	blocks    map[string]*block                // of trees
	slots     int                              // that the blocks need
	marks     []mark                           // in HTML
	escaped   bool                             // the trees are, by html/template
	faults    []Fault
}

func newTreeSet(language, part string, partials map[string]string) *treeSet {
	l := newLocalized(language, part)
	return &treeSet{
		localized: l,
		syntax:    syntaxOf(part),
		inLines:   part == EmailUnsubscribe || part == EmailAttachments,
		functions: l.functions(),
		partials:  partials,
		trees:     make(map[string]*parse.Tree),
		sources:   make(map[string]*source),
		includes:  make(map[string][]*parse.TemplateNode),
		blocks:    make(map[string]*block),
	}
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
	for _, tree := range s.parse(from) {
		for _, inclusion := range s.includes[tree] {
			s.include(from, inclusion)
		}
	}
}

// parse builds what a source defines, the source itself among it, and names it.
func (s *treeSet) parse(from *source) []string {
	parsed := make(map[string]*parse.Tree)
	main := parse.New(from.name)
	main.Mode = parse.SkipFuncCheck // the builder looks at them
	if _, err := main.Parse(from.text, "", "", parsed); err != nil {
		f := Fault{Part: from.name, Detail: "is not a template: " + err.Error()}
		if m := said.FindStringSubmatch(err.Error()); m != nil {
			f.Line, _ = strconv.Atoi(m[1])
			f.Detail = "is not a template: " + m[2]
		}
		s.faults = append(s.faults, f)
		return nil
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(parsed)) {
		tree := parsed[name]
		if _, taken := s.trees[name]; taken {
			s.fail(from, tree.Root.Pos, "defines "+strconv.Quote(name)+", which another file defines or is: rename it")
			continue
		}
		names = append(names, name)
		s.trees[name], s.sources[name] = tree, from
		s.build(name, tree.Root, from)
	}
	return names
}

// said takes the line off what the parser says, which tells it only there:
// "template: name:line: …" and "template: name:line:column: …".
var said = regexp.MustCompile(`(?s)^template: .*?:(\d+)(?::\d+)?: (.*)$`)

// include adds the partial that is included, unless it is there.
func (s *treeSet) include(from *source, inclusion *parse.TemplateNode) {
	name := inclusion.Name
	if _, have := s.trees[name]; have {
		return
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

// checkCycles makes sure that no inclusion leads back to itself; the fault is told
// where the first of them is. Nor may they lead too deep: depth has how far those
// do that are checked.
func (s *treeSet) checkCycles(name string, path []string, depth map[string]int) {
	if start := slices.Index(path, name); start >= 0 {
		cycle := append(path[start:], name)
		from := s.includes[name]
		at := slices.IndexFunc(from, func(n *parse.TemplateNode) bool { return n.Name == cycle[1] })
		s.fail(s.sources[name], from[at].Pos,
			"includes itself: "+strings.Join(cycle, " includes ")+": leave out one of these")
		return
	}
	deepest := 0
	for _, next := range s.includes[name] {
		if len(s.faults) == 0 && depth[next.Name] == 0 {
			s.checkCycles(next.Name, append(path, name), depth)
		}
		deepest = max(deepest, depth[next.Name])
	}
	if depth[name] = deepest + 1; deepest > mostBlocks && len(s.faults) == 0 {
		s.fail(s.sources[name], s.includes[name][0].Pos,
			fmt.Sprintf("includes what includes another, and so on deeper than %d: include fewer in each other", mostBlocks))
	}
}
