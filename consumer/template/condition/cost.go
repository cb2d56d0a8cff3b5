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

const (
	// maxCost bounds what one condition may cost on one event, in CEL's units:
	// about one for each value looked at, or ten bytes compared. A unit takes
	// some 20 to 200 ns.
	maxCost = 20_000
	// maxWork is maxCost in bytes. A comparison of more is not begun.
	maxWork = 10 * maxCost
	// maxDecoded bounds the elements and members that an evaluation decodes. One
	// takes some 50 to 150 ns.
	maxDecoded = 5 * maxCost
	// light is what costs no more than CEL says, in bytes.
	light = 1 << 10
)

// ended is the cause of what end ends; the library's own are the first few numbers.
const ended interpreter.CancellationCause = 100

const tooCostly = "it costs too much on this event: look at fewer values"

// end ends an evaluation in the way of the library, which is how Eval comes to
// return an error that no || of the condition can hide.
func end(why string) { panic(interpreter.EvalCancelledError{Cause: ended, Message: why}) }

// meter counts what an evaluation decodes. What was decoded before counts too, so
// that what a condition says of an event does not depend on which others were
// tried before it.
type meter struct {
	evaluation int
	left       int // elements and members
}

func (m *meter) begin() {
	m.evaluation++
	m.left = maxDecoded
}

// count is for something of a size. In is the last evaluation that counted it.
func (m *meter) count(in *int, size ref.Val) {
	if *in == m.evaluation {
		return
	}
	*in = m.evaluation
	if n, ok := size.(types.Int); ok {
		m.left -= int(n)
	}
	if m.left < 0 {
		end(tooCostly)
	}
}

// estimator makes CEL count by the bytes of an event: to the library itself some
// calls cost the same whatever they are given.
type estimator struct{}

// EstimateCallCost leaves it to the library.
func (estimator) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate {
	return nil
}

// EstimateSize bounds the event's own texts, which are short.
func (estimator) EstimateSize(element cost.AstNode) *cost.SizeEstimate {
	if path := element.Path(); len(path) == 1 && path[0] != ctxName {
		return &cost.SizeEstimate{Min: 0, Max: math.MaxUint16}
	}
	return nil
}

// CallCost is a tenth of the bytes that a call goes through, unless they are
// few.
func (estimator) CallCost(function, _ string, args []ref.Val, _ ref.Val) *uint64 {
	bytes := 0
	for _, arg := range args {
		bytes += weight(function, arg)
	}
	if bytes <= light {
		return nil
	}
	units := uint64(bytes / 10)
	return &units
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
		total := 0
		for it := v.Iterator(); it.HasNext() == types.True && total <= maxWork; {
			total += 8 + weight(function, it.Next())
		}
		return total
	}
	return 8
}
