package condition

import (
	"regexp"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// eventName is what the names of the event's fields start with.
const eventName = "event"

// misuses finds uses of event that would be told in words which do not help.
func misuses(parsed *ast.AST) Faults {
	var faults Faults
	isEvent := func(e ast.NavigableExpr) bool { return e.Kind() == ast.IdentKind && e.AsIdent() == eventName }
	for _, e := range ast.MatchDescendants(ast.NavigateAST(parsed), isEvent) {
		parent, ok := e.Parent()
		detail := ""
		switch {
		case !ok || parent.Kind() != ast.SelectKind:
			detail = "event is not a value itself: name one of its fields, such as event.country"
		case parent.AsSelect().IsTestOnly():
			detail = "an event always has its fields, and an absent text is empty: compare event." + parent.AsSelect().FieldName() + ` with "" instead of asking with has`
		default:
			continue
		}
		line, column := place(parsed, e.ID())
		faults = append(faults, Fault{line, column, detail})
	}
	return faults
}

// place is where an expression starts, from 1; 0 when it is not known.
func place(a *ast.AST, id int64) (line, column int) {
	at := a.SourceInfo().GetStartLocation(id)
	if at.Line() < 1 {
		return 0, 0
	}
	return at.Line(), at.Column() + 1
}

func faultsOf(issues *cel.Issues) Faults {
	var faults Faults
	for _, e := range issues.Errors() {
		fault := Fault{e.Location.Line(), e.Location.Column() + 1, reworded(e.Message)}
		if fault.Line < 1 {
			fault.Line, fault.Column = 0, 0
		}
		if !slices.Contains(faults, fault) {
			faults = append(faults, fault)
		}
	}
	return faults
}

var (
	noOverload   = regexp.MustCompile(`^found no matching overload for '([^']*)' applied to '(.*)'$`)
	undeclared   = regexp.MustCompile(`^undeclared reference to '([^']*)'( \(in container '[^']*'\))?(.*)$`)
	wrongOperand = regexp.MustCompile(`^expected type '(.*)' but found '(.*)'$`)
)

// reworded says what the checker says in the words of authors.
func reworded(message string) string {
	if m := noOverload.FindStringSubmatch(message); m != nil {
		name := m[1]
		sign, ok := operators.FindReverse(name)
		switch {
		case m[2] == "(int, double)", m[2] == "(double, int)":
			return sign + " does not take a whole number and a fraction: write whole ones as 2.0, or convert with double(…)"
		case ok && sign != "":
			return sign + " does not take " + kinds(m[2]) + ": make both sides of one kind, with string(…), int(…) or double(…)"
		}
		return name + " does not take " + kinds(m[2]) + ": see the functions of CEL"
	}
	if m := undeclared.FindStringSubmatch(message); m != nil {
		what, hint := m[1], strings.TrimSpace(m[3])
		switch {
		case likely(what, hint):
			return what + " is not known " + hint
		case strings.HasPrefix(what, eventName+"."):
			return what + " is not known: event has " + strings.ReplaceAll(strings.Join(allFields(), ", "), eventName+".", "")
		}
		return what + " is not known: conditions read event and ctx, such as event.country and ctx.order.total, and call CEL's functions; texts stand in quotes"
	}
	if m := wrongOperand.FindStringSubmatch(message); m != nil {
		return "must be " + kinds(m[1]) + ", and is " + kinds(m[2])
	}
	if strings.Contains(message, "recursion") {
		return "the condition is nested too deep: make it simpler"
	}
	return rewordedSyntax(strings.TrimPrefix(message, syntaxError))
}

// likely tells whether the checker's hint, "(did you mean 'event.type'?)", starts
// as what was written does: others are far-fetched.
func likely(what, hint string) bool {
	_, meant, found := strings.Cut(hint, "'")
	same := 0
	for same < min(len(what), len(meant)) && what[same] == meant[same] {
		same++
	}
	return found && same > len(eventName)+1
}

func allFields() []string { return append(textFields(), fieldScheduled, fieldExpiration) }

var (
	innerList     = regexp.MustCompile(`list\([^()]*\)`)
	innerMap      = regexp.MustCompile(`map\([^()]*\)`)
	innerOptional = regexp.MustCompile(`optional_type\([^()]*\)`)
)

// kinds names CEL's types, from the innermost on.
func kinds(text string) string {
	text = strings.ReplaceAll(text, "optional_type(timestamp)", "a time that may be absent")
	for before := ""; before != text; {
		before = text
		text = innerList.ReplaceAllString(text, "a LIST")
		text = innerMap.ReplaceAllString(text, "an OBJECT")
		text = innerOptional.ReplaceAllString(text, "a VALUE that may be absent")
	}
	return strings.NewReplacer(
		"dyn", "any value", "string", "a text", "bool", "yes or no", "uint", "a number", "int", "a number", "double", "a number",
		"timestamp", "a time", "null_type", "null", "LIST", "list", "OBJECT", "object", "VALUE", "value",
	).Replace(text)
}

func nameOf(t *types.Type) string { return kinds(t.String()) }
