package condition

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"cel.dev/cel-go/common/types"
	"github.com/tidwall/gjson"
	"pgregory.net/rapid"
)

// aValue draws a JSON value, as encoding/json has it.
func aValue(depth int) *rapid.Generator[any] {
	kinds := []*rapid.Generator[any]{
		rapid.Just[any](nil), rapid.Bool().AsAny(), rapid.IntRange(-3, 3).AsAny(), rapid.Float64Range(-3, 3).AsAny(),
		rapid.StringN(0, 3, -1).AsAny(),
	}
	if depth > 0 {
		kinds = append(kinds,
			rapid.SliceOfN(rapid.Deferred(func() *rapid.Generator[any] { return aValue(depth - 1) }), 0, 4).AsAny(),
			anObject(depth-1).AsAny())
	}
	return rapid.OneOf(kinds...)
}

func anObject(depth int) *rapid.Generator[map[string]any] {
	return rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "c", "å", "", "a b", `"`}),
		rapid.Deferred(func() *rapid.Generator[any] { return aValue(depth) }), 0, 6)
}

func drawCtx(t *rapid.T) (map[string]any, string) {
	value := anObject(3).Draw(t, "ctx")
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return value, string(text)
}

// TestLookingUpIsDecoding: a member is the same, looked up by itself or among all
// others.
func TestLookingUpIsDecoding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ctx, text := drawCtx(t)
		facts := NewFacts(anEvent(text))
		for _, key := range []types.String{"a", "b", "c", "å", "", "a b", `"`, "none"} {
			want, there := ctx[string(key)]
			facts.meter.begin()
			lookedUp, foundAlone := facts.root().Find(key)
			ample := &meter{left: maxDecoded}
			decoded := (&object{node: node{raw: gjson.Parse(text), depth: 1, meter: ample}}).all()
			value, found := decoded.Find(key)
			if found != there || foundAlone != there {
				t.Fatalf("%q is found: %v decoded, %v looked up; want %v", key, found, foundAlone, there)
			}
			facts.meter.begin()
			if there && (types.Equal(value, lookedUp) != types.True ||
				types.Equal(value, types.DefaultTypeAdapter.NativeToValue(want)) != types.True) {
				t.Fatalf("%q is %v decoded, %v looked up; want %v", key, value, lookedUp, want)
			}
		}
	})
}

// anOperand draws a path, a literal or arithmetic.
func anOperand(t *rapid.T, label string) string {
	return rapid.SampledFrom([]string{
		`ctx.a`, `ctx.b`, `ctx.a.b`, `ctx.b[0]`, `ctx["å"]`, `ctx["a b"].c`, `ctx.?a.?b.orValue(1)`, `size(ctx.a)`,
		`event.country`,
		`1`, `2.5`, `"a"`, `null`, `[1, 2.0]`, `["a", "FI"]`, `{"a": 1}`, `ctx.a + ctx.b`, `ctx.a * 2`, `ctx.b - 0.5`,
		`ctx.c / 2`, `ctx`,
	}).Draw(t, label)
}

func aCondition(t *rapid.T) string {
	terms := make([]string, rapid.IntRange(1, 3).Draw(t, "terms"))
	for i := range terms {
		sign := rapid.SampledFrom([]string{"==", "!=", "<", ">=", "in"}).Draw(t, "sign")
		terms[i] = fmt.Sprintf("dyn(%s) %s dyn(%s)", anOperand(t, "left"), sign, anOperand(t, "right"))
		if sign == "in" {
			terms[i] = fmt.Sprintf("dyn(%s) in [%s, ctx.a]", anOperand(t, "left"), anOperand(t, "right"))
		}
	}
	return strings.Join(terms, rapid.SampledFrom([]string{" && ", " || "}).Draw(t, "join"))
}

// TestConditionsDoNotFeelEachOther: what a condition says of an event does not
// depend on which others were tried on the same facts.
func TestConditionsDoNotFeelEachOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		_, text := drawCtx(t)
		shared := NewFacts(anEvent(text))
		for range 6 {
			expression := aCondition(t)
			c, err := Compile(expression)
			if err != nil {
				continue // such as arithmetic that cannot be
			}
			alone, errAlone := c.Holds(NewFacts(anEvent(text)))
			among, errAmong := c.Holds(shared)
			if alone != among || fmt.Sprint(errAlone) != fmt.Sprint(errAmong) {
				t.Fatalf("%s on %s is %v, %v alone; %v, %v among others", expression, text, alone, errAlone, among, errAmong)
			}
		}
	})
}

// TestEqualityIsOfOneKind: == and != are each other's opposite, symmetric, and
// an error for values of different kinds.
func TestEqualityIsOfOneKind(t *testing.T) {
	same, other, back := compile(t, `ctx.a == ctx.b`), compile(t, `ctx.a != ctx.b`), compile(t, `ctx.b == ctx.a`)
	one := compile(t, `ctx.a in [ctx.b]`)
	rapid.Check(t, func(t *rapid.T) {
		a, b := aValue(2).Draw(t, "a"), aValue(2).Draw(t, "b")
		text, err := json.Marshal(map[string]any{"a": a, "b": b})
		if err != nil {
			t.Fatal(err)
		}
		facts := NewFacts(anEvent(string(text)))
		is, err := same.Holds(facts)
		isNot, errNot := other.Holds(facts)
		reversed, errBack := back.Holds(facts)
		within, errWithin := one.Holds(facts)
		if bad := kindOf(a) != kindOf(b) && a != nil && b != nil; bad != (err != nil) || bad != (errNot != nil) ||
			bad != (errBack != nil) || bad != (errWithin != nil) {
			t.Fatalf("%s: errors %v, %v, %v, %v; want one: %v", text, err, errNot, errBack, errWithin, bad)
		}
		if err == nil && (is == isNot || is != reversed || is != within) {
			t.Fatalf("%s: == %v, != %v, reversed %v, in %v", text, is, isNot, reversed, within)
		}
	})
}

func kindOf(v any) string {
	switch v.(type) {
	case int, float64:
		return "number"
	}
	return fmt.Sprintf("%T", v)
}
