package condition

import (
	"slices"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
)

// operation is what an operator does with the values of its operands, neither of
// which is an error.
type operation func(left, right ref.Val) ref.Val

// binary is an operator in place of the library's.
type binary struct {
	call        interpreter.InterpretableCall // the library's
	left, right interpreter.InterpretableV2
	apply       operation
}

func (b *binary) ID() int64 { return b.call.ID() }

func (b *binary) Eval(vars interpreter.Activation) ref.Val {
	return interpreter.EvalActivation(vars, b.Exec)
}

func (b *binary) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	left := b.left.Exec(frame)
	if types.IsUnknownOrError(left) {
		return left
	}
	right := b.right.Exec(frame)
	if types.IsUnknownOrError(right) {
		return right
	}
	result := types.LabelErrNode(b.ID(), b.apply(left, right))
	if costs := frame.CostTracker(); costs != nil {
		costs.EvalBinary(frame, b.ID(), b.call, left, right, result)
	}
	return result
}

// replacing puts operators of this package in place of the library's where an
// operand is of the event's ctx.
func replacing(checked *ast.AST) interpreter.InterpretableDecoratorV2 {
	loose := looseCalls(checked)
	return func(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
		call, ok := i.(interpreter.InterpretableCall)
		if !ok || !loose[call.ID()] || len(call.Args()) != 2 {
			return i, nil
		}
		left, right := call.Args()[0], call.Args()[1]
		if apply := operationOf(call.Function(), constantOf(right)); apply != nil {
			return &binary{call: call, left: left, right: right, apply: apply}, nil
		}
		return i, nil
	}
}

// looseCalls are the calls with an operand whose type only an event tells, and
// the matches.
func looseCalls(checked *ast.AST) map[int64]bool {
	loose := make(map[int64]bool)
	ast.PreOrderVisit(checked.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.CallKind {
			return
		}
		call := e.AsCall()
		if call.FunctionName() == overloads.Matches {
			loose[e.ID()] = true
		}
		for _, arg := range call.Args() {
			if isLoose(checked.GetType(arg.ID())) {
				loose[e.ID()] = true
			}
		}
	}))
	return loose
}

// isLoose tells whether values of a type, or what they hold, may be of any kind.
func isLoose(t *types.Type) bool {
	return t.Kind() == types.DynKind || slices.ContainsFunc(t.Parameters(), isLoose)
}

// constantOf is the value of an operand that stands in the condition itself;
// nil for another.
func constantOf(i interpreter.InterpretableV2) ref.Val {
	if constant, ok := i.(interpreter.InterpretableConst); ok {
		return constant.Value()
	}
	return nil
}

// operationOf is nil for what the library does as well. Right is the right
// operand where that is a constant.
func operationOf(function string, right ref.Val) operation {
	switch function {
	case operators.Equals:
		return equal
	case operators.NotEquals:
		return unequal
	case operators.In:
		if words := wordsOf(right); words != nil {
			return words.have
		}
		return in
	case operators.Add:
		return add
	case operators.Subtract:
		return subtract
	case operators.Multiply:
		return multiply
	case operators.Divide:
		return divide
	case overloads.Matches:
		return matching(right)
	}
	return nil
}
