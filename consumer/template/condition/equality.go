package condition

import (
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// To the library values of different kinds are unequal. Here that is an error: a
// condition that compares a text with a number has not said what it is about.
// Null is compared with everything.

func misfit() ref.Val { return types.NewErr("values of different kinds") }

func ofOneKind(left, right ref.Val) bool {
	a, b := left.Type(), right.Type()
	switch {
	case a == b, a == types.NullType, b == types.NullType:
		return true
	case isNumber(left):
		return isNumber(right)
	}
	return a.TypeName() == b.TypeName()
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

// words is a list of texts in a condition.
type words map[types.String]bool

// wordsOf returns nil for what is no such list, or empty.
func wordsOf(constant ref.Val) words {
	elements, ok := constant.(traits.Lister)
	if !ok {
		return nil
	}
	var all words
	for it := elements.Iterator(); it.HasNext() == types.True; {
		word, ok := it.Next().(types.String)
		if !ok {
			return nil
		}
		if all == nil {
			all = make(words)
		}
		all[word] = true
	}
	return all
}

// have is in for words.
func (w words) have(element, _ ref.Val) ref.Val {
	switch element := element.(type) {
	case types.String:
		return types.Bool(w[element])
	case types.Null:
		return types.False
	}
	return misfit()
}
