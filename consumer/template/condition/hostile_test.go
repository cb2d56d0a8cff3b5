package condition

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"
)

// hostileCtx are as large as an event can be, each in another way.
func hostileCtx() map[string]string {
	half := strings.Repeat("a", 500_000)
	nested := `{"` + half + `":1}`
	for range 98 {
		nested = `{"a":` + nested + `}`
	}
	return map[string]string{
		"lists of what a condition may look into": `{"l":[` + strings.Repeat("1,", maxElements-1) + `1],"o":{"l":[` +
			strings.Repeat("1,", 50_000) + `1]},"s":"` + half + `"}`,
		"a long list": `{"l":[` + strings.Repeat("1,", 500_000) + `1],"o":{},"s":""}`,
		"many long lists": `{"l":[` + strings.Repeat("["+strings.Repeat("1,", 4_999)+"1],", 99) +
			`[1]],"o":{"a":1},"s":"x"}`,
		"long texts": `{"l":["` + half[:400_000] + `","` + half[:100_000] + `"],"o":{"a":"` + half[:200_000] +
			`"},"s":"` + half[:250_000] + `"}`,
		"many texts":   `{"l":[` + strings.Repeat(`"`+half[:150]+`",`, 5000) + `""],"o":{},"s":"` + half[:150_000] + `"}`,
		"many members": `{"l":[],"s":"","o":{` + strings.Repeat(`"aaaaaaaa":1,`, 80_000) + `"a":1}}`,
		"deep":         nested,
		"deep lists": `{"s":"","o":` + strings.Repeat(`{"a":[`, 49) + strings.Repeat("1,", 400_000) + "1" +
			strings.Repeat(`]}`, 49) + `,"l":[]}`,
		"many empty lists": `{"l":[` + strings.Repeat(`[],`, 300_000) + `[]],"s":"","o":{}}`,
	}
}

func hostileExpressions() []string {
	return []string{
		`ctx.l.all(x, ctx.l.all(y, x == y))`, `ctx.l.map(x, ctx.l.map(y, x + y)).size() > 0`, `ctx.l.exists(x, x == 2)`,
		`ctx.l.all(x, x[0] == 1)`, `ctx.l.all(x, size(x) > 0)`, `ctx.l.all(x, 1 in x)`, `ctx.l[0] == ctx.l[1]`,
		`ctx.s in ctx.l`, `ctx.s in ["a", "b"]`, `ctx.s.matches("(a+)+b")`, `ctx.s.matches("(x?){200}(a|b)+c")`,
		`ctx.s.contains("aaaaaaaaaaaaaaaab")`, `ctx.s.contains(ctx.s + "b")`, `ctx.s + ctx.s + ctx.s + ctx.s == ctx.s`,
		`ctx.l.all(x, ctx.s.contains("ab"))`, `ctx.l.map(x, ctx.l.map(y, ctx.l)) == ctx.l.map(x, ctx.l.map(y, ctx.l))`,
		`ctx.l.all(x, ctx.o == ctx.o)`, `ctx.l.all(x, [ctx.o] == [ctx.o])`, `ctx.l.all(x, ctx == ctx)`,
		`ctx.l.all(x, ctx.o in [ctx.o])`, `ctx.l.all(x, ctx.s.charAt(3) == "a")`, `ctx.l.all(x, ctx.s.lowerAscii() != "")`,
		`ctx.l.all(x, ctx.s.trim() != "")`, `ctx.l.all(x, ctx.s.substring(3) != "")`,
		`ctx.l.all(x, ctx.s.upperAscii() != "")`,
		`[` + strings.Repeat(`ctx.s.charAt(3),`, 200) + `""] == []`, `math.greatest(ctx.l) > 1`,
		`ctx.l.all(x, {"a": ctx.s}.a != "")`, `ctx.l.all(x, size(ctx.l) > 0)`, `ctx.l.all(x, size(ctx.s) > 0)`,
		`ctx.l.all(x, has(ctx.x) || has(ctx.s))`, `ctx.o.all(k, ctx.o[k] == 1)`, `ctx.l.all(x, (ctx.l + ctx.l).size() > 0)`,
		`[1,2,3,4,5,6,7,8,9].all(a, [1,2,3,4,5,6,7,8,9].all(b, [1,2,3,4,5,6,7,8,9].all(c, ` +
			`[1,2,3,4,5,6,7,8,9].all(d, [1,2,3,4,5,6,7,8,9].all(e, true)))))`,
		`ctx` + strings.Repeat(".a", 15) + ` == 1`, `ctx` + strings.Repeat(".a", 95) + ` == 1`,
		`ctx.o` + strings.Repeat(".a[0]", 40) + ` == 1`,
		`[` + strings.Repeat(`ctx.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.b,`, 50) + `1] == []`,
		`has(ctx.a) || has(ctx.o.b) || has(ctx.o.c) || has(ctx.o.d) || has(ctx.o.e)`,
	}
}

// TestWhatCannotBeBoundedIsNotOffered: CEL counts a call once it is done, so
// nothing may make much of little in a single call.
func TestWhatCannotBeBoundedIsNotOffered(t *testing.T) {
	for _, expression := range []string{
		`ctx.s.replace("a", "aaa") == ""`, `ctx.s.replace("", ctx.s, 10000) == ""`, `ctx.l.join(ctx.s) == ""`,
		`ctx.s.split("") == []`,
		`"%s".format(ctx.l) == ""`, `ctx.s.indexOf(ctx.s) == 1`, `ctx.s.lastIndexOf(ctx.s) == 1`, `ctx.s.reverse() == ""`,
		`strings.quote(ctx.s) == ""`, `ctx.l.sort() == []`, `ctx.l.sortBy(x, x) == []`, `ctx.l.distinct() == []`,
		`ctx.l.flatten() == []`,
		`ctx.l.slice(0, 1) == []`, `lists.range(1000000) == []`, `sets.contains(ctx.l, ctx.l)`,
		`sets.equivalent(ctx.l, ctx.l)`,
		`sets.intersects(ctx.l, ctx.l)`, `ctx.l.hasAll(ctx.l)`, `ctx.s.matches(ctx.s)`,
	} {
		if _, err := Compile(expression); err == nil {
			t.Errorf("%s can be written", expression)
		}
	}
}

// TestNoConditionHoldsAWorker: whatever an event brings, a condition ends after
// a bounded number of steps, and makes no more of it than there is memory. The
// time is only a fence against what the counting does not see.
func TestNoConditionHoldsAWorker(t *testing.T) {
	const longest, most = 2 * time.Second, 128 << 20 // with the race detector, on a busy machine
	const aCall = 2 << 20 / 10                       // may go through all of the event before the limit is seen
	all := hostileCtx()
	for _, expression := range hostileExpressions() {
		c, err := Compile(expression)
		if err != nil {
			if !strings.Contains(err.Error(), "costs too much, whatever the event") {
				t.Errorf("%.80s: %v", expression, err)
			}
			continue
		}
		for kind, ctx := range all {
			facts := NewFacts(anEvent(ctx))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			facts.meter.begin()
			_, details, err := c.program.Eval(facts)
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			allocated := after.TotalAlloc - before.TotalAlloc
			if took > longest || allocated > most {
				t.Errorf("%.80s on %s took %s, and %d MB", expression, kind, took, allocated>>20)
			}
			if facts.meter.left < -maxElements {
				t.Errorf("%.80s on %s decoded %d values", expression, kind, maxDecoded-facts.meter.left)
			}
			if cost := details.ActualCost(); err == nil && cost != nil && *cost > maxCost+aCall {
				t.Errorf("%.80s on %s cost %d", expression, kind, *cost)
			}
			if took > 8*time.Millisecond {
				t.Logf("%6s %4d MB  %.70s on %s: %v", took.Round(100*time.Microsecond), allocated>>20, expression, kind, err)
			}
		}
	}
}

func TestTooMuchIsSaid(t *testing.T) {
	long := `{"l":[` + strings.Repeat("1,", maxElements) + `1],"n":1,"some":[` + strings.Repeat("1,", 200) +
		`1],"deep":` + strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth) + `}`
	for expression, want := range map[string]string{
		`ctx.n == 1`:                    "",
		`ctx.n == 1 || size(ctx.l) > 5`: "",
		`size(ctx.l) > 5 || true`: "it looks into a list or an object with more than " +
			"10000 elements, which is too much for a condition",
		`ctx.deep` + strings.Repeat("[0]", 18) + ` == []`: "",
		`ctx.deep` + strings.Repeat("[0]", 20) +
			` == []`: "it looks into what is nested deeper than 20, which is too much for a condition",
		`ctx.n == 1 && ctx.some.all(x, ctx.some.all(y, x + y > 0))`: "it costs too much on this event: look at fewer values",
	} {
		_, err := compile(t, expression).Holds(NewFacts(anEvent(long)))
		var e Fault
		if want == "" && err != nil || want != "" && (!errors.As(err, &e) || e.Error() != want) {
			t.Errorf("%s: %v; want %s", expression, err, want)
		}
	}
}
