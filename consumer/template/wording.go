package template

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// parseFault takes the place out of an error of the parser, which gives it as
// "template: name:line: what", and says what is wrong in the words of authors.
func parseFault(name, source string, err error) Fault {
	detail, _ := strings.CutPrefix(err.Error(), "template: ")
	f := Fault{Part: name, Detail: detail}
	rest, found := strings.CutPrefix(detail, name+":")
	number, what, cut := strings.Cut(rest, ": ")
	if n, err := strconv.Atoi(number); found && cut && err == nil {
		f.Line, f.Detail = n, reworded(what)
	}
	if line, open := unclosed(source, f.Line); open {
		f.Line, f.Detail = line, "{{ is not closed: add }} where the action ends"
	}
	return f
}

// unclosed finds the line of an action that goes on in the line of a fault, or
// begins there, and is not closed before the next begins.
func unclosed(source string, line int) (int, bool) {
	start := 0
	for range line - 1 {
		next := strings.IndexByte(source[start:], '\n')
		if next < 0 {
			break
		}
		start += next + 1
	}
	open := strings.LastIndex(source[:start], "{{")
	if open < 0 || open < strings.LastIndex(source[:start], "}}") {
		open = start + strings.LastIndex(lineOfText(source[start:]), "{{")
		if open < start {
			return 0, false
		}
	}
	rest := source[open+2:]
	closed, next := strings.Index(rest, "}}"), strings.Index(rest, "{{")
	if closed >= 0 && (next < 0 || closed < next) {
		return 0, false
	}
	return 1 + strings.Count(source[:open], "\n"), true
}

func lineOfText(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

var (
	noFunction  = regexp.MustCompile(`^function "(.*)" not defined$`)
	noVariable  = regexp.MustCompile(`^undefined variable "(.*)"$`)
	notThere    = regexp.MustCompile(`^unexpected (?:"(.*)"|<(.*)>) in (.*)$`)
	badLetter   = regexp.MustCompile(`^(?:unrecognized character in action|bad character): U\+[0-9A-F]+ '(.*)'$|^bad character U\+[0-9A-F]+ '(.*)'$`)
	badNumber   = regexp.MustCompile(`^(?:illegal|bad) number syntax: "(.*)"$`)
	secondOne   = regexp.MustCompile(`^template: multiple definition of template (".*")$`)
	noValue     = regexp.MustCompile(`^missing value for (.*)$`)
	lonely      = regexp.MustCompile(`^unexpected (\{\{(?:end|else)\}\})$`)
	fixedFaults = map[string]string{
		"unclosed action":                "{{ is not closed: add }} where the action ends",
		"unclosed comment":               "the comment is not closed: end it with */}}",
		"unclosed left paren":            "( is not closed: add )",
		"unexpected right paren":         ") closes nothing: remove it",
		"unexpected EOF":                 "ends within an if, range, with, block or define: add the {{end}} that is missing",
		"expected end; found {{else}}":   "there is a second {{else}}: an if has one at most; write {{else if …}} for more cases",
		"unterminated quoted string":     "a text is not closed: end it with \" in the same line",
		"{{break}} outside {{range}}":    "{{break}} stands outside of a {{range}}: remove it",
		"{{continue}} outside {{range}}": "{{continue}} stands outside of a {{range}}: remove it",
	}
	// foreign are words of other template languages, and what stands for them.
	foreign = map[string]string{
		"ctx": "write .ctx, with a dot before it", "event": "write .event, with a dot before it",
		"endif": "an if ends with {{end}}", "endfor": "a loop ends with {{end}}", "for": "loop with {{range .ctx.list}}", "foreach": "loop with {{range .ctx.list}}",
		"unless": "write {{if not …}}", "elif": "write {{else if …}}", "elseif": "write {{else if …}}", "include": `write {{template "name.txt" .}}`,
		"html": "values are escaped by themselves: leave it out", "js": "values are escaped by themselves: leave it out",
	}
	// signs are operators of other languages, and what stands for them.
	signs = map[string]string{
		"=": "compare with {{if eq A B}}", "!": "negate with {{if not A}}, compare with {{if ne A B}}", "<": "compare with {{if lt A B}}", ">": "compare with {{if gt A B}}",
		"&": "join with {{if and A B}}", "?": "choose with {{if A}}…{{else}}…{{end}}", "+": "templates do not calculate: let the event bring the value",
		"-": "templates do not calculate; a key with a hyphen is read with {{index .ctx \"a-b\"}}",
		"*": "templates do not calculate: let the event bring the value", "/": "templates do not calculate: let the event bring the value",
		"[": "read an element with {{index .ctx.list 0}}", "{": "close the action before it with }}", "}": "an action ends with }}",
		"#": "write {{if …}} or {{range …}} without it", "“": "write \" instead", "”": "write \" instead", "„": "write \" instead", "‘": "write \" instead", "’": "write \" instead",
	}
)

// reworded says what the parser says in the words of authors.
func reworded(what string) string {
	if told, ok := fixedFaults[what]; ok {
		return told
	}
	if m := noFunction.FindStringSubmatch(what); m != nil {
		return unknownFunction(m[1])
	}
	if m := noVariable.FindStringSubmatch(what); m != nil {
		return "there is no variable " + m[1] + " here: declare it before, in the same block or around it, with {{" + m[1] + " := …}}"
	}
	if m := notThere.FindStringSubmatch(what); m != nil {
		return misplaced(m[1]+m[2], m[3])
	}
	if m := badLetter.FindStringSubmatch(what); m != nil {
		return misplaced(m[1]+m[2], "")
	}
	if m := badNumber.FindStringSubmatch(what); m != nil {
		return misplaced(m[1], "")
	}
	if m := secondOne.FindStringSubmatch(what); m != nil {
		return "defines " + m[1] + " a second time: rename one of the two"
	}
	if m := noValue.FindStringSubmatch(what); m != nil {
		return noValueFor(m[1])
	}
	if m := lonely.FindStringSubmatch(what); m != nil {
		return m[1] + " has no if, range, with, block or define before it: remove it, or add what it belongs to"
	}
	return what
}

func noValueFor(what string) string {
	if what == "command" {
		return "there is nothing between {{ and }}: remove them, or name a value such as .ctx.firstName"
	}
	return what + " has nothing after it: name a value such as .ctx.firstName"
}

// misplaced says that a sign or a word cannot stand where it does.
func misplaced(what, where string) string {
	if hint, ok := signs[what]; ok {
		return what + " has no meaning here: " + hint
	}
	if where == "template clause" {
		return `template takes the name of a partial in quotes, such as {{template "signature.txt" .}}`
	}
	return what + " does not fit here: is something missing before it, or is it one too many?"
}

func unknownFunction(name string) string {
	there := "there is no function " + strconv.Quote(name)
	if hint, ok := foreign[name]; ok {
		return there + ": " + hint
	}
	known := slices.Sorted(maps.Keys(ownNames))
	known = slices.AppendSeq(known, maps.Keys(otherNames))
	slices.Sort(known)
	for _, k := range known {
		if similar(name, k) {
			return there + ": did you mean " + k + "?"
		}
	}
	return there + ": there are " + strings.Join(known, ", ") + "; a value starts with a dot, as in .ctx." + name
}

// similar tells whether two words are the same but for case, or for one letter
// that is added, missing, changed or swapped with its neighbour.
func similar(a, b string) bool {
	a, b = strings.ToLower(a), strings.ToLower(b)
	if a == b {
		return true
	}
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(b) < 3 || len(b)-len(a) > 1 {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	if len(a) < len(b) {
		return a[i:] == b[i+1:]
	}
	return a[i+1:] == b[i+1:] || i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
}
