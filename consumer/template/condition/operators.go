package condition

import (
	"regexp"
	"slices"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"
)

// To CEL values of different kinds are unequal. Here that is an error: a
// condition that compares a text with a number has not said what it is about.
// Null is compared with everything. And to CEL the 130 and the 129.90 of two
// events are of different kinds, and only one of them can have 1 added. Here a
// whole number that meets a fraction is one too.

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

// strictOperators puts operators of this package in place of the library's where
// the type of an operand is known only with an event, and for matches.
func strictOperators(checked *ast.AST) interpreter.InterpretableDecoratorV2 {
	return func(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
		call, ok := i.(interpreter.InterpretableCall)
		if !ok || len(call.Args()) != 2 {
			return i, nil
		}
		left, right := call.Args()[0], call.Args()[1]
		var apply operation
		if call.Function() == overloads.Matches {
			apply = matching(right)
		} else if isDynamic(checked.GetType(left.ID())) || isDynamic(checked.GetType(right.ID())) {
			apply = operations[call.Function()]
		}
		if apply == nil {
			return i, nil
		}
		return &binary{call: call, left: left, right: right, apply: apply}, nil
	}
}

// isDynamic reports whether values of a type, or what they hold, may be of any
// kind.
func isDynamic(t *types.Type) bool {
	return t.Kind() == types.DynKind || slices.ContainsFunc(t.Parameters(), isDynamic)
}

// operations are those that the library does not do as well.
var operations = map[string]operation{
	operators.Equals:    equal,
	operators.NotEquals: unequal,
	operators.In:        in,
	operators.Add:       arithmetic(traits.Adder.Add),
	operators.Subtract:  arithmetic(traits.Subtractor.Subtract),
	operators.Multiply:  arithmetic(traits.Multiplier.Multiply),
	operators.Divide:    arithmetic(traits.Divider.Divide),
}

func misfit() ref.Val { return types.NewErr("values of different kinds") }

func ofOneKind(left, right ref.Val) bool {
	a, b := left.Type(), right.Type()
	return a == b || a == types.NullType || b == types.NullType || isNumber(left) && isNumber(right) ||
		a.TypeName() == b.TypeName()
}

func isNumber(v ref.Val) bool {
	switch v.(type) {
	case types.Int, types.Uint, types.Double:
		return true
	}
	return false
}

func equal(left, right ref.Val) ref.Val {
	if !ofOneKind(left, right) {
		return misfit()
	}
	if weight("", left)+weight("", right) > maxWork {
		end(tooCostly)
	}
	return types.Equal(left, right)
}

func unequal(left, right ref.Val) ref.Val {
	result := equal(left, right)
	if same, ok := result.(types.Bool); ok {
		return !same
	}
	return result
}

// in compares with each element, as a chain of == and || would.
func in(element, all ref.Val) ref.Val {
	elements, ok := all.(traits.Lister)
	if !ok {
		if container, ok := all.(traits.Container); ok {
			return container.Contains(element)
		}
		return misfit()
	}
	if weight("", all) > maxWork {
		end(tooCostly)
	}
	var result ref.Val = types.False
	for it := elements.Iterator(); it.HasNext() == types.True; {
		other := it.Next()
		if !ofOneKind(element, other) {
			result = misfit()
		} else if types.Equal(element, other) == types.True {
			return types.True
		}
	}
	return result
}

// arithmetic is the operation of those values that can do it.
func arithmetic[T any](do func(left T, right ref.Val) ref.Val) operation {
	return func(left, right ref.Val) ref.Val {
		if isNumber(left) && isNumber(right) && left.Type() != right.Type() {
			left, right = left.ConvertToType(types.DoubleType), right.ConvertToType(types.DoubleType)
		}
		if able, ok := left.(T); ok {
			return do(able, right)
		}
		return misfit()
	}
}

// matching is nil for what is no pattern. Each letter of a text may take every
// step of the pattern, so a long text is not begun.
func matching(right interpreter.InterpretableV2) operation {
	constant, ok := right.(interpreter.InterpretableConst)
	if !ok {
		return nil
	}
	pattern, _ := constant.Value().(types.String)
	compiled, err := regexp.Compile(string(pattern))
	steps, tooLarge := types.RegexProgramSize(string(pattern))
	if err != nil || tooLarge != nil {
		return nil
	}
	return func(v, _ ref.Val) ref.Val {
		text, ok := v.(types.String)
		if !ok {
			return misfit()
		}
		if len(text)*steps > maxWork {
			end(tooCostly)
		}
		return types.Bool(compiled.MatchString(string(text)))
	}
}
