// Package condition is the "when" of a template: a CEL expression over an event
// that decides whether the template covers it.
//
// A condition reads event, whose fields are known, and ctx, which is whatever
// the event brings. What fails on an event is an error of that event alone, and
// is bounded in what it costs.
package condition

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/parser"
)

// MaxBytes is the greatest length of a condition.
const MaxBytes = 4 << 10

// Condition is a compiled condition, for use by several goroutines.
type Condition struct {
	// Conjuncts is how many conditions are joined by "&&" that read something of the
	// event, each once: the more there are, the more specific the whole is.
	Conjuncts int

	checked *ast.AST
	program cel.Program
}

// Compile checks a condition and makes it ready. Its error is Faults.
func Compile(expression string) (*Condition, error) {
	if len(expression) > MaxBytes {
		return nil, Faults{{Detail: fmt.Sprintf("the condition has %d bytes: at most %d can be", len(expression), MaxBytes)}}
	}
	checked, faults := check(expression)
	if faults != nil {
		return nil, faults
	}
	root := checked.NativeRep()
	estimate, err := environment().EstimateCost(checked, estimator{})
	if err != nil {
		return nil, Faults{{Detail: "what the condition costs cannot be estimated: " + err.Error()}}
	}
	if estimate.Min > maxCost {
		return nil, Faults{{Detail: "the condition costs too much, whatever the event: make it simpler"}}
	}
	options := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize), cel.CustomDecoratorV2(strictOperators(root))}
	if estimate.Max > maxCost {
		// Only what may cost too much pays for the counting.
		options = append(options, cel.CostLimit(maxCost), cel.CostTracking(estimator{}))
	}
	program, err := environment().Program(checked, options...)
	if err != nil {
		return nil, Faults{{Detail: "the condition cannot be made ready: " + err.Error()}}
	}
	return &Condition{checked: root, program: program, Conjuncts: len(conjuncts(root, root.Expr(), nil))}, nil
}

// conjuncts appends what is joined to those that are known.
func conjuncts(root *ast.AST, e ast.Expr, known []string) []string {
	if e.Kind() == ast.CallKind && e.AsCall().FunctionName() == operators.LogicalAnd {
		for _, arg := range e.AsCall().Args() {
			known = conjuncts(root, arg, known)
		}
		return known
	}
	reads := func(e ast.NavigableExpr) bool {
		return e.Kind() == ast.IdentKind &&
			(e.AsIdent() == ctxName || strings.HasPrefix(e.AsIdent(), eventName+"."))
	}
	text, err := parser.Unparse(e, root.SourceInfo())
	if err != nil {
		text = strconv.FormatInt(e.ID(), 10) // of a loop, which has no text
	}
	if len(ast.MatchDescendants(ast.NavigateExpr(root, e), reads)) == 0 || slices.Contains(known, text) {
		return known
	}
	return append(known, text)
}

// Holds reports whether the condition holds for an event. Its error is a Fault,
// and has nothing of the event's content.
func (c *Condition) Holds(facts *Facts) (bool, error) {
	facts.meter.begin()
	value, _, err := c.program.Eval(facts)
	if err != nil {
		return false, c.explain(err, facts)
	}
	holds, ok := value.(types.Bool)
	if !ok {
		return false, Fault{Line: 1, Column: 1,
			Detail: "gives a value that is neither true nor false: compare it with something"}
	}
	return bool(holds), nil
}

// Fault is one thing that is wrong with a condition, always or on one event.
type Fault struct {
	Line, Column int    // in the condition, both from 1; 0 when it is about the whole
	Path         string // what an event lacks, such as ctx.order.total; empty when it is something else
	Detail       string // what is wrong, and what to do
}

func (f Fault) Error() string {
	if f.Line == 0 {
		return f.Detail
	}
	return fmt.Sprintf("%d:%d: %s", f.Line, f.Column, f.Detail)
}

// Faults is everything that is wrong with a condition.
type Faults []Fault

func (f Faults) Error() string { return Joined(f) }

// Joined is what several faults say.
func Joined[F error](faults []F) string {
	lines := make([]string, len(faults))
	for i, fault := range faults {
		lines[i] = fault.Error()
	}
	return strings.Join(lines, "; ")
}
