package condition

import (
	"errors"
	"math"
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
		"lists of what a condition may look into": `{"l":[` + strings.Repeat("1,", maxElements-1) + `1],"o":{"l":[` + strings.Repeat("1,", 50_000) + `1]},"s":"` + half + `"}`,
		"a long list":      `{"l":[` + strings.Repeat("1,", 500_000) + `1],"o":{},"s":""}`,
		"many long lists":  `{"l":[` + strings.Repeat("["+strings.Repeat("1,", 4_999)+"1],", 99) + `[1]],"o":{"a":1},"s":"x"}`,
		"long texts":       `{"l":["` + half[:400_000] + `","` + half[:100_000] + `"],"o":{"a":"` + half[:200_000] + `"},"s":"` + half[:250_000] + `"}`,
		"many texts":       `{"l":[` + strings.Repeat(`"`+half[:150]+`",`, 5000) + `""],"o":{},"s":"` + half[:150_000] + `"}`,
		"many members":     `{"l":[],"s":"","o":{` + strings.Repeat(`"aaaaaaaa":1,`, 80_000) + `"a":1}}`,
		"deep":             nested,
		"deep lists":       `{"s":"","o":` + strings.Repeat(`{"a":[`, 49) + strings.Repeat("1,", 400_000) + "1" + strings.Repeat(`]}`, 49) + `,"l":[]}`,
		"many empty lists": `{"l":[` + strings.Repeat(`[],`, 300_000) + `[]],"s":"","o":{}}`,
	}
}

func hostileExpressions() []string {
	return []string{
		`ctx.l.all(x, ctx.l.all(y, x == y))`, `ctx.l.map(x, ctx.l.map(y, x + y)).size() > 0`, `ctx.l.exists(x, x == 2)`,
		`ctx.l.all(x, x[0] == 1)`, `ctx.l.all(x, size(x) > 0)`, `ctx.l.all(x, 1 in x)`, `ctx.l[0] == ctx.l[1]`, `ctx.s in ctx.l`, `ctx.s in ["a", "b"]`,
		`ctx.s.matches("(a+)+b")`, `ctx.s.matches("(x?){200}(a|b)+c")`, `ctx.s.contains("aaaaaaaaaaaaaaaab")`, `ctx.s + ctx.s + ctx.s + ctx.s == ctx.s`,
		`ctx.l.all(x, ctx.s.contains("ab"))`, `ctx.s.replace("a", "aaaaaaaaaaaaaaaaaaaaaa").size() > 5`,
		`ctx.s.replace("", "` + strings.Repeat("b", 3000) + `").size() > 5`, `ctx.s.replace("", ctx.s).size() > 5`, `ctx.s.replace("", ctx.s, 10000).size() > 5`,
		`ctx.l.join(ctx.s).size() > 5`, `ctx.l.map(x, "a").join(ctx.s).size() > 5`, `"` + strings.Repeat("%s", 1500) + `".format(ctx.l.map(x, ctx.s)).size() > 5`,
		`ctx.l.sort().size() > 1`, `ctx.l.sortBy(x, ctx.s).size() > 1`, `ctx.s.split("").size() > 5`, `sets.contains(ctx.l, ctx.l)`, `sets.equivalent(ctx.l, ctx.l + [1])`,
		`sets.intersects(ctx.l, ["b"])`, `ctx.l.distinct().size() == 1`, `ctx.l.hasAll(ctx.l)`, `lists.range(size(ctx.l) * 100000).size() > 5`,
		`ctx.l.all(x, ctx.o == ctx.o)`, `ctx.l.all(x, [ctx.o] == [ctx.o])`, `ctx.l.all(x, ctx == ctx)`, `ctx.l.all(x, ctx.o in [ctx.o])`,
		`ctx.l.all(x, ctx.s.charAt(3) == "a")`, `ctx.l.all(x, ctx.s.lowerAscii() != "")`, `ctx.l.all(x, ctx.s.trim() != "")`,
		`ctx.l.all(x, {"a": ctx.s}.a != "")`, `ctx.l.all(x, ctx.l.slice(0, 1000) != [])`, `ctx.l.all(x, ctx.l.flatten() != [])`, `ctx.l.flatten(5) == []`,
		`ctx.l.all(x, size(ctx.l) > 0)`, `ctx.l.all(x, size(ctx.s) > 0)`, `ctx.l.all(x, has(ctx.x) || has(ctx.s))`, `ctx.o.all(k, ctx.o[k] == 1)`,
		`ctx.l.all(x, ctx.l.reverse().size() > 0)`, `ctx.l.all(x, (ctx.l + ctx.l).size() > 0)`,
		`[1,2,3,4,5,6,7,8,9].all(a, [1,2,3,4,5,6,7,8,9].all(b, [1,2,3,4,5,6,7,8,9].all(c, [1,2,3,4,5,6,7,8,9].all(d, [1,2,3,4,5,6,7,8,9].all(e, true)))))`,
		`ctx` + strings.Repeat(".a", 15) + ` == 1`, `ctx` + strings.Repeat(".a", 95) + ` == 1`, `ctx.o` + strings.Repeat(".a[0]", 40) + ` == 1`,
		`[` + strings.Repeat(`ctx.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.b,`, 50) + `1] == []`, `has(ctx.a) || has(ctx.o.b) || has(ctx.o.c) || has(ctx.o.d) || has(ctx.o.e)`,
	}
}

// TestNoConditionHoldsAWorker: whatever an event brings, a condition ends soon,
// and makes no more of it than there is memory.
func TestNoConditionHoldsAWorker(t *testing.T) {
	const longest, most = 250 * time.Millisecond, 128 << 20 // with the race detector, on a busy machine
	all := hostileCtx()
	for _, expression := range hostileExpressions() {
		c, err := Compile(expression)
		if err != nil {
			if !strings.Contains(err.Error(), "costs too much, whatever the event") {
				t.Errorf("%s: %v", expression, err)
			}
			continue
		}
		for kind, ctx := range all {
			took, allocated, err := measured(c, ctx)
			if took > longest || allocated > most {
				t.Errorf("%.80s on %s took %s, and %d MB", expression, kind, took, allocated>>20)
			}
			if took > 8*time.Millisecond {
				t.Logf("%6s %4d MB  %.70s on %s: %v", took.Round(100*time.Microsecond), allocated>>20, expression, kind, err)
			}
		}
	}
}

// measured is the best of a few times, each on facts of its own; the first will
// do where it is good.
func measured(c *Condition, ctx string) (took time.Duration, allocated uint64, err error) {
	const good = 50 * time.Millisecond
	took = math.MaxInt64
	event := anEvent(ctx)
	for i := 0; i < 3 && took > good; i++ {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		_, err = c.Holds(NewFacts(event))
		took = min(took, time.Since(start))
		runtime.ReadMemStats(&after)
		allocated = after.TotalAlloc - before.TotalAlloc
	}
	return took, allocated, err
}

func TestTooMuchIsSaid(t *testing.T) {
	long := `{"l":[` + strings.Repeat("1,", maxElements) + `1],"n":1,"deep":` + strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth) + `}`
	for expression, want := range map[string]string{
		`ctx.n == 1`:                                              "",
		`ctx.n == 1 || size(ctx.l) > 5`:                           "",
		`size(ctx.l) > 5 || true`:                                 "it looks into a list or an object with more than 10000 elements, which is too much for a condition",
		`ctx.deep` + strings.Repeat("[0]", 18) + ` == []`:         "",
		`ctx.deep` + strings.Repeat("[0]", 20) + ` == []`:         "it looks into what is nested deeper than 20, which is too much for a condition",
		`ctx.n == 1 && lists.range(999999).all(x, x + ctx.n > 0)`: "it costs too much on this event: look at fewer values",
	} {
		_, err := compile(t, expression).Holds(NewFacts(anEvent(long)))
		var e *Error
		if want == "" && err != nil || want != "" && (!errors.As(err, &e) || e.Error() != want) {
			t.Errorf("%s: %v; want %s", expression, err, want)
		}
	}
}
