package condition

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/meddela/meddela/topology"
)

const orderCtx = `{"order":{"number":"A-1007","total":129.90,"count":3,"lines":[{"sku":"x","n":1},{"sku":"y","n":5}]},
	"vip":true,
	"note":null,"texts":["a","b"],"big":9007199254740993,"huge":1e300,"odd key":"yes","twice":1,"twice":2,
	"deep":{"a":{"b":{"c":"d"}}}}`

func anEvent(ctx string) *topology.Event {
	return &topology.Event{
		ID: "e-1", Type: "order", Channel: topology.Email, To: "kim@example.com", Language: "sv-FI", Country: "FI",
		Scheduled: time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC), Ctx: []byte(ctx),
	}
}

func compile(tb testing.TB, expression string) *Condition {
	tb.Helper()
	c, err := Compile(expression)
	if err != nil {
		tb.Fatalf("%s: %v", expression, err)
	}
	return c
}

func TestHolds(t *testing.T) {
	for _, test := range []struct {
		expression string
		want       bool
		err        string
	}{
		{`true`, true, ""},
		{`event.country == "FI"`, true, ""},
		{`event.country in ["SE", "NO"]`, false, ""},
		{`event.to.endsWith("@example.com")`, true, ""},
		{`event.origin == ""`, true, ""},
		{`event.channel == "email" && event.type == "order"`, true, ""},
		{`event.language.startsWith("sv")`, true, ""},
		{`event.scheduled.hasValue() && event.scheduled.value() > timestamp("2026-11-30T00:00:00Z")`, true, ""},
		{`event.expiration.hasValue()`, false, ""},
		{`ctx.vip`, true, ""},
		{`!ctx.vip`, false, ""},
		{`ctx.order.total > 100`, true, ""},
		{`ctx.order.total > 129.9`, false, ""},
		{`ctx.order.total == 129.9`, true, ""},
		{`ctx.order.count == 3 && ctx.order.count == 3.0 && ctx.order.count >= 2.5`, true, ""},
		{`ctx.big == 9007199254740993`, true, ""},
		{`ctx.huge > 5`, true, ""},
		{`ctx.note == null`, true, ""},
		{`ctx["odd key"] == "yes"`, true, ""},
		{`ctx.twice == 2`, true, ""},
		{`has(ctx.order.voucher)`, false, ""},
		{`has(ctx.order.total) && has(ctx.deep.a.b.c)`, true, ""},
		{`has(ctx.order.voucher) && ctx.order.voucher.code == "X"`, false, ""},
		{`ctx.?order.?voucher.orValue("none") == "none"`, true, ""},
		{`ctx.?a.?b.?c.hasValue()`, false, ""},
		{`ctx.order.lines.exists(l, l.n > 4)`, true, ""},
		{`ctx.order.lines.all(l, l.n > 4)`, false, ""},
		{`ctx.order.lines.map(l, l.n).exists(n, n == 5)`, true, ""},
		{`size(ctx.order.lines) == 2 && ctx.order.lines[1].sku == "y"`, true, ""},
		{`"b" in ctx.texts && "vip" in ctx`, true, ""},
		{`ctx.exists(k, k == "vip") && size(ctx) == 9`, true, ""},
		{`ctx.deep == {"a": {"b": {"c": "d"}}}`, true, ""},
		{`ctx.order.number.matches("^[A-Z]-[0-9]+$")`, true, ""},
		{`ctx.order.number.lowerAscii() == "a-1007"`, true, ""},
		{`double(string(ctx.order.count)) + 0.5 > 3.0`, true, ""},
		{`math.greatest(ctx.order.count, 7) == 7`, true, ""},

		{`ctx.order.totl > 100`, false, `1:10: ctx.order.totl is missing: ask with has(ctx.order.totl)`},
		{`event.country == "FI" &&
  ctx.ordr.total > 100`, false, `2:11: ctx.ordr is missing: ask with has(ctx.ordr)`},
		{`ctx["nothing"].x == 1`, false, `1:15: ctx.nothing is missing: ask with has(ctx.nothing)`},
		{`ctx.order.number.x == 1`, false,
			`1:17: ctx.order.number.x is missing, or is read of what is no object: ask with has(ctx.order.number.x)`},
		{`ctx.order.number > 100`, false, `1:18: > was given values that do not fit, such as a text and a number`},
		{`ctx.order.number == 100`, false, `1:18: == was given values that do not fit, such as a text and a number`},
		{`100 != ctx.order.number`, false, `1:5: != was given values that do not fit, such as a text and a number`},
		{`ctx.vip == "true"`, false, `1:9: == was given values that do not fit, such as a text and a number`},
		{`ctx.order == ctx.order.lines`, false, `1:11: == was given values that do not fit, such as a text and a number`},
		{`ctx.note == 1 || null == ctx.order`, false, ""},
		{`ctx.note != 1 && ctx.order.number != null`, true, ""},
		{`ctx.order.number in ["A-1007", "A-1008"] && !(ctx.note in ["x"])`, true, ""},
		{`ctx.order.count in ["3", "4"]`, false, `1:17: in was given values that do not fit, such as a text and a number`},
		{`ctx.order.count in [4, 3.0] && !(ctx.order.count in [])`, true, ""},
		{`ctx.order.number in [4, 3]`, false, `1:18: in was given values that do not fit, such as a text and a number`},
		{`"c" in ctx.texts`, false, ""},
		{`5 in ctx.texts`, false, `1:3: in was given values that do not fit, such as a text and a number`},
		{`ctx.texts.exists(t, t == 5)`, false, `1:23: == was given values that do not fit, such as a text and a number`},
		{`ctx.order.total in ctx.order.lines.map(l, l.n)`, false, ""},
		{`ctx.order.total + 1 > 130.8 && ctx.order.total + 1 < 131`, true, ""},
		{`1.0 + ctx.order.total - ctx.order.count == 127.9`, true, ""},
		{`ctx.order.total * 2 > 259.7 && ctx.order.total / 2 < 65 && 2 * ctx.order.count == 6`, true, ""},
		{`ctx.order.count / 2 == 1`, true, ""},
		{`ctx.order.number + "x" == "A-1007x" && "a" + ctx.order.number == "aA-1007"`, true, ""},
		{`ctx.order.number + 1 == 5`, false, `1:18: + was given values that do not fit, such as a text and a number`},
		{`ctx.order.number - 1 == 5`, false, `1:18: - was given values that do not fit, such as a text and a number`},
		{`(ctx.texts + ["c"]).size() == 3`, true, ""},
		{`event.scheduled.value() + duration(ctx.?wait.orValue("1h")) > timestamp("2026-12-01T08:30:00Z")`, true, ""},
		{`ctx["odd key"].x == 1`, false,
			`1:15: ctx["odd key"].x is missing, or is read of what is no object: ask with has(ctx["odd key"].x)`},
		{`ctx.order["other key"] == 1`, false, `1:10: ctx.order["other key"] is missing: ask with "other key" in ctx.order`},
		{`ctx.order.count.matches("3")`, false, `1:24: matches was given a value that does not fit`},
		{`ctx.order.lines.exists(l, l.price > 4)`, false,
			`1:28: l.price is missing, or is read of what is no object: ask with has(l.price)`},
		{`ctx.order.lines[7].n == 1`, false, `1:19: ctx.order.lines[7] is missing: ask with size(ctx.order.lines) > 7`},
		{`ctx.order.count / 0 == 1`, false, `1:17: divides by zero, or what is not a number`},
		{`int(ctx.order.number) == 1`, false, `1:4: int was given a value that does not fit`},
		{`ctx.order.number`, false, `1:1: gives a value that is neither true nor false: compare it with something`},
		{`ctx.order.total > 100 || ctx.nothing`, true, ""},
		{`ctx.nothing || ctx.order.total > 100`, true, ""},
		{`timestamp(event.to) > timestamp("2026-11-30T00:00:00Z")`, false,
			`1:10: timestamp was given a value that does not fit`},
	} {
		holds, err := compile(t, test.expression).Holds(NewFacts(anEvent(orderCtx)))
		text := ""
		if err != nil {
			text = err.Error()
			var e Fault
			if !errors.As(err, &e) {
				t.Errorf("%s: error of type %T", test.expression, err)
			}
		}
		if holds != test.want || text != test.err {
			t.Errorf("%s\n got %v %s\nwant %v %s", test.expression, holds, text, test.want, test.err)
		}
	}
}

func TestFaults(t *testing.T) {
	for _, test := range []struct{ expression, want string }{
		{``, ``},
		{`ctx.order.total >`, ``},
		{`event.languge == "sv"`, `1:6: undeclared reference to 'event.languge' (did you mean 'event.language'?)`},
		{`event.weight > 5`, `1:6: undeclared reference to 'event.weight' (did you mean 'event.origin'?)`},
		{`event == "x"`, `1:1: event is not a value itself: name one of its fields, such as event.country`},
		{`has(event.country)`, `1:5: an event always has its fields, and an absent text is empty: compare event.country ` +
			`with "" instead of asking with has`},
		{`order.total > 5`, `1:1: undeclared reference to 'order'`},
		{`event.country + 1 == ""`, `1:15: found no matching overload for '_+_' applied to '(string, int)'`},
		{`event.country == 5`, `1:15: found no matching overload for '_==_' applied to '(string, int)'`},
		{`event.country`, `1:1: gives string, where it must be true or false: compare it with something`},
		{`size(ctx.lines)`, `1:1: gives int, where it must be true or false: compare it with something`},
		{"event.country == 'FI' &&\n  event.typ == 'order' &&\n foo(ctx.x)",
			"2:8: undeclared reference to 'event.typ' (did you mean 'event.type'?); 3:5: undeclared reference to 'foo'"},
		{`ctx.order.total > 100 && "x"`, `1:26: expected type 'bool' but found 'string'`},
		{`event.scheduled > timestamp("2026-01-01T00:00:00Z")`,
			`1:17: found no matching overload for '_>_' applied to '(optional_type(timestamp), timestamp)'`},
		{`[[ctx.a]] == {"a": [1]}`, `1:11: found no matching overload for '_==_' applied to '(list(list(dyn)), ` +
			`map(string, list(int)))'`},
		{strings.Repeat("(1+", 60) + "1" + strings.Repeat(")", 60), `expression recursion limit exceeded: 100`},
		{`ctx.total * 2 == 5.5`, `1:15: found no matching overload for '_==_' applied to '(int, double)'`},
		{`ctx.a.matches(ctx.b)`, `1:18: the pattern of matches must stand in the condition itself, in quotes`},
		{`matches(ctx.a, 5)`, `1:8: found no matching overload for 'matches' applied to '(dyn, int)'`},
		{`ctx.a.matches("a[")`, `1:15: invalid matches argument`},
		{`ctx.a.matches("(a{100}){9}b{99}")`, `1:15: regex program size 1019 exceeds limit of 1000`},
		{strings.Repeat("x", MaxBytes+1), `the condition has 4097 bytes: at most 4096 can be`},
	} {
		_, err := Compile(test.expression)
		var faults Faults
		if !errors.As(err, &faults) || len(faults) == 0 {
			t.Errorf("%q: error %v", test.expression, err)
			continue
		}
		if test.want != "" && err.Error() != test.want {
			t.Errorf("%s\n got %s\nwant %s", test.expression, err, test.want)
		}
	}
}

// TestSyntaxFaultsSayWhere: the words are the parser's own.
func TestSyntaxFaultsSayWhere(t *testing.T) {
	for expression, want := range map[string][2]int{
		"ctx.vip >": {1, 10}, "ctx.a = 1": {1, 7}, "ctx.a & ctx.b": {1, 7}, "ctx.a and ctx.b": {1, 7}, "(ctx.a": {1, 7},
		"ctx.a)":      {1, 6},
		"ctx.a ctx.b": {1, 7}, "ctx.a == 'x": {1, 10}, "ctx.a == “x”": {1, 10}, "ctx.a ? 1": {1, 10}, "ctx.a == #1": {1, 10},
		"ctx.a &&\n  (ctx.b": {2, 9}, "event.country == SE": {1, 18},
	} {
		_, err := Compile(expression)
		faults, ok := errors.AsType[Faults](err)
		if !ok || len(faults) != 1 || faults[0].Line != want[0] || faults[0].Column != want[1] || faults[0].Detail == "" {
			t.Errorf("%q: %v; want one fault at %v", expression, err, want)
		}
	}
}

func TestConjuncts(t *testing.T) {
	for expression, want := range map[string]int{
		`ctx.a`: 1, `ctx.a && ctx.b`: 2, `ctx.a && (ctx.b && ctx.c) && ctx.d`: 4, `ctx.a || ctx.b && ctx.c`: 1,
		`!(ctx.a && ctx.b)`: 1, `true`: 0, `true && true && 1 < 2 && ctx.a`: 1, `ctx.a && ctx.a && (ctx.a)`: 1,
		`event.country == "FI" && event.country=="FI" && event.country != "SE"`: 2, `[1].exists(x, x == 1) && ctx.a`: 1,
		`ctx.l.exists(x, x > 1) && ctx.a`: 2, `has(ctx.a) && ctx.a && has(ctx.a)`: 2,
	} {
		if got := compile(t, expression).Conjuncts; got != want {
			t.Errorf("%s has %d conjuncts; want %d", expression, got, want)
		}
	}
}

// TestErrorsHaveNothingOfTheEvent: whatever fails, its text is from the
// condition.
func TestErrorsHaveNothingOfTheEvent(t *testing.T) {
	event := anEvent(`{"secret":"hunter2","n":{"hunter2":1},"l":["hunter2"]}`)
	event.To, event.Country = "hunter2@example.com", "hunter2"
	for _, expression := range []string{
		`ctx[event.to] == 1`, `ctx.n[ctx.secret + "x"] == 1`, `int(ctx.secret) == 1`,
		`timestamp(ctx.secret) == timestamp(ctx.secret)`,
		`duration(event.to) == duration("1s")`, `ctx.secret.x`, `ctx.secret > 1`, `ctx.l[5] == ""`, `ctx.l.exists(x, x.y)`,
		`ctx.secret == 5`, `ctx.secret in [1]`, `ctx.secret - 1 == 0`,
		`bool(ctx.secret)`, `ctx.secret.substring(100) == ""`, `ctx.n.exists(k, ctx.n[k] > "x")`,
		`ctx.secret.charAt(100) == ""`,
	} {
		_, err := compile(t, expression).Holds(NewFacts(event))
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: error %v", expression, err)
		}
	}
}

func TestSeveralGoroutines(t *testing.T) {
	c := compile(t, `event.country == "FI" && ctx.order.lines.exists(l, l.n > 4) && ctx.order.total > 100`)
	bad := compile(t, `ctx.order.number > 5`)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 200 {
				facts := NewFacts(anEvent(orderCtx))
				if holds, err := c.Holds(facts); !holds || err != nil {
					t.Errorf("%v, %v", holds, err)
				}
				if _, err := bad.Holds(facts); err == nil {
					t.Error("a text was compared with a number")
				}
			}
		})
	}
	all.Wait()
}

func FuzzCondition(f *testing.F) {
	f.Add(`ctx.order.total > 100 && event.country == "FI"`, orderCtx)
	f.Add(`ctx.l.exists(x, x.y == [1, {"a": 2.5}])`, `{"l":[{"y":[1,{"a":2.5}]}]}`)
	f.Add(`has(ctx.a) ? ctx.a : ctx[event.id]`, `{"a":null}`)
	f.Add(`ctx.?a[?0].orValue(optional.of(1)) != 2u`, `{"a":[]}`)
	f.Fuzz(func(t *testing.T, expression, ctx string) {
		start := time.Now()
		defer func() {
			if took := time.Since(start); took > 2*time.Second {
				t.Fatalf("took %s", took)
			}
		}()
		c, err := Compile(expression)
		if err != nil {
			var faults Faults
			if !errors.As(err, &faults) || len(faults) == 0 {
				t.Fatalf("error %T %v", err, err)
			}
			return
		}
		facts := NewFacts(anEvent(ctx))
		holds, err := c.Holds(facts)
		again, errAgain := c.Holds(facts)
		if holds != again || (err == nil) != (errAgain == nil) {
			t.Fatalf("%v %v, then %v %v", holds, err, again, errAgain)
		}
	})
}

func BenchmarkHolds(b *testing.B) {
	kilobyte := `{"filler":"` + strings.Repeat("0123456789", 80) +
		`","order":{"number":"A-1007","total":129.90,"lines":[{"n":1},{"n":5}]}}`
	for _, expression := range []string{
		`event.country == "FI"`, `event.country == "FI" && ctx.order.total > 100`, `ctx.order.lines.exists(l, l.n > 4)`,
	} {
		b.Run(strings.ReplaceAll(expression, " ", "_"), func(b *testing.B) {
			c := compile(b, expression)
			event := anEvent(kilobyte)
			b.ReportAllocs()
			for b.Loop() {
				if holds, err := c.Holds(NewFacts(event)); !holds || err != nil {
					b.Fatal(holds, err)
				}
			}
		})
	}
}

// BenchmarkHoldsAgain is for one more condition on facts of which what it reads
// is decoded.
func BenchmarkHoldsAgain(b *testing.B) {
	c, facts := compile(b, `event.country == "FI" && ctx.order.total > 100`), NewFacts(anEvent(orderCtx))
	b.ReportAllocs()
	for b.Loop() {
		if holds, err := c.Holds(facts); !holds || err != nil {
			b.Fatal(holds, err)
		}
	}
}

// BenchmarkCompile also tells what a compiled condition weighs.
func BenchmarkCompile(b *testing.B) {
	expression := func(i int) string {
		return fmt.Sprintf(`event.country == "FI" && ctx.order.total > %d`, i)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		compile(b, expression(i))
		i++
	}
	const kept = 1000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	all := make([]*Condition, kept)
	for i := range all {
		all[i] = compile(b, expression(i))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/kept, "B/kept")
	runtime.KeepAlive(all)
}
