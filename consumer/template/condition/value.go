package condition

import (
	"strconv"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
	"github.com/tidwall/gjson"
)

// What conditions look into. An event may have more, where they do not look.
const (
	maxElements = 10_000 // of one list, or members of one object
	maxDepth    = 20     // of lists and objects within each other, ctx being the first
)

// excess is what makes something too much for a condition.
type excess = interpreter.CancellationCause

// The library's own causes are the first few numbers.
const (
	fits excess = iota + 100
	tooLong
	tooDeep
	tooCostly
)

// meter counts what an evaluation decodes. What was decoded before counts too, so
// that what a condition says of an event does not depend on which others were
// tried before it.
type meter struct {
	evaluation int
	left       int // elements and members
}

// maxDecoded bounds the elements and members that an evaluation decodes. One
// takes some 50 to 150 ns.
const maxDecoded = 5 * maxCost

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

// position is where a value is in an event.
type position struct {
	raw   gjson.Result
	depth int // from 1, which is ctx itself
	meter *meter
}

// within is the position of a value in it.
func (p *position) within(v gjson.Result) position {
	return position{raw: v, depth: p.depth + 1, meter: p.meter}
}

// valueOf is a JSON value as CEL has it: numbers without fraction or exponent
// are whole. Objects and lists are decoded when they are looked into.
func valueOf(at position) ref.Val {
	v := at.raw
	switch v.Type {
	case gjson.String:
		return types.String(v.Str)
	case gjson.Number:
		if n, err := strconv.ParseInt(v.Raw, 10, 64); err == nil {
			return types.Int(n)
		}
		return types.Double(v.Num)
	case gjson.True:
		return types.True
	case gjson.False:
		return types.False
	case gjson.Null:
		return types.NullValue
	}
	if v.IsObject() {
		return &object{position: at}
	}
	return &list{position: at}
}
