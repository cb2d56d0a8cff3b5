package condition

import (
	"regexp"
	"strings"
)

// Of the parser's errors, which name its own grammar.
const (
	syntaxError = "Syntax error: "
	endOfInput  = "<EOF>"
)

var (
	badToken   = regexp.MustCompile(`(?s)^token recognition error at: '(.*)'$`)
	unexpected = regexp.MustCompile(`(?s)^(?:mismatched|extraneous) input '(.*)' expecting `)
	absent     = regexp.MustCompile(`(?s)^missing '(.*)' at '(.*)'$`)
)

// inWords are what authors write who know other languages, and what CEL has for
// it.
var inWords = map[string]string{
	"=": "==", "&": "&&", "|": "||", "and": "&&", "or": "||", "AND": "&&", "OR": "||", "not": "!", "NOT": "!", "<>": "!=",
	"is": "==", "equals": "==", "contains": ".contains(…)",
}

// rewordedSyntax says what the parser says in the words of authors.
func rewordedSyntax(message string) string {
	if m := badToken.FindStringSubmatch(message); m != nil {
		return rewordedToken(strings.TrimSpace(m[1]))
	}
	if m := unexpected.FindStringSubmatch(message); m != nil {
		if m[1] == endOfInput {
			return "ends where more is expected: complete it, and close what is open"
		}
		if meant, ok := inWords[m[1]]; ok {
			return m[1] + " is no word of CEL: write " + meant
		}
		return m[1] + " does not fit here: is something missing before it, such as && or ==, or is it one too many?"
	}
	if m := absent.FindStringSubmatch(message); m != nil {
		if m[2] == endOfInput {
			return m[1] + " is missing at the end: close what is open"
		}
		return m[1] + " is missing before " + m[2]
	}
	return message
}

func rewordedToken(token string) string {
	if meant, ok := inWords[token]; ok {
		return token + " is no operator of CEL: write " + meant
	}
	switch {
	case strings.HasPrefix(token, "'"), strings.HasPrefix(token, `"`):
		return "the text that begins with " + token + " is not closed: end it with the same quote"
	case strings.ContainsAny(token, "“”„‘’"):
		return token + " is a quote for print: write ' or \""
	}
	return token + " has no meaning in CEL: remove it, or put texts into quotes"
}

// firstOfLines drops what the parser says of a line after what it said first,
// which mostly follows from that.
func firstOfLines(faults Faults) Faults {
	var kept Faults
	for _, f := range faults {
		if n := len(kept); n == 0 || kept[n-1].Line != f.Line {
			kept = append(kept, f)
		}
	}
	return kept
}
