package template

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"regexp"
	"strings"
	"unicode/utf8"
)

// function is one that templates may call, and what it takes, as authors are
// told.
type function struct {
	usage       string
	least, most int // arguments
	do          func(args []value) value
}

// many is the most arguments of a function that takes any number.
const many = math.MaxInt

// functions are all that templates may call. None of them has effects, and none
// returns more than MaxPartBytes. A word of usage stands for the same kind of
// argument in all.
func (l localized) functions() map[string]function {
	return map[string]function{
		"and":      {"VALUE...", 1, many, nil}, // and or: neither reads more than it needs
		"or":       {"VALUE...", 1, many, nil},
		"len":      {"VALUE", 1, 1, length},
		"index":    {"VALUE KEY...", 1, many, index},
		"json":     {"VALUE", 1, 1, func(args []value) value { return bounded(toJSON(args[0])) }},
		"default":  {"FALLBACK VALUE", 2, 2, orDefault},
		"has":      {"VALUE", 1, 1, func(args []value) value { return ofBool(args[0].kind != missing) }},
		"trim":     {"VALUE", 1, 1, ofText(strings.TrimSpace)},
		"join":     {"SEPARATOR LIST", 2, 2, join},
		"link":     {"ADDRESS [KEY VALUE]...", 1, many, link},
		"print":    {"VALUE...", 0, many, printAll},
		"printf":   {"FORMAT VALUE...", 1, many, printFormat},
		"urlquery": {"VALUE", 1, 1, ofText(url.QueryEscape)},
		"not":      {"VALUE", 1, 1, func(args []value) value { return ofBool(!args[0].truth()) }},
		"eq":       {"VALUE VALUE...", 2, many, eq},
		"ne":       {"VALUE VALUE", 2, 2, func(args []value) value { return ofBool(!eq(args).truth()) }},
		"lt":       {"VALUE VALUE", 2, 2, ordered(func(order int) bool { return order < 0 })},
		"le":       {"VALUE VALUE", 2, 2, ordered(func(order int) bool { return order <= 0 })},
		"gt":       {"VALUE VALUE", 2, 2, ordered(func(order int) bool { return order > 0 })},
		"ge":       {"VALUE VALUE", 2, 2, ordered(func(order int) bool { return order >= 0 })},
		"upper":    {"VALUE", 1, 1, ofText(l.upper)},
		"lower":    {"VALUE", 1, 1, ofText(l.lower)},
		"date":     {"STYLE TIME [ZONE]", 2, many, l.moment("date", errNoStyle)},
		"time":     {"STYLE TIME [ZONE]", 2, many, l.moment("time", errTimeStyle)},
		"datetime": {"STYLE TIME [ZONE]", 2, many, l.moment("datetime", errNoStyle)},
		"number":   {"VALUE [DECIMALS]", 1, many, l.rounded(0, l.locale.Number)},
		"percent":  {"VALUE [DECIMALS]", 1, many, l.rounded(2, l.locale.Percent)},
		"currency": {"CODE VALUE", 2, 2, l.currency},
		"plural":   {`COUNT "one" TEXT ... "other" TEXT`, 1, many, l.plural},
		"truncate": {"LENGTH VALUE", 2, 2, l.truncate},
	}
}

// takesMissing reports whether arguments of a function may be missing.
func takesMissing(function string) bool { return function == "default" || function == "has" }

// ofText is a function that makes a text of another.
func ofText(change func(string) string) func(args []value) value {
	return func(args []value) value { return bounded(change(text(args[0]))) }
}

// errMisfit is of an argument that is of another kind than the function's.
const errMisfit = misuse("a function was given what it does not take")

// text is the one obvious text of a value.
func text(v value) string {
	refuse(!v.isScalar(), "a function was given a list or an object where it takes a text or a number")
	return v.text
}

// onlyText is an argument that must be a text.
func onlyText(v value) string {
	refuse(v.kind != textual, errMisfit)
	return v.text
}

func bounded(s string) value {
	refuse(len(s) > MaxPartBytes, errTooLarge)
	return ofString(s)
}

// toJSON writes a value as JSON: texts quoted, objects and lists whole.
func toJSON(v value) string {
	refuse(v.kind == event, "json takes a value of ctx, not the whole event: name it")
	switch v.kind {
	case numeric, whole, boolean:
		return v.text
	case textual:
		if !strings.ContainsFunc(v.text, isEscaped) {
			return `"` + v.text + `"`
		}
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	refuse(encoder.Encode(v.bare()) != nil, "json was given what is not JSON")
	return strings.TrimSuffix(b.String(), "\n")
}

// isEscaped reports whether a character may be another in a string of JSON.
func isEscaped(r rune) bool {
	return r < ' ' || r == '"' || r == '\\' || r == '\u2028' || r == '\u2029' || r == utf8.RuneError
}

// orDefault returns the value, or the fallback when it is missing, null or an
// empty text.
func orDefault(args []value) value {
	if v := args[1]; v.kind != missing && v != ofString("") {
		return v
	}
	return args[0]
}

// texts are those of several values, together no larger than a part may be.
func texts(values []value) []string {
	all, size := make([]string, len(values)), 0
	for i, v := range values {
		all[i] = text(v)
		size += len(all[i])
		refuse(size > MaxPartBytes, errTooLarge)
	}
	return all
}

// printAll writes its arguments side by side, with nothing between.
func printAll(args []value) value { return ofString(strings.Join(texts(args), "")) }

// printFormat is fmt.Sprintf, but an error where a verb does not fit.
func printFormat(args []value) value {
	format, all, inArgs := onlyText(args[0]), texts(args[1:]), 0
	bare := make([]any, len(all))
	for i, arg := range args[1:] {
		inArgs += strings.Count(all[i], "%!")
		bare[i] = arg.bare()
		if arg.kind == numeric {
			bare[i] = formatted(arg)
		}
	}
	refuse(strings.Count(format, "%") > maxVerbs || wide.MatchString(format),
		"printf has too many verbs, or a width of over 999 or from an argument")
	s := fmt.Sprintf(format, bare...)
	refuse(strings.Count(s, "%!") > inArgs, "printf has a verb that does not fit its value")
	return bounded(s)
}

// maxVerbs and wide bound what one printf can make of little.
const maxVerbs = 32

var wide = regexp.MustCompile(`%[-+# 0]*([0-9]{4}|[0-9]*\.[0-9]{4}|[0-9.]*[*[])`)

// formatted is a number of JSON that every verb for numbers can write.
type formatted value

func (n formatted) Format(f fmt.State, verb rune) {
	var v any = n.text
	switch parsed, ok := toNumber(value(n)); {
	case !ok || strings.ContainsRune("svq", verb):
	case parsed.whole && !strings.ContainsRune("fge", verb):
		v = parsed.int
	default:
		v = parsed.float
	}
	fmt.Fprintf(f, fmt.FormatString(f, verb), v)
}

// quoted escapes a value for a place within a string of JSON.
func quoted(v value) string {
	s := toJSON(ofString(text(v)))
	return s[1 : len(s)-1]
}

// join writes the elements of a list with a text between them.
func join(args []value) value {
	separator, from := onlyText(args[0]), args[1]
	refuse(from.kind != list, errNoList)
	var elements []value
	for _, m := range from.node.all() {
		refuse(!m.value.isScalar(), errNoList)
		elements = append(elements, m.value)
	}
	refuse(len(separator)*len(elements) > MaxPartBytes, errTooLarge)
	return bounded(strings.Join(texts(elements), separator))
}

const errNoList = misuse("join was given what is not a list of texts and numbers")
