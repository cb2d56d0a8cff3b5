package condition

import (
	"regexp"
	"strconv"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// path is a variable and the keys and indexes that an expression follows from
// it on, such as ctx.order.lines[0].
type path struct {
	root  string
	steps []ref.Val // types.String or types.Int
}

// pathOf returns false for what is no path.
func pathOf(e ast.Expr) (path, bool) {
	switch e.Kind() {
	case ast.IdentKind:
		return path{root: e.AsIdent()}, true
	case ast.SelectKind:
		return extended(e.AsSelect().Operand(), types.String(e.AsSelect().FieldName()))
	case ast.CallKind:
		call := e.AsCall()
		if call.FunctionName() == operators.Index && call.Args()[1].Kind() == ast.LiteralKind {
			return extended(call.Args()[0], call.Args()[1].AsLiteral())
		}
	}
	return path{}, false
}

// extended is a path and one step more.
func extended(from ast.Expr, step ref.Val) (path, bool) {
	p, ok := pathOf(from)
	p.steps = append(p.steps, step)
	return p, ok
}

var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// String is the path as its author writes it.
func (p path) String() string {
	text := p.root
	for _, step := range p.steps {
		switch step := step.(type) {
		case types.String:
			if identifier.MatchString(string(step)) {
				text += "." + string(step)
			} else {
				text += "[" + strconv.Quote(string(step)) + "]"
			}
		case types.Int:
			text += "[" + strconv.FormatInt(int64(step), 10) + "]"
		default:
			text += "[…]"
		}
	}
	return text
}

// first is the path with its first n steps.
func (p path) first(n int) path { return path{p.root, p.steps[:n]} }

// question is the condition that asks whether there is what the path leads to.
func (p path) question() string {
	last := len(p.steps) - 1
	switch step := p.steps[last].(type) {
	case types.String:
		if !identifier.MatchString(string(step)) {
			return strconv.Quote(string(step)) + " in " + p.first(last).String()
		}
	case types.Int:
		return "size(" + p.first(last).String() + ") > " + strconv.FormatInt(int64(step), 10)
	}
	return "has(" + p.String() + ")"
}

// missing returns the part of the path that an event does not have; nothing when
// it has all of it, or the path does not lead into ctx.
func (p path) missing(facts *Facts) (path, bool) {
	if p.root != ctxName {
		return path{}, false
	}
	var at ref.Val = facts.root()
	for i, step := range p.steps {
		next, known := follow(at, step)
		switch {
		case !known:
			return path{}, false
		case next == nil:
			return p.first(i + 1), true
		}
		at = next
	}
	return path{}, false
}

// follow takes a step. The next value is nil when there is none; it is not known
// where the step cannot be taken at all.
func follow(at, step ref.Val) (next ref.Val, known bool) {
	switch at := at.(type) {
	case *object:
		if key, ok := step.(types.String); ok {
			value, why := at.member(key)
			return value, why == fits
		}
	case *list:
		all, why := at.whole()
		if i, ok := step.(types.Int); ok && why == fits {
			if i < 0 || i >= all.Size().(types.Int) {
				return nil, true
			}
			return all.Get(i), true
		}
	}
	return nil, false
}
