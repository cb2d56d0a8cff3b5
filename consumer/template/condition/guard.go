package condition

import (
	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/decls"
	"cel.dev/cel-go/common/functions"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// The library counts what a call has cost once it is done. The calls here may
// take long, or make much of little, so they are weighed before they begin.

// guarded are the functions that are weighed first.
func guarded() []string {
	return []string{
		"charAt", "format", "indexOf", "lastIndexOf", "lowerAscii", "upperAscii", "replace", "split", "substring", "trim",
		"strings.quote", "reverse", "join", "distinct", "flatten", "slice", "lists.range",
		"sets.contains", "sets.equivalent", "sets.intersects", "hasAll", "hasAny", "hasExactly", "hasOnly",
	}
}

// products are calls that go through, or make, more than they are given.
var products = map[string]func(args []ref.Val) int{
	"replace":         ofReplace,
	"join":            ofJoin,
	"format":          ofFormat,
	"distinct":        func(args []ref.Val) int { return pairs(args[0], args[0]) },
	"sets.contains":   ofSets,
	"sets.equivalent": ofSets,
	"sets.intersects": ofSets,
	"hasAll":          ofSets,
	"hasAny":          ofSets,
	"hasExactly":      ofSets,
	"hasOnly":         ofSets,
	"lists.range":     ofRange,
}

func ofReplace(args []ref.Val) int {
	text, old, by := weight("", args[0]), weight("", args[1]), weight("", args[2])
	return text + product(text/max(old, 1)+1, by)
}

func ofJoin(args []ref.Val) int {
	total := weight("", args[0])
	if between := args[1:]; len(between) > 0 {
		total += product(length(args[0]), weight("", between[0]))
	}
	return total
}

// ofFormat counts each argument for each clause, which has two letters at
// least.
func ofFormat(args []ref.Val) int {
	clauses := weight("", args[0])/2 + 1
	return product(clauses, weight("", args[1]))
}

func ofSets(args []ref.Val) int { return pairs(args[0], args[1]) }

func ofRange(args []ref.Val) int {
	if n, ok := args[0].(types.Int); ok && n > 0 {
		return product(8, int(min(n, maxWork)))
	}
	return 8
}

// pairs is for comparing each element of a list with each of another.
func pairs(a, b ref.Val) int {
	return product(max(weight("", a)/8, length(a)), max(weight("", b)/8, length(b)))
}

// product is a*b, or just more than maxWork where it is more.
func product(a, b int) int {
	if b > 0 && a > maxWork/b {
		return maxWork + 1
	}
	return a * b
}

func length(v ref.Val) int {
	if sizer, ok := v.(traits.Sizer); ok {
		if n, ok := sizer.Size().(types.Int); ok {
			return int(n)
		}
	}
	return 1
}

// guards redefine the guarded functions of an environment.
func guards(env *cel.Env) ([]cel.EnvOption, error) {
	var options []cel.EnvOption
	all := env.Functions()
	for _, name := range guarded() {
		overloads, err := guardsOf(all[name])
		if err != nil {
			return nil, err
		}
		options = append(options, cel.Function(name, overloads...))
	}
	return options, nil
}

func guardsOf(f *decls.FunctionDecl) ([]cel.FunctionOpt, error) {
	bindings, err := f.Bindings()
	if err != nil {
		return nil, err
	}
	var options []cel.FunctionOpt
	for _, o := range f.OverloadDecls() {
		for _, b := range bindings {
			if b.Operator == o.ID() {
				options = append(options, redefined(o, guard(f.Name(), b)))
			}
		}
	}
	return options, nil
}

func redefined(o *decls.OverloadDecl, binding cel.OverloadOpt) cel.FunctionOpt {
	if o.IsMemberFunction() {
		return cel.MemberOverload(o.ID(), o.ArgTypes(), o.ResultType(), binding)
	}
	return cel.Overload(o.ID(), o.ArgTypes(), o.ResultType(), binding)
}

func guard(name string, f *functions.Overload) cel.OverloadOpt {
	weigh := func(args ...ref.Val) {
		if work(name, args) > maxWork {
			end(tooCostly)
		}
	}
	switch {
	case f.Unary != nil:
		return cel.UnaryBinding(func(a ref.Val) ref.Val {
			weigh(a)
			return f.Unary(a)
		})
	case f.Binary != nil:
		return cel.BinaryBinding(func(a, b ref.Val) ref.Val {
			weigh(a, b)
			return f.Binary(a, b)
		})
	}
	return cel.FunctionBinding(func(args ...ref.Val) ref.Val {
		weigh(args...)
		return f.Function(args...)
	})
}
