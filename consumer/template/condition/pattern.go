package condition

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// maxPattern is the greatest size of a pattern, in steps of its program: each
// letter of a text may take all of them.
const maxPattern = 1000

// patternFaults finds the patterns that matches cannot take.
func patternFaults(parsed *ast.AST) Faults {
	var faults Faults
	isMatch := func(e ast.NavigableExpr) bool {
		return e.Kind() == ast.CallKind && e.AsCall().FunctionName() == overloads.Matches
	}
	for _, e := range ast.MatchDescendants(ast.NavigateAST(parsed), isMatch) {
		args := e.AsCall().Args()
		if len(args) == 0 {
			continue
		}
		pattern := args[len(args)-1]
		if detail := patternFault(pattern); detail != "" {
			line, column := place(parsed, pattern.ID())
			faults = append(faults, Fault{line, column, detail})
		}
	}
	return faults
}

func patternFault(e ast.Expr) string {
	if e.Kind() != ast.LiteralKind {
		return "the pattern of matches must stand in the condition itself, in quotes"
	}
	pattern, ok := e.AsLiteral().(types.String)
	if !ok {
		return "the pattern of matches must be a text, in quotes"
	}
	steps, err := types.RegexProgramSize(string(pattern))
	var bad *syntax.Error
	switch {
	case errors.As(err, &bad):
		return fmt.Sprintf("the pattern is not one: %s: `%s`", bad.Code, bad.Expr)
	case err != nil:
		return "the pattern is not one"
	case steps > maxPattern:
		return fmt.Sprintf("the pattern has %d steps when repetitions are written out: at most %d can be", steps, maxPattern)
	}
	return ""
}

// matching is nil for what is no pattern.
func matching(constant ref.Val) operation {
	pattern, ok := constant.(types.String)
	if !ok {
		return nil
	}
	steps, err := types.RegexProgramSize(string(pattern))
	if err != nil {
		return nil
	}
	compiled, err := regexp.Compile(string(pattern))
	if err != nil {
		return nil
	}
	return func(v, _ ref.Val) ref.Val {
		text, ok := v.(types.String)
		if !ok {
			return misfit()
		}
		if product(len(text), steps) > maxWork {
			end(tooCostly)
		}
		return types.Bool(compiled.MatchString(string(text)))
	}
}
