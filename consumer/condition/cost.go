package condition

import (
	"math"

	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// maxCost bounds what one condition may cost on one event, in CEL's units:
// about one for each value looked at, or ten bytes compared. A unit takes some
// 20 to 200 ns.
const maxCost = 50_000

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

// CallCost is a tenth of the bytes that a call is given, unless they are few.
func (weights) CallCost(function, _ string, args []ref.Val, _ ref.Val) *uint64 {
	total := 0
	for _, arg := range args {
		total += weight(function, arg)
	}
	if total <= light {
		return nil
	}
	units := uint64(total / 10)
	return &units
}

// weight is about how many bytes a function goes through.
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
		return len(v.raw.Raw)
	case traits.Lister:
		total := 0
		for it := v.Iterator(); it.HasNext() == types.True; {
			total += 8 + weight(function, it.Next())
		}
		return total
	}
	return 8
}
