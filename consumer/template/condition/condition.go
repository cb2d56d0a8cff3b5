package condition

import (
	"fmt"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// MaxBytes is the greatest length of a condition.
const MaxBytes = 4 << 10

// Condition is a compiled condition. It is immutable and safe for use by
// several goroutines.
type Condition struct {
	checked   *ast.AST
	program   cel.Program
	conjuncts int
}

// Compile checks a condition and makes it ready. Its error is Faults.
func Compile(expression string) (*Condition, error) {
	if len(expression) > MaxBytes {
		return nil, Faults{{Detail: fmt.Sprintf("the condition has %d bytes: at most %d can be", len(expression), MaxBytes)}}
	}
	parsed, issues := environment().Parse(expression)
	if issues.Err() != nil {
		return nil, firstOfLines(faultsOf(issues))
	}
	if faults := append(misuses(parsed.NativeRep()), patternFaults(parsed.NativeRep())...); len(faults) > 0 {
		return nil, faults
	}
	checked, issues := environment().Check(parsed)
	if issues.Err() != nil {
		return nil, faultsOf(issues)
	}
	if got := checked.OutputType(); !got.IsExactType(types.BoolType) && !got.IsExactType(types.DynType) {
		return nil, Faults{{Line: 1, Column: 1, Detail: "gives " + nameOf(got) + ", where it must say yes or no: compare it with something"}}
	}
	return build(checked)
}

func build(checked *cel.Ast) (*Condition, error) {
	estimate, err := environment().EstimateCost(checked, bounds{})
	if err != nil {
		return nil, Faults{{Detail: "what the condition costs cannot be told: make it simpler"}}
	}
	if estimate.Min > maxCost {
		return nil, Faults{{Detail: "the condition costs too much, whatever the event: make it simpler"}}
	}
	options := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize), cel.CustomDecoratorV2(replacing(checked.NativeRep()))}
	if estimate.Max > maxCost {
		// Only what may cost too much pays for the counting.
		options = append(options, cel.CostLimit(maxCost), cel.CostTracking(weights{}))
	}
	program, err := environment().Program(checked, options...)
	if err != nil {
		return nil, Faults{{Detail: "the condition cannot be made ready: " + err.Error()}}
	}
	c := &Condition{checked: checked.NativeRep(), program: program}
	c.conjuncts = conjuncts(c.checked.Expr())
	return c, nil
}

// Conjuncts is how many conditions are joined by "&&", 1 for a single one: the
// more there are, the more specific the whole is.
func (c *Condition) Conjuncts() int { return c.conjuncts }

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

// Holds tells whether the condition holds for an event. Its error is an *Error.
func (c *Condition) Holds(facts *Facts) (bool, error) {
	facts.meter.begin()
	value, _, err := c.program.Eval(facts)
	if err != nil {
		return false, c.explain(err, facts)
	}
	holds, ok := value.(types.Bool)
	if !ok {
		return false, &Error{Line: 1, Column: 1, Detail: "gives a value that is neither true nor false: compare it with something"}
	}
	return bool(holds), nil
}
