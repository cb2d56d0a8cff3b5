package template

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// plainFunctions are what templates may call in every language, beside those of
// otherNames. None of them has effects, and none returns more than MaxPartBytes.
var plainFunctions = map[string]any{
	"json":     toJSON,
	"default":  orDefault,
	"has":      has,
	"trim":     trim,
	"join":     join,
	"link":     link,
	"print":    printAll,
	"printf":   printFormat,
	"urlquery": urlQuery,
	"not":      func(v any) bool { return !truth(v) },
	"eq":       eq,
	"ne":       ne,
	"lt":       ordered(func(order int) bool { return order < 0 }),
	"le":       ordered(func(order int) bool { return order <= 0 }),
	"gt":       ordered(func(order int) bool { return order > 0 }),
	"ge":       ordered(func(order int) bool { return order >= 0 }),
}

// otherNames are what templates may call too: index becomes at each use a
// function that knows its line, and the others are Go's own, of which and
// and or stop at the first value that decides.
var otherNames = map[string]bool{"index": true, "and": true, "or": true, "len": true}

// ownNames are those of plainFunctions and localFunctions.
var ownNames = func() map[string]any {
	names := maps.Clone(plainFunctions)
	for name, of := range localFunctions {
		names[name] = of(localized{})
	}
	return names
}()

// writesScalar reports whether a function's results can always be written out.
func writesScalar(name string) bool {
	return name != "default" && name != "index" && name != "and" && name != "or"
}

// takesMissing are the functions whose arguments may be missing.
var takesMissing = map[string]bool{"default": true, "has": true}

// text is the one obvious text of a value.
func text(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case json.Number:
		return string(v), nil
	case bool:
		return strconv.FormatBool(v), nil
	case int:
		return strconv.Itoa(v), nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), nil
	}
	return "", misuse("a function was given a list or an object where it takes a text or a number")
}

func bounded(s string) (string, error) {
	if len(s) > MaxPartBytes {
		return "", errTooLarge
	}
	return s, nil
}

// toJSON writes a value as JSON: texts quoted, objects and lists whole.
func toJSON(v any) (string, error) {
	switch v.(type) {
	case *data, *eventData:
		return "", misuse("json takes a value of ctx, not the whole event: name it")
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if encoder.Encode(v) != nil {
		return "", misuse("json was given what is not JSON")
	}
	return bounded(strings.TrimSuffix(b.String(), "\n"))
}

// orDefault returns the value, or the fallback when it is missing, null or an
// empty text.
func orDefault(fallback, value any) any {
	if value == nil || value == "" {
		return fallback
	}
	return value
}

// has reports whether the value is there and not null.
func has(value any) bool { return value != nil }

// printAll writes its arguments side by side, with nothing between.
func printAll(args ...any) (string, error) {
	texts, size := make([]string, len(args)), 0
	for i, arg := range args {
		s, err := text(arg)
		if err != nil {
			return "", err
		}
		if size += len(s); size > MaxPartBytes {
			return "", errTooLarge
		}
		texts[i] = s
	}
	return strings.Join(texts, ""), nil
}

// printFormat is fmt.Sprintf, but an error where a verb does not fit.
func printFormat(format string, args ...any) (string, error) {
	size, inArgs := len(format), 0
	for i, arg := range args {
		s, err := text(arg)
		if err != nil {
			return "", err
		}
		if size += len(s); size > MaxPartBytes {
			return "", errTooLarge
		}
		inArgs += strings.Count(s, "%!")
		if n, ok := arg.(json.Number); ok {
			args[i] = formatted(n)
		}
	}
	if strings.Count(format, "%") > maxVerbs || wide.MatchString(format) {
		return "", misuse("printf has too many verbs, or a width of over 999 or from an argument")
	}
	s := fmt.Sprintf(format, args...)
	if strings.Count(s, "%!") > inArgs {
		return "", misuse("printf has a verb that does not fit its value")
	}
	return bounded(s)
}

// maxVerbs and wide bound what one printf can make of little.
const maxVerbs = 32

var wide = regexp.MustCompile(`%[-+# 0]*([0-9]{4}|[0-9]*\.[0-9]{4}|[0-9.]*[*[])`)

// formatted is a number of JSON that every verb for numbers can write.
type formatted json.Number

func (n formatted) Format(f fmt.State, verb rune) {
	var v any = string(n)
	switch verb {
	case 's', 'v', 'q':
	default:
		if parsed, ok := toNumber(json.Number(n)); ok {
			v = parsed.float
			if parsed.whole && verb != 'f' && verb != 'g' && verb != 'e' {
				v = parsed.int
			}
		}
	}
	fmt.Fprintf(f, fmt.FormatString(f, verb), v)
}

// urlQuery escapes a text for use in a URL's query.
func urlQuery(v any) (string, error) {
	s, err := text(v)
	if err != nil {
		return "", err
	}
	return bounded(url.QueryEscape(s))
}

// quoted escapes a value for a place within a string of JSON.
func quoted(v any) (string, error) {
	s, err := text(v)
	if err != nil {
		return "", err
	}
	s, err = toJSON(s)
	if err != nil {
		return "", err
	}
	return s[1 : len(s)-1], nil
}

const errNoList = misuse("join was given what is not a list of texts and numbers")

// trim removes white space from both ends.
func trim(v any) (string, error) {
	s, err := text(v)
	return strings.TrimSpace(s), err
}

// join writes the elements of a list with a text between them.
func join(separator string, list any) (string, error) {
	elements, ok := list.([]any)
	if !ok {
		return "", errNoList
	}
	var b strings.Builder
	for i, element := range elements {
		s, err := text(element)
		if err != nil {
			return "", errNoList
		}
		if i > 0 {
			b.WriteString(separator)
		}
		b.WriteString(s)
		if b.Len() > MaxPartBytes {
			return "", errTooLarge
		}
	}
	return b.String(), nil
}

// number is a value of JSON, or of a template, as a number.
type number struct {
	float float64
	int   int64
	whole bool // int is exact
}

func toNumber(v any) (number, bool) {
	switch v := v.(type) {
	case json.Number:
		if i, err := strconv.ParseInt(string(v), 10, 64); err == nil {
			return wholeNumber(i), true
		}
		f, err := strconv.ParseFloat(string(v), 64)
		return number{float: f}, err == nil
	case int:
		return wholeNumber(int64(v)), true
	case float64:
		return number{float: v}, true
	}
	return number{}, false
}

func wholeNumber(i int64) number { return number{float: float64(i), int: i, whole: true} }

const errUnlike = misuse("compares values of different kinds, such as a text with a number")

// compare orders two numbers or two texts.
func compare(a, b any) (int, error) {
	if x, ok := toNumber(a); ok {
		y, ok := toNumber(b)
		switch {
		case !ok:
			return 0, errUnlike
		case x.whole && y.whole:
			return cmp.Compare(x.int, y.int), nil
		}
		return cmp.Compare(x.float, y.float), nil
	}
	x, ok := a.(string)
	y, okToo := b.(string)
	if !ok || !okToo {
		return 0, errUnlike
	}
	return cmp.Compare(x, y), nil
}

func equal(a, b any) (bool, error) {
	if x, ok := a.(bool); ok {
		y, ok := b.(bool)
		if !ok {
			return false, errUnlike
		}
		return x == y, nil
	}
	order, err := compare(a, b)
	return order == 0, err
}

// eq reports whether the first value equals any of the others.
func eq(first, second any, others ...any) (bool, error) {
	same, err := equal(first, second)
	for _, other := range others {
		if same || err != nil {
			break
		}
		same, err = equal(first, other)
	}
	return same, err
}

func ne(a, b any) (bool, error) {
	same, err := equal(a, b)
	return !same, err
}

// ordered is a function that reports whether the order of two values is as it
// should be.
func ordered(is func(order int) bool) func(a, b any) (bool, error) {
	return func(a, b any) (bool, error) {
		order, err := compare(a, b)
		return err == nil && is(order), err
	}
}
