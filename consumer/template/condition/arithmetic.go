package condition

import (
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// To the library the 130 and the 129.90 of two events are of different kinds,
// and only one of them can have 1 added. Here a whole number that meets a
// fraction is one too.

func alike(left, right ref.Val) (ref.Val, ref.Val) {
	if isNumber(left) && isNumber(right) && left.Type() != right.Type() {
		return left.ConvertToType(types.DoubleType), right.ConvertToType(types.DoubleType)
	}
	return left, right
}

func add(left, right ref.Val) ref.Val {
	left, right = alike(left, right)
	if l, ok := left.(traits.Adder); ok {
		return l.Add(right)
	}
	return misfit()
}

func subtract(left, right ref.Val) ref.Val {
	left, right = alike(left, right)
	if l, ok := left.(traits.Subtractor); ok {
		return l.Subtract(right)
	}
	return misfit()
}

func multiply(left, right ref.Val) ref.Val {
	left, right = alike(left, right)
	if l, ok := left.(traits.Multiplier); ok {
		return l.Multiply(right)
	}
	return misfit()
}

func divide(left, right ref.Val) ref.Val {
	left, right = alike(left, right)
	if l, ok := left.(traits.Divider); ok {
		return l.Divide(right)
	}
	return misfit()
}
