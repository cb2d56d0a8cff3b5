package condition

import (
	"errors"
	"fmt"
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
func (c *Condition) explain(err error, facts *Facts) *Error {
	if cancelled, ok := errors.AsType[interpreter.EvalCancelledError](err); ok {
		return &Error{Detail: tooMuch(cancelled.Cause)}
	}
	e := &Error{Detail: unknown}
	failed, ok := errors.AsType[*types.Err](err)
	if !ok {
		return e
	}
	e.Line, e.Column = position(c.checked, failed.NodeID())
	isIt := func(e ast.NavigableExpr) bool { return e.ID() == failed.NodeID() }
	found := ast.MatchDescendants(ast.NavigateAST(c.checked), isIt)
	if len(found) == 0 {
		return e
	}
	p, ok := pathOf(found[0])
	if !ok || len(p.steps) == 0 || strings.HasPrefix(p.root, "@") {
		e.Detail = failure(found[0])
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

// tooMuch says why an evaluation was ended.
func tooMuch(why excess) string {
	const isTooMuch = ", which is too much for a condition"
	switch why {
	case tooLong:
		return fmt.Sprintf("it looks into a list or an object with more than %d elements", maxElements) + isTooMuch
	case tooDeep:
		return fmt.Sprintf("it looks into what is nested deeper than %d", maxDepth) + isTooMuch
	}
	return "it costs too much on this event: look at fewer values"
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

// path is a variable and the keys and indexes that an expression follows from
// it on, such as ctx.order.lines[0].
type path struct {
	root  string
	steps []ref.Val // types.String or types.Int
}

// pathOf returns false for what is no path.
func pathOf(e ast.Expr) (p path, ok bool) {
	switch e.Kind() {
	case ast.IdentKind:
		return path{root: e.AsIdent()}, true
	case ast.SelectKind:
		p, ok = pathOf(e.AsSelect().Operand())
		p.steps = append(p.steps, types.String(e.AsSelect().FieldName()))
	case ast.CallKind:
		call := e.AsCall()
		if call.FunctionName() == operators.Index && call.Args()[1].Kind() == ast.LiteralKind {
			p, ok = pathOf(call.Args()[0])
			p.steps = append(p.steps, call.Args()[1].AsLiteral())
		}
	}
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
// it has all of it, or the path does not lead into ctx. Only what the evaluation
// has read is looked at.
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
			return at.known(key)
		}
	case *list:
		if i, ok := step.(types.Int); ok && at.decoded != nil {
			if i < 0 || i >= at.decoded.Size().(types.Int) {
				return nil, true
			}
			return at.decoded.Get(i), true
		}
	}
	return nil, false
}
