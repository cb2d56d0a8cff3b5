package condition

import (
	"errors"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/interpreter"
)

// explain says why an evaluation failed. The library's own texts may have
// values of the event in them, so of its error only the place is used.
func (c *Condition) explain(err error, facts *Facts) *Error {
	var cancelled interpreter.EvalCancelledError
	if errors.As(err, &cancelled) {
		return &Error{Detail: "it costs too much on this event: look at fewer values"}
	}
	var failed *types.Err
	if !errors.As(err, &failed) {
		return &Error{Detail: "it cannot be evaluated on this event"}
	}
	at := failed.NodeID()
	e := &Error{Detail: "it cannot be evaluated on this event"}
	e.Line, e.Column = place(c.checked, at)
	node, ok := c.find(at)
	if !ok {
		return e
	}
	if path := missing(node, facts); path != "" {
		e.Path = path
		e.Detail = path + " is missing: ask with has(" + path + ")"
		return e
	}
	if shown := shownPath(node); shown != "" {
		e.Detail = shown + " is missing, or is read of what is no object: ask with has(" + shown + ")"
		return e
	}
	e.Detail = failure(node)
	return e
}

func (c *Condition) find(id int64) (ast.NavigableExpr, bool) {
	found := ast.MatchDescendants(ast.NavigateAST(c.checked), func(e ast.NavigableExpr) bool { return e.ID() == id })
	if len(found) == 0 {
		return nil, false
	}
	return found[0], true
}

// failure says what kind of thing failed.
func failure(e ast.Expr) string {
	if e.Kind() != ast.CallKind {
		return "it cannot be evaluated on this event"
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

// path is the keys that an expression follows from ctx on; nil when it is no
// such expression.
func path(e ast.Expr) []string {
	switch e.Kind() {
	case ast.IdentKind:
		return []string{e.AsIdent()}
	case ast.SelectKind:
		if from := path(e.AsSelect().Operand()); from != nil {
			return append(from, e.AsSelect().FieldName())
		}
	case ast.CallKind:
		call := e.AsCall()
		if call.FunctionName() != operators.Index || len(call.Args()) != 2 || call.Args()[1].Kind() != ast.LiteralKind {
			return nil
		}
		key, ok := call.Args()[1].AsLiteral().(types.String)
		if from := path(call.Args()[0]); ok && from != nil {
			return append(from, string(key))
		}
	}
	return nil
}

// missing returns the part of a path that the event does not have; nothing when
// it has all of it, or the expression is no path into ctx.
func missing(e ast.Expr, facts *Facts) string {
	keys := path(e)
	if len(keys) < 2 || keys[0] != ctxName {
		return ""
	}
	root, _ := facts.ResolveName(ctxName)
	at, _ := root.(*object)
	for i, key := range keys[1:] {
		if at == nil {
			return ""
		}
		value, ok := at.Find(types.String(key))
		if !ok {
			return strings.Join(keys[:i+2], ".")
		}
		at, _ = value.(*object)
	}
	return ""
}

// shownPath is a path as its author writes it; empty for what is none.
func shownPath(e ast.Expr) string {
	if keys := path(e); len(keys) > 1 && !strings.HasPrefix(keys[0], "@") {
		return strings.Join(keys, ".")
	}
	return ""
}
