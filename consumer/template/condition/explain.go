package condition

import (
	"errors"
	"fmt"
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
		return &Error{Detail: tooMuch(cancelled.Cause)}
	}
	var failed *types.Err
	if !errors.As(err, &failed) {
		return &Error{Detail: unknown}
	}
	e := &Error{Detail: unknown}
	e.Line, e.Column = place(c.checked, failed.NodeID())
	node, ok := c.find(failed.NodeID())
	if !ok {
		return e
	}
	p, ok := pathOf(node)
	if !ok || len(p.steps) == 0 || strings.HasPrefix(p.root, "@") {
		e.Detail = failure(node)
		return e
	}
	if gone, ok := p.missing(facts); ok {
		e.Path = gone.String()
		e.Detail = e.Path + " is missing: ask with " + gone.question()
		return e
	}
	e.Detail = p.String() + " is missing, or is read of what is no object: ask with " + p.question()
	return e
}

const unknown = "it cannot be evaluated on this event"

// tooMuch says why an evaluation was ended.
func tooMuch(why excess) string {
	switch why {
	case tooLong:
		return fmt.Sprintf("it looks into a list or an object with more than %d elements, which is too much for a condition", maxElements)
	case tooDeep:
		return fmt.Sprintf("it looks into what is nested deeper than %d, which is too much for a condition", maxDepth)
	}
	return "it costs too much on this event: look at fewer values"
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
