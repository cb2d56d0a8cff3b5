// Package condition is the "when" of a template: a CEL expression over an event
// that decides whether the template covers it.
//
// A condition reads event, whose fields are known, and ctx, which is whatever
// the event brings. What fails on an event is an error of that event alone, and
// is bounded in what it costs.
package condition

import (
	"fmt"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// MaxBytes is the greatest length of a condition.
const MaxBytes = 4 << 10

// Condition is a compiled condition, for use by several goroutines.
type Condition struct {
	// Conjuncts is how many conditions are joined by "&&", 1 for a single one: the
	// more there are, the more specific the whole is.
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
	return &Condition{checked: root, program: program, Conjuncts: conjuncts(root.Expr())}, nil
}

func conjuncts(e ast.Expr) int {
	if e.Kind() != ast.CallKind || e.AsCall().FunctionName() != operators.LogicalAnd {
		return 1
	}
	n := 0
	for _, arg := range e.AsCall().Args() {
		n += conjuncts(arg)
	}
	return n
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
