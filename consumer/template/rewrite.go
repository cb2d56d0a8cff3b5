package template

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/template/parse"
)

// rewriter changes a parsed tree so that what Go's templates leave to luck is
// decided:
//
//   - Each read of data becomes a call that fails, naming the path, where the
//     data is missing or null.
//   - What is written out must be a text, a number or a bool.
//   - The number 0 counts as false, as it would if it were not kept as text.
//   - In JSON each value is quoted by where it stands.
//   - Each turn of a loop, and each inclusion, writes at least an empty text,
//     so that the writer can stop a template that writes nothing.
//
// It does so by functions whose names begin with an underscore. Authors cannot
// call them: to them they are unknown.
type rewriter struct {
	*treeSet
	tree   *parse.Tree
	source *source
	json   jsonState
	loops  []jsonState // the states in which the loops around began
}

// rewriteTree changes one tree, which was parsed from a source.
func (s *treeSet) rewriteTree(tree *parse.Tree, from *source) {
	r := &rewriter{treeSet: s, tree: tree, source: from}
	r.list(tree.Root, "")
	if r.json.inString {
		r.fail(parse.Pos(len(from.text)), "ends within a JSON string: close it")
	}
	tree.Root.Nodes = ticking(tree.Root.Nodes)
}

// access numbers a read of data.
func (r *rewriter) access(one access) *parse.NumberNode {
	one.source = r.source
	n := len(r.accesses.list)
	r.accesses.list = append(r.accesses.list, &one)
	return &parse.NumberNode{NodeType: parse.NodeNumber, Pos: one.at, IsInt: true, Int64: int64(n), Text: strconv.Itoa(n)}
}

func (r *rewriter) fail(at parse.Pos, detail string) { r.treeSet.fail(r.source, at, detail) }

// ticking makes nodes write something before all else.
func ticking(nodes []parse.Node) []parse.Node {
	tick := &parse.TextNode{NodeType: parse.NodeText, Text: []byte{}}
	return append([]parse.Node{tick}, nodes...)
}

// list rewrites nodes that run with dot at that path; "?" is an unknown one.
func (r *rewriter) list(l *parse.ListNode, dot string) {
	if l == nil {
		return
	}
	for _, node := range l.Nodes {
		r.node(node, dot)
	}
}

func (r *rewriter) node(node parse.Node, dot string) {
	switch n := node.(type) {
	case *parse.TextNode:
		if r.syntax == jsonText {
			r.jsonText(n)
		}
	case *parse.ActionNode:
		r.action(n, dot)
	case *parse.IfNode:
		r.pipe(n.Pipe, dot)
		n.Pipe.Cmds = append(n.Pipe.Cmds, call(n.Pos, "_falsy"))
		r.branches(&n.BranchNode, dot, dot)
	case *parse.WithNode:
		inner := r.pathOf(n.Pipe, dot)
		r.pipe(n.Pipe, dot)
		n.Pipe.Cmds = append(n.Pipe.Cmds, call(n.Pos, "_falsy"))
		r.branches(&n.BranchNode, inner, dot)
	case *parse.RangeNode:
		r.loop(n, dot)
	case *parse.TemplateNode:
		r.inclusion(n, dot)
	case *parse.BreakNode, *parse.ContinueNode:
		r.leaveLoop(n.Position())
	}
}

// jsonText follows a text of a JSON part. A string that goes on in the next line
// is where its quote was forgotten.
func (r *rewriter) jsonText(n *parse.TextNode) {
	for i, c := range n.Text {
		if c == '\n' && r.json.inString {
			r.fail(n.Pos+parse.Pos(i),
				"a JSON string goes on at the end of the line: close it with \", and write line ends within as \\n")
			r.json = jsonState{}
		}
		r.json = r.json.after(c)
	}
}

// action rewrites {{…}} that writes something or declares a variable.
func (r *rewriter) action(n *parse.ActionNode, dot string) {
	if r.json.escaping {
		r.fail(n.Pos, "a value stands right after a backslash: remove the backslash")
	}
	cmds := n.Pipe.Cmds
	last := cmds[len(cmds)-1]
	name := called(last)
	read := len(cmds) == 1 && len(last.Args) == 1 && isRead(last.Args[0])
	r.pipe(n.Pipe, dot)
	switch {
	case len(n.Pipe.Decl) > 0:
	case r.syntax == jsonText && r.json.inString:
		n.Pipe.Cmds = append(n.Pipe.Cmds, call(n.Pos, "_quoted"))
	case r.syntax == jsonText && name == "json":
	case r.syntax == jsonText:
		n.Pipe.Cmds = append(n.Pipe.Cmds, call(n.Pos, "_json"))
	case read:
		r.accesses.list[len(r.accesses.list)-1].written = true
	case slices.Contains([]string{"", "default", "index", "and", "or"}, name):
		n.Pipe.Cmds = append(n.Pipe.Cmds, call(n.Pos, "_scalar"))
	}
}

func (r *rewriter) loop(n *parse.RangeNode, dot string) {
	inner, shown := r.pathOf(n.Pipe, dot), n.Pipe.String()
	if inner != "?" {
		inner, shown = inner+"[]", inner
	}
	number := r.access(access{shown: shown, at: n.Pos})
	r.pipe(n.Pipe, dot)
	n.Pipe.Cmds = append(n.Pipe.Cmds, call(n.Pos, "_iterable", number))
	start := r.json
	r.loops = append(r.loops, start)
	r.branches(&n.BranchNode, inner, dot)
	r.loops = r.loops[:len(r.loops)-1]
	if r.json != start {
		r.fail(n.Pos, "the loop's body opens a JSON string without closing it, or the other way round")
		r.json = start
	}
	n.List.Nodes = ticking(n.List.Nodes)
}

// branches rewrites both lists and checks that they agree on being in a string.
func (r *rewriter) branches(n *parse.BranchNode, dot, elseDot string) {
	start := r.json
	r.list(n.List, dot)
	end := r.json
	r.json = start
	r.list(n.ElseList, elseDot)
	if r.json != end {
		r.fail(n.Pos, "one branch ends within a JSON string and the other does not: close it in both, or in neither")
		r.json = end
	}
}

func (r *rewriter) leaveLoop(at parse.Pos) {
	if n := len(r.loops); n > 0 && r.json != r.loops[n-1] {
		r.fail(at, "leaves the loop's body within a JSON string")
	}
}

func (r *rewriter) inclusion(n *parse.TemplateNode, dot string) {
	if r.json.inString {
		r.fail(n.Pos, "includes "+strconv.Quote(n.Name)+" within a JSON string: include it outside of strings")
	}
	isIt := func(other *parse.TemplateNode) bool { return other.Name == n.Name }
	if !slices.ContainsFunc(r.includes[r.tree.Name], isIt) {
		r.includes[r.tree.Name] = append(r.includes[r.tree.Name], n)
	}
	if n.Pipe != nil {
		r.pipe(n.Pipe, dot)
	}
}

func (r *rewriter) pipe(p *parse.PipeNode, dot string) {
	for i, cmd := range p.Cmds {
		lenient := i+1 < len(p.Cmds) && takesMissing(called(p.Cmds[i+1]))
		r.command(cmd, dot, lenient, i == 0)
	}
}

func (r *rewriter) command(c *parse.CommandNode, dot string, lenient, first bool) {
	if name := called(c); name != "" {
		r.call(c, name, dot, !first)
		return
	}
	if len(c.Args) > 1 || !first {
		r.fail(c.Pos, fmt.Sprintf("%s is no function, so it takes no arguments", c.Args[0]))
		return
	}
	if nested, ok := c.Args[0].(*parse.PipeNode); ok {
		r.pipe(nested, dot)
	} else if isRead(c.Args[0]) {
		c.Args = r.read(c.Args[0], dot, lenient)
	}
}

// call checks and rewrites the arguments of a function. What is piped comes
// after those that are written.
func (r *rewriter) call(c *parse.CommandNode, name, dot string, piped bool) {
	shown := c.String()
	r.called[name] = true
	if _, known := r.functions[name]; !known {
		r.fail(c.Pos, r.unknownFunction(name))
	} else if wrong := r.checkCall(name, constants(c.Args[1:], piped)); wrong != "" {
		r.fail(c.Pos, wrong)
	}
	for i, arg := range c.Args[1:] {
		c.Args[i+1] = r.argument(arg, dot, takesMissing(name))
		if decides := name == "and" || name == "or"; decides && i+2 < len(c.Args) {
			c.Args[i+1] = nest(arg.Position(), identifier("_falsy", arg.Position()), c.Args[i+1])
		}
	}
	if name == "index" {
		number := r.access(access{shown: shown, at: c.Pos})
		c.Args = append([]parse.Node{identifier("_index", c.Pos), number}, c.Args[1:]...)
	}
}

func (r *rewriter) argument(arg parse.Node, dot string, lenient bool) parse.Node {
	switch n := arg.(type) {
	case *parse.PipeNode:
		r.pipe(n, dot)
	case *parse.IdentifierNode:
		call := nest(n.Pos, n)
		r.pipe(call, dot)
		return call
	case *parse.NilNode:
		r.fail(n.Pos, "nil is of no use here: ask with has")
	default:
		if isRead(arg) {
			return nest(arg.Position(), r.read(arg, dot, lenient)...)
		}
	}
	return arg
}

// read returns the call that reads what the node reads.
func (r *rewriter) read(node parse.Node, dot string, lenient bool) []parse.Node {
	one := access{shown: r.shown(node, dot), lenient: lenient, at: node.Position()}
	from := node
	switch n := node.(type) {
	case *parse.FieldNode:
		from, one.path = &parse.DotNode{NodeType: parse.NodeDot, Pos: n.Pos}, n.Ident
	case *parse.VariableNode:
		from = &parse.VariableNode{NodeType: parse.NodeVariable, Pos: n.Pos, Ident: n.Ident[:1]}
		one.path = n.Ident[1:]
	case *parse.ChainNode:
		from, one.path = r.argument(n.Node, dot, false), n.Field
	}
	return []parse.Node{identifier("_read", one.at), from, r.access(one)}
}

// shown is how errors name what the node reads: the path from the event on,
// as far as that is known.
func (r *rewriter) shown(node parse.Node, dot string) string {
	source := node.String()
	switch n := node.(type) {
	case *parse.VariableNode:
		if n.Ident[0] == "$" && len(n.Ident) > 1 {
			return strings.TrimPrefix(source, "$.")
		}
	case *parse.FieldNode:
		switch dot {
		case "?":
		case "":
			return source[1:]
		default:
			return dot + source
		}
	case *parse.DotNode:
		if dot != "?" && dot != "" {
			return dot
		}
	}
	return source
}

// pathOf is the path of what a pipeline reads, "?" when it does more.
func (r *rewriter) pathOf(p *parse.PipeNode, dot string) string {
	if len(p.Cmds) == 1 && len(p.Cmds[0].Args) == 1 && isRead(p.Cmds[0].Args[0]) {
		return r.shown(p.Cmds[0].Args[0], dot)
	}
	return "?"
}

// isRead reports whether a node reads data.
func isRead(n parse.Node) bool {
	switch n.Type() {
	case parse.NodeField, parse.NodeVariable, parse.NodeChain, parse.NodeDot:
		return true
	}
	return false
}

// called returns the function that a command calls; empty for none.
func called(c *parse.CommandNode) string {
	if id, ok := c.Args[0].(*parse.IdentifierNode); ok {
		return id.Ident
	}
	return ""
}

// takesMissing reports whether arguments of a function may be missing.
func takesMissing(function string) bool { return function == "default" || function == "has" }

func identifier(name string, at parse.Pos) *parse.IdentifierNode {
	return parse.NewIdentifier(name).SetPos(at)
}

func command(at parse.Pos, words ...parse.Node) *parse.CommandNode {
	return &parse.CommandNode{NodeType: parse.NodeCommand, Pos: at, Args: words}
}

func call(at parse.Pos, name string, args ...parse.Node) *parse.CommandNode {
	return command(at, append([]parse.Node{identifier(name, at)}, args...)...)
}

// nest makes a command that stands as an argument.
func nest(at parse.Pos, words ...parse.Node) *parse.PipeNode {
	return &parse.PipeNode{NodeType: parse.NodePipe, Pos: at, Cmds: []*parse.CommandNode{command(at, words...)}}
}

// jsonState follows through the text of a JSON part whether a value stands
// within a string or outside of one, which decides how it is escaped.
type jsonState struct {
	inString bool
	escaping bool // the last character was a backslash within a string
}

func (s jsonState) after(c byte) jsonState {
	switch {
	case s.escaping:
		s.escaping = false
	case s.inString && c == '\\':
		s.escaping = true
	case c == '"':
		s.inString = !s.inString
	}
	return s
}
