package condition

import (
	"math"

	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"
)

// maxCost bounds what one condition may cost on one event, in CEL's units:
// about one for each value looked at, or ten bytes compared. A unit takes some
// 20 to 200 ns.
const maxCost = 20_000

// maxWork is maxCost in bytes. A call that goes through more is not begun.
const maxWork = 10 * maxCost

// end ends an evaluation in the way of the library, which is how Eval comes to
// return an error that no || of the condition can hide.
func end(why excess) {
	panic(interpreter.EvalCancelledError{Cause: why, Message: "the event is too much for the condition"})
}

// check ends the evaluation unless it fits.
func check(why excess) {
	if why != fits {
		end(why)
	}
}

// bounds tell how much is there before an event is: its own texts are short.
type bounds struct{}

func (bounds) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate {
	return nil
}

func (bounds) EstimateSize(element cost.AstNode) *cost.SizeEstimate {
	if path := element.Path(); len(path) == 1 && path[0] != ctxName {
		return &cost.SizeEstimate{Min: 0, Max: math.MaxUint16}
	}
	return nil
}

// weights make calls cost what they take: to the library some cost the same
// whatever they are given.
type weights struct{}

// light is what costs no more than the library says, in bytes.
const light = 1 << 10

// CallCost is a tenth of the bytes that a call goes through, unless they are
// few.
func (weights) CallCost(function, _ string, args []ref.Val, _ ref.Val) *uint64 {
	bytes := work(function, args)
	if bytes <= light {
		return nil
	}
	units := uint64(bytes / 10)
	return &units
}

// work is about how many bytes a call goes through or makes; beyond maxWork it
// may be more.
func work(function string, args []ref.Val) int {
	if each, ok := products[function]; ok {
		return each(args)
	}
	total := 0
	for _, arg := range args {
		if total += weight(function, arg); total > maxWork {
			break
		}
	}
	return total
}

// weight is about how many bytes a call goes through of an argument; beyond
// maxWork it may be more.
func weight(function string, v ref.Val) int {
	switch v := v.(type) {
	case types.String:
		return len(v)
	case types.Bytes:
		return len(v)
	}
	switch function {
	case operators.Index, operators.OptIndex, operators.OptSelect, overloads.Size:
		return 0
	}
	switch v := v.(type) {
	case *object:
		if function == operators.In {
			return 0
		}
		return len(v.raw.Raw)
	case *list:
		return len(v.raw.Raw)
	case traits.Lister:
		return weightOf(function, v)
	}
	return 8
}

func weightOf(function string, l traits.Lister) int {
	total := 0
	for it := l.Iterator(); it.HasNext() == types.True && total <= maxWork; {
		total += 8 + weight(function, it.Next())
	}
	return total
}
