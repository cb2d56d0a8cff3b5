package condition

import (
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
)

// check parses a condition and checks its types. What is wrong is said in CEL's
// own words, except where the rule is ours.
func check(expression string) (*cel.Ast, Faults) {
	parsed, issues := environment().Parse(expression)
	if issues.Err() != nil {
		// What the parser says of a line after what it said first mostly follows from that.
		return nil, slices.CompactFunc(faultsOf(issues), func(a, b Fault) bool { return a.Line == b.Line })
	}
	if faults := misuses(parsed.NativeRep()); faults != nil {
		return nil, faults
	}
	checked, issues := environment().Check(parsed)
	if issues.Err() != nil {
		return nil, faultsOf(issues)
	}
	if got := checked.OutputType(); !got.IsExactType(types.BoolType) && !got.IsExactType(types.DynType) {
		detail := "gives " + got.String() + ", where it must be true or false: compare it with something"
		return nil, Faults{{Line: 1, Column: 1, Detail: detail}}
	}
	return checked, nil
}

func faultsOf(issues *cel.Issues) Faults {
	var faults Faults
	for _, e := range issues.Errors() {
		line, column := position(e.Location)
		fault := Fault{Line: line, Column: column, Detail: e.Message}
		if !slices.Contains(faults, fault) {
			faults = append(faults, fault)
		}
	}
	return faults
}

// misuses finds uses of event and of matches that are wrong by rules of ours.
func misuses(parsed *ast.AST) Faults {
	var faults Faults
	every := func(ast.NavigableExpr) bool { return true }
	for _, e := range ast.MatchDescendants(ast.NavigateAST(parsed), every) {
		at, detail := e.ID(), ""
		switch parent, nested := e.Parent(); {
		case e.Kind() == ast.IdentKind && e.AsIdent() == eventName:
			if !nested || parent.Kind() != ast.SelectKind {
				detail = "event is not a value itself: name one of its fields, such as event.country"
			} else if parent.AsSelect().IsTestOnly() {
				detail = "an event always has its fields, and an absent text is empty: compare event." +
					parent.AsSelect().FieldName() + ` with "" instead of asking with has`
			}
		case e.Kind() == ast.CallKind && e.AsCall().FunctionName() == overloads.Matches && len(e.AsCall().Args()) > 0:
			if pattern := e.AsCall().Args()[len(e.AsCall().Args())-1]; pattern.Kind() != ast.LiteralKind {
				at, detail = pattern.ID(), "the pattern of matches must stand in the condition itself, in quotes"
			}
		}
		if detail != "" {
			line, column := position(parsed.SourceInfo().GetStartLocation(at))
			faults = append(faults, Fault{Line: line, Column: column, Detail: detail})
		}
	}
	return faults
}

// position counts from 1; it is 0 when it is not known.
func position(at common.Location) (line, column int) {
	if at.Line() < 1 {
		return 0, 0
	}
	return at.Line(), at.Column() + 1
}
