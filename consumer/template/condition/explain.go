package condition

import (
	"errors"
	"regexp"
	"strconv"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
)

const unknown = "it cannot be evaluated on this event"

// explain says why an evaluation failed. The library's own texts may have
// values of the event in them, so of its error only the position is used.
func (c *Condition) explain(err error, facts *Facts) Fault {
	if cancelled, ok := errors.AsType[interpreter.EvalCancelledError](err); ok {
		if cancelled.Cause == ended {
			return Fault{Detail: cancelled.Message}
		}
		return Fault{Detail: tooCostly}
	}
	f := Fault{Detail: unknown}
	failed, ok := errors.AsType[*types.Err](err)
	if !ok {
		return f
	}
	f.Line, f.Column = position(c.checked.SourceInfo().GetStartLocation(failed.NodeID()))
	isIt := func(e ast.NavigableExpr) bool { return e.ID() == failed.NodeID() }
	found := ast.MatchDescendants(ast.NavigateAST(c.checked), isIt)
	if len(found) == 0 {
		return f
	}
	p := pathOf(found[0])
	if len(p) < 2 || strings.HasPrefix(p.String(), "@") {
		f.Detail = failure(found[0])
	} else if gone := p.missing(facts); gone != nil {
		f.Path = gone.String()
		f.Detail = f.Path + " is missing: ask with " + gone.question()
	} else {
		f.Detail = p.String() + " is missing, or is read of what is no object: ask with " + p.question()
	}
	return f
}

// failure says what kind of thing failed.
func failure(e ast.Expr) string {
	if e.Kind() != ast.CallKind {
		return unknown
	}
	name := e.AsCall().FunctionName()
	switch name {
	case operators.Divide, operators.Modulo:
		return "divides by zero, or what is not a number"
	case operators.Index, operators.OptIndex:
		return "there is no such element"
	}
	if sign, ok := operators.FindReverse(name); ok && sign != "" {
		return sign + " was given values that do not fit, such as a text and a number"
	}
	return name + " was given a value that does not fit"
}

// path is the name of a variable, and the keys and indexes that an expression
// follows from it on, such as ctx.order.lines[0].
type path []ref.Val

// pathOf returns nil for what is no path.
func pathOf(e ast.Expr) path {
	var from path
	var step ref.Val
	switch e.Kind() {
	case ast.IdentKind:
		return path{types.String(e.AsIdent())}
	case ast.SelectKind:
		from, step = pathOf(e.AsSelect().Operand()), types.String(e.AsSelect().FieldName())
	case ast.CallKind:
		call := e.AsCall()
		if call.FunctionName() == operators.Index && call.Args()[1].Kind() == ast.LiteralKind {
			from, step = pathOf(call.Args()[0]), call.Args()[1].AsLiteral()
		}
	}
	if from == nil {
		return nil
	}
	return append(from, step)
}

var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// String is the path as its author writes it.
func (p path) String() string {
	text := string(p[0].(types.String))
	for _, step := range p[1:] {
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

// question is the condition that asks whether there is what the path leads to.
func (p path) question() string {
	last := len(p) - 1
	switch step := p[last].(type) {
	case types.String:
		if !identifier.MatchString(string(step)) {
			return strconv.Quote(string(step)) + " in " + p[:last].String()
		}
	case types.Int:
		return "size(" + p[:last].String() + ") > " + strconv.FormatInt(int64(step), 10)
	}
	return "has(" + p.String() + ")"
}

// missing returns the path up to what an event does not have; nil when it has all
// of it, or that is not known. Only what the evaluation has read is looked at.
func (p path) missing(facts *Facts) path {
	if p[0] != types.String(ctxName) {
		return nil
	}
	var at ref.Val = facts.root()
	for i, step := range p[1:] {
		known := false
		switch in := at.(type) {
		case *object:
			if key, ok := step.(types.String); ok && in.members != nil {
				at, _ = in.known(key)
				known = true
			}
		case *list:
			if _, ok := step.(types.Int); ok && in.decoded != nil {
				at, known = in.decoded.Get(step), true
			}
		}
		switch {
		case !known:
			return nil
		case at == nil || types.IsError(at):
			return p[:i+2]
		}
	}
	return nil
}
