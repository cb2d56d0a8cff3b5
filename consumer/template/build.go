package template

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/template/parse"
)

// A parsed tree is built into steps, which do what Go's templates would, but
// decide what those leave to luck:
//
//   - What is missing or null is an error that names the path, except where a
//     function asks for it.
//   - What is written out must be a text, a number or a bool.
//   - The number 0 counts as false, though it is kept as text.
//   - In JSON each value is quoted by where it stands.
//
// Steps have no effects but on the rendering that they are of.
type step func(r *rendering) jump

// jump is where a step leads to.
type jump int

const (
	next jump = iota
	breaks
	continues
)

type expression func(r *rendering) value

// block is what a template includes by name.
type block struct {
	dot   int // the slot of its dot
	steps []step
}

// builder builds one tree. Its variables and dots are in slots of the part: no
// tree leads back to itself, so none is at work twice at a time.
type builder struct {
	*treeSet
	source    *source
	name      string // of the tree
	within    state
	loops     []state // the states in which the loops around began
	depth     int     // of blocks around
	nested    int     // parentheses that are around
	dot       scope
	variables []variable
}

const (
	// mostVariables bounds what is in scope at once: each read looks for its variable.
	mostVariables = 256
	// mostBlocks bounds how deep if, with and range stand within each other, and how
	// long a chain of inclusions is.
	mostBlocks = 64
	// mostLoops bounds how deep range stands within range in HTML: html/template goes
	// through a body twice, through one within four times, and so on.
	mostLoops = 8
	// mostNested bounds the parentheses within each other and the functions in one pipe.
	mostNested = 32
	// mostShown is how many bytes errors show of a path or a call.
	mostShown = 200
)

// clipped is what errors show of a text, without the rest of it in memory.
func clipped(s string) string {
	if len(s) <= mostShown {
		return s
	}
	return strings.ToValidUTF8(s[:mostShown], "") + "…"
}

// scope is where dot is, and how errors name it: by the path from the event on,
// which is "." itself; empty when that is not known.
type scope struct {
	slot int
	path string
}

type variable struct {
	name string
	slot int
}

func (s *treeSet) newSlot() int {
	s.slots++
	return s.slots - 1
}

// block returns the block of a name, which may still be empty.
func (s *treeSet) block(name string) *block {
	if s.blocks[name] == nil {
		s.blocks[name] = &block{dot: s.newSlot()}
	}
	return s.blocks[name]
}

// build makes the block of a tree, which was parsed from a source.
func (s *treeSet) build(name string, root *parse.ListNode, from *source) {
	made := s.block(name)
	b := &builder{treeSet: s, source: from, name: name, dot: scope{made.dot, "."}, variables: []variable{{"$", made.dot}}}
	made.steps = b.list(root)
	if b.within != outside {
		b.fail(parse.Pos(len(from.text)), "ends within a "+b.unit()+": close it")
	}
}

func (b *builder) fail(at parse.Pos, detail string) { b.treeSet.fail(b.source, at, detail) }

// unit is what its state is about.
func (b *builder) unit() string {
	if b.syntax == html {
		return "conditional comment"
	}
	return "JSON string"
}

func (b *builder) place(at parse.Pos, shown string) *place {
	return &place{b.source, at, clipped(shown)}
}

func (b *builder) list(l *parse.ListNode) (steps []step) {
	if l == nil {
		return nil
	}
	for _, node := range l.Nodes {
		if s := b.node(node); s != nil {
			steps = append(steps, s)
		}
	}
	return steps
}

func (b *builder) node(node parse.Node) step {
	switch n := node.(type) {
	case *parse.TextNode:
		return b.text(n)
	case *parse.ActionNode:
		return b.action(n)
	case *parse.IfNode:
		return b.branch(&n.BranchNode, b.dot)
	case *parse.WithNode:
		return b.branch(&n.BranchNode, scope{b.newSlot(), b.pathOf(n.Pipe)})
	case *parse.RangeNode:
		return b.loop(n)
	case *parse.TemplateNode:
		return b.inclusion(n)
	case *parse.BreakNode:
		return b.leaveLoop(n.Pos, breaks)
	case *parse.ContinueNode:
		return b.leaveLoop(n.Pos, continues)
	}
	return nil
}

// text follows a text of a JSON part. A string that goes on in the next line is
// where its quote was forgotten.
func (b *builder) text(n *parse.TextNode) step {
	switch {
	case b.escaped:
		return b.marked(n)
	case b.syntax == html:
		b.sign(n)
	}
	for i, c := range n.Text {
		if b.syntax != jsonText {
			break
		}
		if c == '\n' && b.within != outside {
			b.fail(n.Pos+parse.Pos(i),
				"a JSON string goes on at the end of the line: close it with \", and write line ends within as \\n")
			b.within = outside
		}
		b.within = b.within.after(c)
	}
	text := string(n.Text)
	return func(r *rendering) jump { return r.write(text) }
}

// action builds {{…}} that writes something or declares a variable.
func (b *builder) action(n *parse.ActionNode) step {
	if b.within == escaping {
		b.fail(n.Pos, "a value stands right after a backslash: remove the backslash")
	}
	escape, ready := b.escaper(n.Pipe), b.inLines && escapes(n.Pipe)
	eval, declares, at := b.pipe(n.Pipe), len(n.Pipe.Decl) > 0, b.place(n.Pos, "")
	return func(r *rendering) jump {
		v := eval(r)
		if declares {
			return next
		}
		r.at = at
		r.tick(len(v.text))
		text := escape(v)
		if b.inLines {
			text = inLine(r.out, text, ready)
		}
		return r.write(text)
	}
}

// escaper is how the value of a pipeline is written where it stands. Of HTML that
// is what html/template has added to the pipeline.
func (b *builder) escaper(p *parse.PipeNode) func(v value) string {
	var names []string
	for _, c := range p.Cmds {
		if len(names) > 0 || b.escaped && strings.HasPrefix(called(c), added) {
			names = append(names, called(c))
		}
	}
	p.Cmds = p.Cmds[:len(p.Cmds)-len(names)]
	switch {
	case b.within != outside && b.syntax == jsonText:
		return quoted
	case b.syntax == jsonText && called(p.Cmds[len(p.Cmds)-1]) != "json":
		return toJSON
	}
	wrong := misuse("the value is not a text or a number")
	if path := b.pathOf(p); path != "" {
		wrong = misuse(path + " is not a text or a number: name one of its fields")
	}
	escape := htmlEscaper(names)
	unescaped := b.escaped && len(names) == 0 // what html/template knows to be out of reach
	return func(v value) string {
		refuse(unescaped, "the value is not escaped")
		refuse(v.kind == missing, "there is no value to write")
		refuse(!v.isScalar(), wrong)
		return escape(v)
	}
}

// branch builds if and with, of which the latter has another dot.
func (b *builder) branch(n *parse.BranchNode, inner scope) step {
	defer b.forget(len(b.variables))
	eval := b.pipe(n.Pipe)
	then, otherwise := b.branches(n, inner)
	isWith := inner.slot != b.dot.slot
	return func(r *rendering) jump {
		v := eval(r)
		r.tick(len(v.text))
		if !v.truth() {
			return r.do(otherwise)
		}
		if isWith {
			r.slots[inner.slot] = v
		}
		return r.do(then)
	}
}

// forget forgets the variables that were declared since there were only n.
func (b *builder) forget(n int) { b.variables = b.variables[:n] }

// branches builds both lists and checks that they agree on being in a string.
func (b *builder) branches(n *parse.BranchNode, inner scope) (then, otherwise []step) {
	if b.depth == mostBlocks {
		b.fail(n.Pos, fmt.Sprintf("if, with and range stand within each other deeper than %d: use partials, or and",
			mostBlocks))
		return nil, nil
	}
	start, outer, declared := b.within, b.dot, len(b.variables)
	b.dot = inner
	b.depth++
	then = b.list(n.List)
	b.depth--
	b.dot = outer
	b.forget(declared)
	end := b.within
	b.within = start
	otherwise = b.list(n.ElseList)
	if b.within != end {
		b.fail(n.Pos, "one branch ends within a "+b.unit()+" and the other does not: close it in both, or in neither")
		b.within = end
	}
	return then, otherwise
}

func (b *builder) loop(n *parse.RangeNode) step {
	if b.syntax == html && len(b.loops) == mostLoops {
		b.fail(n.Pos, fmt.Sprintf("range stands within range deeper than %d, which HTML may not: send flatter lists",
			mostLoops))
		return nil
	}
	defer b.forget(len(b.variables))
	inner := scope{b.newSlot(), b.pathOf(n.Pipe)}
	noList := misuse(cmp.Or(inner.path, clipped(n.Pipe.String())) + " is not a list")
	if inner.path != "" {
		inner.path += "[]"
	}
	eval := b.pipe(n.Pipe)
	key, element := inner.slot, inner.slot
	if declared := n.Pipe.Decl; len(declared) > 0 {
		element = b.slotOf(declared[len(declared)-1])
		key = b.slotOf(declared[0])
	}
	start := b.within
	b.loops = append(b.loops, start)
	body, otherwise := b.branches(&n.BranchNode, inner)
	b.loops = b.loops[:len(b.loops)-1]
	if b.within != start {
		b.fail(n.Pos, "the loop's body opens a "+b.unit()+" without closing it, or the other way round")
		b.within = start
	}
	at := b.place(n.Pos, "")
	return func(r *rendering) jump {
		v := eval(r)
		r.at = at
		var of []member
		turns, _ := toInt(v, 0, math.MaxInt)
		if v.kind == list || v.kind == object {
			of = v.node.all()
			turns = len(of)
		} else {
			refuse(v.kind != whole, noList)
			refuse(len(n.Pipe.Decl) > 1, errMisfit)
		}
		if turns <= 0 {
			return r.do(otherwise)
		}
		for i := range turns {
			r.at = nil
			r.tick(0)
			now := ofInt(i)
			if v.kind == object {
				now = ofString(of[i].key)
			}
			r.slots[key] = now
			if of != nil {
				now = of[i].value
			}
			r.slots[inner.slot], r.slots[element] = now, now
			if r.do(body) == breaks {
				break
			}
		}
		return next
	}
}

func (b *builder) leaveLoop(at parse.Pos, to jump) step {
	if n := len(b.loops); n > 0 && b.within != b.loops[n-1] {
		b.fail(at, "leaves the loop's body within a "+b.unit())
	}
	return func(*rendering) jump { return to }
}

func (b *builder) inclusion(n *parse.TemplateNode) step {
	if b.within != outside && b.syntax == jsonText {
		b.fail(n.Pos, "includes "+strconv.Quote(n.Name)+" within a JSON string: include it outside of strings")
	}
	isIt := func(other *parse.TemplateNode) bool { return other.Name == n.Name }
	if !slices.ContainsFunc(b.includes[b.name], isIt) {
		b.includes[b.name] = append(b.includes[b.name], n)
	}
	dot := func(*rendering) value { return value{} }
	if n.Pipe != nil {
		dot = b.pipe(n.Pipe)
	}
	included := b.block(n.Name)
	return func(r *rendering) jump {
		r.slots[included.dot] = dot(r)
		r.at = nil
		r.tick(0)
		return r.do(included.steps)
	}
}

func (b *builder) pipe(p *parse.PipeNode) (eval expression) {
	if !b.escaped && b.nested+len(p.Cmds) > mostNested {
		b.fail(p.Pos, fmt.Sprintf("a value goes through more than %d parentheses and functions: keep a part of it "+
			"in a variable, as in {{$part := …}}", mostNested))
		return func(*rendering) value { return value{} }
	}
	b.nested++
	defer func() { b.nested-- }()
	for i, cmd := range p.Cmds {
		lenient := i+1 < len(p.Cmds) && takesMissing(called(p.Cmds[i+1]))
		eval = b.command(cmd, eval, lenient)
	}
	for _, declared := range p.Decl {
		if !p.IsAssign {
			if len(b.variables) == mostVariables {
				b.fail(declared.Pos, "there are too many variables here: give an old one another value with =")
			}
			b.variables = append(b.variables, variable{declared.Ident[0], b.newSlot()})
		}
		slot, from := b.slotOf(declared), eval
		eval = func(r *rendering) value {
			r.slots[slot] = from(r)
			return r.slots[slot]
		}
	}
	return eval
}

// slotOf is where the last variable of a name is.
func (b *builder) slotOf(n *parse.VariableNode) int {
	for _, v := range slices.Backward(b.variables) {
		if v.name == n.Ident[0] {
			return v.slot
		}
	}
	b.fail(n.Pos, fmt.Sprintf("undefined variable %q", n.Ident[0])) // its declaration was in the other branch
	return 0
}

func (b *builder) command(c *parse.CommandNode, piped expression, lenient bool) expression {
	if name := called(c); name != "" {
		return b.call(c, name, piped)
	}
	if len(c.Args) > 1 || piped != nil {
		b.fail(c.Pos, fmt.Sprintf("%s is no function, so it takes no arguments", c.Args[0]))
	}
	return b.operand(c.Args[0], lenient)
}

// call builds the call of a function. What is piped comes after the arguments
// that are written.
func (b *builder) call(c *parse.CommandNode, name string, piped expression) expression {
	var args []expression
	var constants []value
	for _, arg := range c.Args[1:] {
		constants = append(constants, constant(arg))
		args = append(args, b.operand(arg, takesMissing(name)))
	}
	if piped != nil {
		constants = append(constants, value{})
		args = append(args, piped)
	}
	function, known := b.functions[name]
	if !known {
		b.fail(c.Pos, b.unknownFunction(name))
	} else if wrong := b.checkCall(name, constants); wrong != "" {
		b.fail(c.Pos, wrong)
	}
	if function.do == nil {
		return decide(args, name == "or")
	}
	at := b.place(c.Pos, c.String())
	return func(r *rendering) value {
		start := len(r.args)
		for _, arg := range args {
			v := arg(r) // which may need r.args itself
			r.args = append(r.args, v)
		}
		r.at = at
		bytes := 0
		for _, arg := range r.args[start:] {
			bytes += len(arg.text)
		}
		v := function.do(r.args[start:])
		r.args = r.args[:start]
		r.tick(bytes + len(v.text))
		return v
	}
}

// decide builds and and or: the first value that decides it, or else the last.
func decide(args []expression, is bool) expression {
	return func(r *rendering) (v value) {
		for _, arg := range args {
			if v = arg(r); v.truth() == is {
				break
			}
		}
		return v
	}
}

func (b *builder) operand(node parse.Node, lenient bool) expression {
	switch n := node.(type) {
	case *parse.PipeNode:
		return b.pipe(n)
	case *parse.IdentifierNode:
		return b.call(&parse.CommandNode{Pos: n.Pos, Args: []parse.Node{n}}, n.Ident, nil)
	case *parse.DotNode:
		return b.read(n, b.dot.slot, nil, lenient)
	case *parse.FieldNode:
		return b.read(n, b.dot.slot, n.Ident, lenient)
	case *parse.VariableNode:
		return b.read(n, b.slotOf(n), n.Ident[1:], lenient)
	case *parse.ChainNode:
		slot, from := b.newSlot(), b.operand(n.Node, false)
		read := b.read(n, slot, n.Field, lenient)
		return func(r *rendering) value {
			r.slots[slot] = from(r)
			return read(r)
		}
	}
	v := constant(node)
	if v.kind == missing {
		b.fail(node.Position(), node.String()+" is of no use here: ask with has")
	}
	return func(*rendering) value { return v }
}

// constant is a value that is written in the template itself.
func constant(node parse.Node) value {
	switch n := node.(type) {
	case *parse.StringNode:
		return ofString(n.Text)
	case *parse.BoolNode:
		return ofBool(n.True)
	case *parse.NumberNode:
		_, err := strconv.ParseInt(n.Text, 0, 64)
		switch {
		case n.IsComplex:
		case err == nil || n.Text[0] == '\'':
			return ofInt(int(n.Int64))
		case strings.ContainsAny(n.Text, ".eEpP"):
			return value{kind: fraction, text: strconv.FormatFloat(n.Float64, 'g', -1, 64)}
		}
	}
	return value{}
}

// read builds the read of a path from a slot on.
func (b *builder) read(node parse.Node, slot int, path []string, lenient bool) expression {
	at := b.place(node.Position(), b.shown(node))
	return func(r *rendering) value {
		v := r.slots[slot]
		for _, key := range path {
			v = v.member(key)
		}
		if v.kind == missing && !lenient {
			r.at = at
			panic(errMissing)
		}
		return v
	}
}

// shown is how errors name what the node reads: the path from the event on,
// as far as that is known. It is empty for what reads nothing.
func (b *builder) shown(node parse.Node) string {
	source := clipped(node.String())
	switch n := node.(type) {
	case *parse.VariableNode:
		if n.Ident[0] == "$" {
			return strings.TrimPrefix(source, "$.")
		}
		return source
	case *parse.FieldNode:
		return clipped(strings.TrimPrefix(b.dot.path+source, ".."))
	case *parse.DotNode:
		return cmp.Or(b.dot.path, source)
	case *parse.ChainNode:
		return source
	}
	return ""
}

// pathOf is the path of what a pipeline reads; empty when it does more.
func (b *builder) pathOf(p *parse.PipeNode) string {
	if len(p.Cmds) > 1 || len(p.Cmds[0].Args) > 1 {
		return ""
	}
	return b.shown(p.Cmds[0].Args[0])
}

// called returns the function that a command calls; empty for none.
func called(c *parse.CommandNode) string {
	if id, ok := c.Args[0].(*parse.IdentifierNode); ok {
		return id.Ident
	}
	return ""
}

// state follows through the text of a JSON part whether a value stands
// within a string or outside of one, which decides how it is escaped. In an HTML
// part it is about conditional comments.
type state int

const (
	outside state = iota
	inside
	escaping // right after a backslash within a string
)

func (s state) after(c byte) state {
	switch {
	case s == escaping:
		return inside
	case s == inside && c == '\\':
		return escaping
	case c == '"':
		return inside - s
	}
	return s
}
